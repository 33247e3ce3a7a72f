"""How long ago something was, as people read it."""

from datetime import datetime

from modelyard.domain.durations import format_duration


def format_age(timestamp: str, now: datetime) -> str:
    """How long ago an RFC 3339 time was; empty for none."""
    return format_duration((now - datetime.fromisoformat(timestamp)).total_seconds()) if timestamp else ""
