import pytest

from harness.calls import Call
from harness.faults import CutAfter, Fault, Match, due

WRITE = Call("patch", "ray.io", "rayjobs", namespace="ml", name="a")
STATUS = Call("patch", "ray.io", "rayjobs", "status", "ml", "a")
READ = Call("list", "ray.io", "rayjobs", namespace="ml")


@pytest.mark.parametrize(
    ("match", "call", "fits"),
    [
        pytest.param(Match(), READ, True, id="without fields every request fits"),
        pytest.param(Match(kind="write"), WRITE, True, id="a patch is a write"),
        pytest.param(Match(kind="write"), READ, False, id="a list is none"),
        pytest.param(Match(kind="write"), Call("create", resource="pods", dry_run=True), False, id="a dry run is none"),
        pytest.param(Match(subresource=""), STATUS, False, id="an empty subresource leaves the status out"),
        pytest.param(Match(subresource="status"), STATUS, True, id="the status alone"),
        pytest.param(Match(resource="rayjobs", namespace="other"), WRITE, False, id="all fields must fit"),
    ],
)
def test_a_match_fits(match: Match, call: Call, fits: bool) -> None:
    assert match.fits(call) is fits


@pytest.mark.parametrize(
    ("nth", "times", "every", "hit"),
    [
        pytest.param(1, 1, 1, [1], id="the first one only"),
        pytest.param(3, 1, 1, [3], id="the third one only"),
        pytest.param(2, 2, 1, [2, 3], id="two from the second on"),
        pytest.param(4, None, 1, [4, 5], id="all from the fourth on"),
        pytest.param(1, None, 2, [1, 3, 5], id="each second one, from the first on"),
        pytest.param(2, 1, 2, [2], id="each second one, but once"),
    ],
)
def test_a_fault_is_for_the_nth_and_those_after_it(nth: int, times: int | None, every: int, hit: list[int]) -> None:
    fault = Fault(CutAfter(), Match(kind="write"), nth, times, every=every)

    taken = [number for number in range(1, 6) if (due([fault], READ), due([fault], WRITE))[1]]

    assert taken == hit
    assert fault.fired == len(hit)
