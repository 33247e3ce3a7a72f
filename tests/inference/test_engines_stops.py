import pytest

from modelyard.inference.engines.stops import StopCutter


@pytest.mark.parametrize(
    ("stops", "pieces", "shown", "stopped"),
    [
        pytest.param((), ["a", "b"], "ab", False, id="no stops: all is shown"),
        pytest.param(("END",), ["say EN", "D more"], "say ", True, id="a stop split over two pieces is never shown"),
        pytest.param(("END",), ["EN", "ough"], "ENough", False, id="what only looked like a stop is shown later"),
        pytest.param(("b", "a"), ["xaybz"], "x", True, id="the first stop in the text counts, not in the list"),
        pytest.param(("",), ["text"], "text", False, id="an empty stop stops nothing"),
        pytest.param(("\n\n",), ["a\n", "b\n"], "a\nb\n", False, id="a held end comes out at the end"),
    ],
)
def test_cuts_at_stops(stops: tuple[str, ...], pieces: list[str], shown: str, stopped: bool) -> None:
    cutter = StopCutter(stops)
    text = "".join(cutter.push(piece) for piece in pieces) + cutter.flush()
    assert (text, cutter.stopped) == (shown, stopped)


def test_shows_nothing_after_the_stop() -> None:
    cutter = StopCutter(("x",))
    assert [cutter.push(piece) for piece in ["a", "x", "b"]] == ["a", "", ""]
