import pytest

from modelyard.domain.figures import BOUNDS_S, VersionFigures
from modelyard.gateway.tally import Tally


def bucket(position: int) -> list[int]:
    return [int(other == position) for other in range(len(BOUNDS_S) + 1)]


@pytest.mark.parametrize(
    ("seconds", "position"),
    [
        pytest.param(0.0, 0, id="nothing at all"),
        pytest.param(0.01, 0, id="a bound belongs to the bucket that it ends"),
        pytest.param(0.011, 1, id="a little more"),
        pytest.param(500.0, len(BOUNDS_S), id="longer than all"),
    ],
)
def test_durations_are_counted_as_prometheus_does(seconds: float, position: int) -> None:
    tally = Tally()
    tally.count(200, seconds)
    tally.count_first_text(seconds)
    assert tally.figures == VersionFigures(requests=1, latency=bucket(position), ttft=bucket(position))


@pytest.mark.parametrize(
    ("status", "errors"),
    [
        pytest.param(200, 0, id="an answer"),
        pytest.param(400, 0, id="the client's fault"),
        pytest.param(499, 0, id="a client that went away"),
        pytest.param(500, 1, id="a failure"),
        pytest.param(503, 1, id="an engine that is away"),
    ],
)
def test_what_is_an_error(status: int, errors: int) -> None:
    tally = Tally()
    tally.count(status, 1.0)
    assert tally.figures.errors == errors


def test_figures_that_were_taken_stay_as_they_were() -> None:
    tally = Tally()
    before = tally.figures
    tally.count(200, 1.0)
    assert before == VersionFigures(latency=[0] * (len(BOUNDS_S) + 1), ttft=[0] * (len(BOUNDS_S) + 1))
    assert tally.figures.since(before) == VersionFigures(requests=1, latency=bucket(BOUNDS_S.index(1.0)), ttft=[0] * (len(BOUNDS_S) + 1))
