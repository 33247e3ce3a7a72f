"""How far a version takes over, by named cases: versions `one` (active) and `two` (asked for)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.domain.figures import BOUNDS_S, VersionFigures
from modelyard.domain.rollout import COMMAND_ANNOTATION, TIME_ANNOTATION, VERSION_ANNOTATION, Rollout
from modelyard.domain.rollout_plan import plan_rollout
from modelyard.domain.rollout_situation import Request, RolloutState, Situation, read_request

START = datetime(2026, 1, 1, tzinfo=UTC)
RULES = [{"metric": "error_rate", "above": 0.01}, {"metric": "p95_latency_seconds", "above": 2}]
ROLLOUT = Rollout.model_validate({"steps": [10, 50], "interval": "5m", "abortIf": RULES})
BEFORE = RolloutState(active="one")


def at(minutes: float) -> str:
    return (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def counted(requests: int, errors: int = 0, bound: float = 0.5) -> VersionFigures:
    """Requests that all fell into the bucket that ends at `bound` seconds."""
    latency = [0] * (len(BOUNDS_S) + 1)
    latency[BOUNDS_S.index(bound)] = requests
    return VersionFigures(requests=requests, errors=errors, latency=latency)


def world(minutes: float = 0, two: VersionFigures | None = None, **changes: Any) -> Situation:
    """Both versions passed and are loaded; `two` was counted as given."""
    usual = Situation(
        rollout=ROLLOUT,
        now=at(minutes),
        desired="two",
        passed={"one": 1, "two": 2},
        answering=frozenset({"one", "two"}),
        figures={} if two is None else {"two": two},
    )
    return replace(usual, **changes)


def ask(command: str, version: str = "two", when: str = "") -> Request:
    found = read_request({COMMAND_ANNOTATION: command, VERSION_ANNOTATION: version, TIME_ANNOTATION: when})
    assert found is not None
    return found


def after(*situations: Situation, state: RolloutState = BEFORE) -> RolloutState:
    """The state after these situations, one after the other; in each, a second look changes nothing."""
    for situation in situations:
        state = plan_rollout(state, situation)
        assert plan_rollout(state, situation) == state
    return state


def told(state: RolloutState) -> tuple[str, str, int, str]:
    """Active version, phase, weight, message."""
    assert state.status is not None
    return state.active, state.status.phase, state.status.weight, state.status.message


STEP_1 = "step 1 of 2: 10 % of the requests for 5m"
STEP_2 = "step 2 of 2: 50 % of the requests for 5m"


@pytest.mark.parametrize(
    ("situations", "expected"),
    [
        pytest.param(
            [world(answering=frozenset({"one"}))],
            ("one", "Progressing", 0, "waits until two is loaded"),
            id="a version that is not loaded gets no requests",
        ),
        pytest.param([world()], ("one", "Progressing", 10, STEP_1), id="the first step begins once it is loaded"),
        pytest.param([world(), world(4.9)], ("one", "Progressing", 10, STEP_1), id="a step lasts for its interval"),
        pytest.param([world(), world(5)], ("one", "Progressing", 50, STEP_2), id="then the next one begins"),
        pytest.param([world(), world(5), world(10)], ("two", "Promoted", 100, "held 2 steps"), id="healthy: promoted after the last"),
        pytest.param([world(), world(60)], ("one", "Progressing", 50, STEP_2), id="a pause of the operator skips no step"),
        pytest.param(
            [world(), world(5, answering=frozenset({"one"}))], ("one", "Progressing", 10, STEP_1), id="no step while it is not loaded"
        ),
        pytest.param(
            [world(), world(1, counted(120, 5))],
            ("one", "RolledBack", 0, "error_rate 0.04167 is above 0.01 at 10 % (120 requests)"),
            id="errors: taken back at once",
        ),
        pytest.param(
            [world(), world(1, counted(1, bound=10.0), answering=frozenset({"one"}))],
            ("one", "RolledBack", 0, "p95_latency_seconds 9.75 is above 2 at 10 % (1 request)"),
            id="slow: taken back, also when it does not answer any more",
        ),
        pytest.param(
            [world(0, counted(100, 100)), world(1, counted(200, 101))],
            ("one", "Progressing", 10, STEP_1),
            id="what was before does not count",
        ),
        pytest.param(
            [world(0, counted(100, 50)), world(1, counted(3)), world(5.9, counted(9))],
            ("one", "Progressing", 10, STEP_1),
            id="a gateway that counts anew begins the step anew",
        ),
        pytest.param(
            [world(0, counted(100, 50)), world(1, counted(3)), world(6, counted(9))],
            ("one", "Progressing", 50, STEP_2),
            id="and the step then lasts for its interval",
        ),
        pytest.param(
            [world(10), world(3), world(7.9)], ("one", "Progressing", 10, STEP_1), id="a clock that was ahead begins the step anew"
        ),
        pytest.param([world(10), world(3), world(8)], ("one", "Progressing", 50, STEP_2), id="and holds nothing up"),
        pytest.param([world(rollout=None)], ("two", "Promoted", 100, "no rollout was asked for"), id="no rollout: everything at once"),
        pytest.param(
            [world(), world(rollout=None)],
            ("two", "Promoted", 100, "no rollout is asked for any more"),
            id="the rollout is taken from the spec",
        ),
        pytest.param(
            [world(), world(1, rollout=Rollout(steps=[3])), world(6, rollout=Rollout(steps=[3]))],
            ("two", "Promoted", 100, "held 1 step"),
            id="other steps hold from now on",
        ),
        pytest.param(
            [world(), world(1, rollout=Rollout(steps=[3, 4]))],
            ("one", "Progressing", 3, "step 1 of 2: 3 % of the requests for 5m"),
            id="another weight begins the step anew",
        ),
        pytest.param(
            [world(), world(1, passed={"one": 1})], ("one", "Aborted", 0, "two no longer passes its gate"), id="a stricter gate ends it"
        ),
        pytest.param(
            [world(), world(1, passed={"two": 2})],
            ("two", "Promoted", 100, "the version before it no longer passes its gate"),
            id="the one before is withdrawn",
        ),
        pytest.param([world(), world(1, desired="one")], ("one", "Aborted", 0, "the spec asks for one again"), id="the spec goes back"),
        pytest.param([world(), world(1, desired="three")], ("one", "Progressing", 10, STEP_1), id="it goes on while the next is trained"),
        pytest.param(
            [world(), world(1, desired="three", passed={"one": 1, "two": 2, "three": 3})],
            ("one", "Progressing", 0, "waits until three is loaded"),
            id="the next one that passed takes its place",
        ),
        pytest.param([world(now="")], ("one", "Progressing", 10, STEP_1), id="without a clock no time passes"),
    ],
)
def test_a_rollout(situations: list[Situation], expected: tuple[str, str, int, str]) -> None:
    assert told(after(*situations)) == expected


@pytest.mark.parametrize(
    ("situations", "expected"),
    [
        pytest.param(
            [world(), world(1, request=ask("pause")), world(60, request=ask("pause"))],
            ("one", "Paused", 10, "paused by hand at 10 %"),
            id="pause holds",
        ),
        pytest.param([world(), world(1, request=ask("pause")), world(60)], ("one", "Paused", 10, "paused by hand at 10 %"), id="for good"),
        pytest.param(
            [world(), world(1, request=ask("pause")), world(2, counted(10, 10), request=ask("pause"))],
            ("one", "RolledBack", 0, "error_rate 1 is above 0.01 at 10 % (10 requests)"),
            id="a rule takes back what is paused too",
        ),
        pytest.param(
            [world(), world(1, request=ask("pause")), world(4, request=ask("resume")), world(8.9, request=ask("resume"))],
            ("one", "Progressing", 10, STEP_1),
            id="resume begins the step anew",
        ),
        pytest.param(
            [world(request=ask("pause"))], ("one", "Paused", 0, "paused by hand at 0 %"), id="it may be paused before it has any request"
        ),
        pytest.param([world(), world(1, request=ask("promote"))], ("two", "Promoted", 100, "promoted by hand at 10 %"), id="promote jumps"),
        pytest.param(
            [world(answering=frozenset({"one"}), request=ask("promote"))],
            ("one", "Progressing", 0, "waits until two is loaded"),
            id="promote waits until it is loaded",
        ),
        pytest.param(
            [world(answering=frozenset({"one"}), request=ask("promote")), world(1, request=ask("promote"))],
            ("two", "Promoted", 100, "promoted by hand at 0 %"),
            id="and then jumps",
        ),
        pytest.param([world(), world(1, request=ask("abort"))], ("one", "Aborted", 0, "aborted by hand at 10 %"), id="abort goes back"),
        pytest.param(
            [world(), world(1, request=ask("abort")), world(60)], ("one", "Aborted", 0, "aborted by hand at 10 %"), id="and stays there"
        ),
        pytest.param(
            [world(), world(1, request=ask("promote", "one"))], ("one", "Progressing", 10, STEP_1), id="an old promote is ignored"
        ),
        pytest.param(
            [world(), world(1, counted(9, 9)), world(2, request=ask("promote"))],
            ("one", "RolledBack", 0, "error_rate 1 is above 0.01 at 10 % (9 requests)"),
            id="promote is too late after a rollback",
        ),
        pytest.param(
            [world(), world(1, counted(9, 9)), world(2, request=ask("retry"))], ("one", "Progressing", 10, STEP_1), id="retry begins anew"
        ),
        pytest.param(
            [
                world(),
                world(1, counted(9, 9)),
                world(2, counted(9, 9), request=ask("retry")),
                world(3, counted(18, 18), request=ask("retry")),
            ],
            ("one", "RolledBack", 0, "error_rate 1 is above 0.01 at 10 % (9 requests)"),
            id="one retry is one try",
        ),
        pytest.param(
            [
                world(),
                world(1, counted(9, 9)),
                world(2, counted(9, 9), request=ask("retry", when="1")),
                world(3, counted(18, 18), request=ask("retry", when="1")),
                world(4, counted(18, 18), request=ask("retry", when="2")),
            ],
            ("one", "Progressing", 10, STEP_1),
            id="another retry is another try",
        ),
        pytest.param(
            [world(rollout=None), world(1, answering=frozenset({"two"}), request=ask("undo"))],
            ("one", "RolledBack", 100, "undone by hand; goes back once one is loaded"),
            id="undo keeps the version until the one before is loaded",
        ),
        pytest.param(
            [world(rollout=None), world(1, answering=frozenset({"two"}), request=ask("undo")), world(2)],
            ("one", "RolledBack", 0, "undone by hand"),
            id="and then goes back",
        ),
        pytest.param(
            [world(rollout=None), world(1, passed={"two": 2}, request=ask("undo"))],
            ("two", "Promoted", 100, "cannot be undone: there is no version one to go back to"),
            id="undo needs something to go back to",
        ),
    ],
)
def test_a_rollout_by_hand(situations: list[Situation], expected: tuple[str, str, int, str]) -> None:
    assert told(after(*situations)) == expected


def test_a_version_that_was_rolled_back_is_not_tried_again_by_itself() -> None:
    broken = after(world(), world(1, counted(9, 9)))
    assert broken.rolled_back == {"two"}
    third = {"one": 1, "two": 2, "three": 3}
    elsewhere = after(
        world(2, desired="three", passed=third, answering=frozenset(third)),
        world(7, desired="three", passed=third, answering=frozenset(third)),
        world(12, desired="three", passed=third, answering=frozenset(third)),
        state=broken,
    )
    assert told(elsewhere) == ("three", "Promoted", 100, "held 2 steps")
    again = after(world(13, passed=third), state=elsewhere)
    assert again == elsewhere


def test_an_undone_version_stays_undone_without_a_rollout_in_the_spec() -> None:
    undone = after(world(rollout=None), world(1, rollout=None, request=ask("undo")))
    assert after(world(60, rollout=None), state=undone).active == "one"


def test_too_few_requests_are_said_and_waited_for() -> None:
    patient = Rollout(steps=[10], min_requests=50, abort_if=ROLLOUT.abort_if)
    waiting = after(world(rollout=patient), world(9, counted(49, 49), rollout=patient))
    assert told(waiting)[3] == "step 1 of 1: 10 % of the requests for 5m; its time is over, and it waits for 50 requests"
    assert told(after(world(10, counted(50), rollout=patient), state=after(world(rollout=patient)))) == (
        "two",
        "Promoted",
        100,
        "held 1 step",
    )


def test_the_first_version_takes_everything_at_once() -> None:
    assert after(world(passed={"two": 2}), state=RolloutState()) == RolloutState(active="two")


def test_a_version_that_misses_its_gate_is_never_started() -> None:
    assert after(world(passed={"one": 1})) == BEFORE


def test_each_step_leaves_its_figures() -> None:
    ended = after(world(), world(5, counted(20)), world(6, counted(30, 5)))
    assert ended.status is not None
    assert [(analysis.step, analysis.weight, analysis.requests, analysis.passed) for analysis in ended.status.analyses] == [
        (1, 10, 20, True),
        (2, 50, 10, False),
    ]
    assert ended.status.analyses[1].figures["error_rate"] == 0.5


def test_traffic_alone_changes_nothing() -> None:
    begun = after(world())
    assert after(world(1, counted(5)), world(2, counted(500)), state=begun) == begun


def test_a_restarted_operator_comes_to_the_same_end() -> None:
    script = [world(), world(1, counted(5)), world(5, counted(20)), world(7, counted(25)), world(10, counted(60))]
    whole = after(*script)
    for crash in range(len(script)):
        before = after(*script[: crash + 1])
        assert before.status is not None
        stored = type(before.status).model_validate_json(before.status.model_dump_json())
        assert after(*script[crash + 1 :], state=replace(before, status=stored)) == whole


@pytest.mark.parametrize(
    "annotations",
    [
        pytest.param({}, id="none"),
        pytest.param({COMMAND_ANNOTATION: "promote"}, id="no version"),
        pytest.param({COMMAND_ANNOTATION: "explode", VERSION_ANNOTATION: "two"}, id="an unknown command"),
    ],
)
def test_incomplete_annotations_ask_for_nothing(annotations: dict[str, str]) -> None:
    assert read_request(annotations) is None


VERSIONS = ("one", "two", "three")
SITUATIONS = st.builds(
    lambda minutes, desired, passed, answering, requests, errors, command, version, when, rollout: world(
        minutes,
        desired=desired,
        passed={name: VERSIONS.index(name) + 1 for name in passed},
        answering=frozenset(answering),
        figures={name: counted(requests, min(errors, requests)) for name in VERSIONS},
        request=ask(command, version, when) if command else None,
        rollout=rollout,
    ),
    minutes=st.integers(0, 60),
    desired=st.sampled_from(("", *VERSIONS)),
    passed=st.sets(st.sampled_from(VERSIONS)),
    answering=st.sets(st.sampled_from(VERSIONS)),
    requests=st.integers(0, 30),
    errors=st.integers(0, 1),
    command=st.sampled_from(("", "pause", "resume", "promote", "abort", "undo", "retry")),
    version=st.sampled_from(VERSIONS),
    when=st.sampled_from(("", "1")),
    rollout=st.sampled_from((None, ROLLOUT, Rollout(steps=[1, 5, 99], interval="1s", min_requests=3))),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(SITUATIONS, min_size=1, max_size=12))
def test_whatever_happens_a_fixed_point_is_reached_and_what_was_taken_back_gets_nothing(script: list[Situation]) -> None:
    state = RolloutState()
    for situation in script:
        barred = state.rolled_back - ({situation.request.version} if situation.request and situation.request.command == "retry" else set())
        returning = state.status.version if state.status and state.status.receives else ""
        state = plan_rollout(state, situation)
        assert plan_rollout(state, situation) == state
        assert state.active in ("", *situation.passed)
        assert state.active not in barred - {returning}
        if (status := state.status) is not None:
            assert 0 <= status.weight <= 100
            assert not status.live or (status.previous == state.active != status.version)
            if status.receives and status.version in barred:
                assert status.version == returning, "only a version that goes back after an undo still answers"
