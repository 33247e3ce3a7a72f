import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from modelyard.domain.base import Spec, digest_of


class Example(Spec):
    """A document."""

    max_length: int = 1
    """Tokens."""
    ratio: float | None = None


UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_documents_are_camel_case_on_the_wire_without_what_is_unset() -> None:
    assert Example(max_length=2).wire() == {"maxLength": 2}
    assert Example(max_length=2, ratio=0.5).wire() == {"maxLength": 2, "ratio": 0.5}


def test_documents_are_read_by_either_spelling() -> None:
    assert Example.model_validate({"maxLength": 2}) == Example.model_validate({"max_length": 2}) == Example(max_length=2)


def test_docstrings_describe_fields() -> None:
    assert Example.model_fields["max_length"].description == "Tokens."


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"maxLenght": 2}, id="a misspelt field"),
        pytest.param({"ratio": float("nan")}, id="not a number"),
        pytest.param({"ratio": float("inf")}, id="infinite"),
    ],
)
def test_what_makes_no_sense_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Example.model_validate(document)


def test_documents_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Example().max_length = 2  # type: ignore[misc]


@UNTIMED
@given(st.dictionaries(st.text(), JSON))
def test_a_digest_does_not_depend_on_the_order_of_keys(document: dict[str, object]) -> None:
    assert digest_of(dict(reversed(document.items()))) == digest_of(document)


def test_a_digest_is_known_and_depends_on_every_value() -> None:
    assert (
        digest_of({"a": [1, "é"]}) == "5db14a2cddc92d31365806bb5d82ed2bc436bf6960d10cd4654140f7bdadce1c"
    )  # names are derived from it: it must never change
    assert len({digest_of(value) for value in ({}, [], "", 0, None, False, {"a": 1}, {"a": "1"}, [[]])}) == 9
