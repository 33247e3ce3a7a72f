import pytest

from modelyard.domain.durations import format_duration, parse_duration, seconds_between
from modelyard.domain.errors import InvalidInputError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800), ("1.5m", 90), ("45", 45), ("0", 0)]
)
def test_spans_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "ten", "5 m", "-5m", "m", "10m!"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="is not a time span; write it like 10m, 1h30m or 90s"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (0.4, "0s"), (119, "119s"), (200, "3m20s"), (240, "4m"), (900, "15m"), (18600, "5h10m"), (90000, "1d1h"), (2e6, "23d")],
)
def test_spans_are_written(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("earlier", "later", "seconds"),
    [
        pytest.param("2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z", 90, id="forwards"),
        pytest.param("2026-01-01T00:01:30Z", "2026-01-01T00:00:00Z", -90, id="backwards"),
        pytest.param("2026-01-01T01:00:00+01:00", "2026-01-01T00:00:01Z", 1, id="over time zones"),
        pytest.param("", "2026-01-01T00:00:00Z", 0, id="nothing began"),
        pytest.param("2026-01-01T00:00:00Z", "", 0, id="no time is known"),
    ],
)
def test_seconds_between_two_times(earlier: str, later: str, seconds: float) -> None:
    assert seconds_between(earlier, later) == seconds
