from email.utils import formatdate

import pytest

from modelyard.operator.server_clock import ServerClock

HERE, THERE = 1_000_000.0, 1_600_000.0
"""The clock of the machine, and that of the server, at the start."""


class Steady:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 50.0

    def __call__(self) -> float:
        return self.seconds


def date(seconds: float) -> str:
    return formatdate(seconds, usegmt=True)


@pytest.mark.parametrize(
    ("heard", "seconds"),
    [
        pytest.param([], HERE, id="nothing was heard: the machine's own clock"),
        pytest.param([None, "", "yesterday"], HERE, id="nothing readable was heard"),
        pytest.param([date(THERE)], THERE, id="the server's clock counts, not the machine's"),
        pytest.param([date(THERE), date(THERE - 1)], THERE, id="an answer that was late takes nothing back"),
        pytest.param([date(THERE), date(THERE + 1)], THERE + 1, id="a later date was less late"),
        pytest.param([date(THERE), date(THERE - 600)], THERE - 600, id="the server's clock was set back"),
        pytest.param([date(THERE), date(THERE + 600)], THERE + 600, id="the server's clock was set forward"),
        pytest.param([date(THERE), "gibberish"], THERE, id="what is not readable changes nothing"),
    ],
)
def test_the_time_is_that_of_the_answers(heard: list[str | None], seconds: float) -> None:
    clock = ServerClock(Steady(), lambda: HERE)
    for one in heard:
        clock.hear(one)
    assert clock.seconds() == seconds


def test_time_passes_between_answers_though_the_clock_of_the_machine_stands_still() -> None:
    steady = Steady()
    clock = ServerClock(steady, lambda: HERE)
    clock.hear(date(THERE))
    steady.seconds += 90
    assert clock.seconds() == THERE + 90


def test_it_is_told_as_kubernetes_writes_it() -> None:
    clock = ServerClock(Steady(), lambda: HERE)
    clock.hear("Tue, 24 Nov 2026 18:30:00 GMT")
    assert clock.now() == "2026-11-24T18:30:00Z"
