import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from modelyard.operator.admission import Ruling
from modelyard.operator.admission_review import MAX_WARNING, answer

REVIEW = {"kind": "AdmissionReview", "request": {"uid": "r-1", "kind": {"kind": "Model"}, "namespace": "team", "name": "bot"}}


@pytest.fixture
def late() -> Iterator[Callable[[Any], Ruling]]:
    """A rule that takes longer than there is time."""
    end = threading.Event()

    def wait(request: Any) -> Ruling:
        end.wait()
        return Ruling(["too late"])

    yield wait
    end.set()


class Counts:
    def __init__(self) -> None:
        self.counted: list[tuple[str, str]] = []

    def __call__(self, kind: str, result: str) -> None:
        self.counted.append((kind, result))


@pytest.mark.parametrize(
    ("ruling", "response", "result"),
    [
        pytest.param(Ruling(), {"allowed": True}, "allowed", id="let in"),
        pytest.param(Ruling(warnings=["w"]), {"allowed": True, "warnings": ["w"]}, "warned", id="let in with a warning"),
        pytest.param(
            Ruling(["a; b", "c; d"], ["w"]),
            {"allowed": False, "status": {"code": 422, "reason": "Invalid", "message": "a; b\nc; d"}, "warnings": ["w"]},
            "refused",
            id="refused with all that is wrong",
        ),
        pytest.param(
            Ruling(warnings=["é" * 300]), {"allowed": True, "warnings": ["é" * MAX_WARNING]}, "warned", id="a warning that is too long"
        ),
    ],
)
def test_a_ruling_is_answered_and_counted(ruling: Ruling, response: dict[str, Any], result: str) -> None:
    counts = Counts()
    answered = answer(REVIEW, lambda request: ruling, counts)
    assert answered == {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": "r-1"} | response}
    assert counts.counted == [("Model", result)]


def test_a_bug_lets_the_resource_in_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    def break_off(request: Any) -> Ruling:
        raise ZeroDivisionError("secret")

    counts = Counts()
    with caplog.at_level(logging.ERROR):
        response = answer(REVIEW, break_off, counts)["response"]
    told = ["Modelyard could not check this: ZeroDivisionError; its status will tell"]
    assert response == {"uid": "r-1", "allowed": True, "warnings": told}
    assert counts.counted == [("Model", "failed")]
    assert "admission of Model team/bot" in caplog.text and "ZeroDivisionError" in caplog.text


def test_a_rule_that_takes_too_long_lets_the_resource_in(late: Callable[[Any], Ruling]) -> None:
    counts = Counts()
    response = answer(REVIEW, late, counts, deadline_s=0.05)["response"]
    assert response["allowed"] and "TimeoutError" in response["warnings"][0]
    assert counts.counted == [("Model", "failed")]


@pytest.mark.parametrize("review", [pytest.param({}, id="no request"), pytest.param({"request": {"kind": None}}, id="no uid")])
def test_what_is_no_review_is_no_ruling(review: dict[str, Any]) -> None:
    with pytest.raises(KeyError):
        answer(review, lambda request: Ruling(), Counts())
