import pytest

from modelyard.operator.back_off import BackOff


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("asked_s", "delays_s"),
    [
        pytest.param(0, [1, 2, 4, 8, 10, 10], id="twice as long each time, up to the last"),
        pytest.param(3, [3, 3, 4, 8, 10, 10], id="never shorter than the server asks for"),
        pytest.param(60, [60, 60], id="the server may ask for more than the last"),
    ],
)
def test_it_grows(asked_s: float, delays_s: list[float]) -> None:
    back_off = BackOff[str](1, 10)
    assert [back_off.fail("bot", asked_s) for _ in delays_s] == delays_s


def test_a_success_begins_anew() -> None:
    back_off = BackOff[str](1, 10)
    back_off.fail("bot")
    back_off.succeed("bot")
    assert back_off.fail("bot") == 1


def test_what_the_server_asks_for_is_kept_though_something_happens_meanwhile() -> None:
    clock = Clock()
    back_off = BackOff[str](1, 10, clock)
    back_off.fail("bot", 5)
    clock.seconds = 2
    assert (back_off.rest_s("bot"), back_off.rest_s("pal")) == (3, 0)
    clock.seconds = 6
    assert back_off.rest_s("bot") == 0


def test_a_failure_that_nobody_asked_for_time_after_does_not_hold_up_news() -> None:
    back_off = BackOff[str](1, 10)
    back_off.fail("bot")
    assert back_off.rest_s("bot") == 0
