"""What was found in a row, in a few words for error messages."""

import json
from typing import Any

SHOWN_CHARACTERS = 60


def describe(value: Any) -> str:
    """A JSON value: the fields of an object, or the beginning of its text."""
    if isinstance(value, dict):
        return f"an object with the fields {', '.join(sorted(map(str, value))) or '(none)'}"
    return show(json.dumps(value, ensure_ascii=False, default=str))


def show(text: str) -> str:
    """The beginning of a text."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
