"""Time spans as people write and read them: `1h30m`, `42s`, `3d`."""

import re
from datetime import datetime

from modelyard.domain.errors import InvalidInputError

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_duration(text: str) -> float:
    """Seconds of `10m`, `1h30m`, `90s`, or of a bare number. Raises InvalidInputError."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(r"(\d+(\.\d+)?[dhms])+", text):
        raise InvalidInputError(f"{text!r} is not a time span", "write it like 10m, 1h30m or 90s")
    return sum(float(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([dhms])", text))


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one RFC 3339 time to another, negative if that is before; 0 where either is not known."""
    if not earlier or not later:
        return 0.0
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def format_duration(seconds: float) -> str:
    """The span in its one or two largest units: `42s`, `3m20s`, `15m`, `5h10m`, `3d`."""
    left = max(0, round(seconds))
    if left < 120:
        return f"{left}s"
    for unit, below in (("d", "h"), ("h", "m"), ("m", "s")):
        whole, rest = divmod(left, SECONDS[unit])
        if whole:
            # Beyond ten of a unit, the next smaller one says nothing to a reader.
            smaller = rest // SECONDS[below] if whole < 10 else 0
            return f"{whole}{unit}{smaller}{below}" if smaller else f"{whole}{unit}"
    return f"{left}s"
