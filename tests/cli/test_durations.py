from datetime import UTC, datetime

from modelyard.cli.durations import format_age


def test_ages() -> None:
    now = datetime(2026, 1, 1, 1, tzinfo=UTC)
    assert format_age("2026-01-01T00:30:00Z", now) == "30m"
    assert format_age("", now) == ""
