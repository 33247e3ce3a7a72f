"""Words for people about documents: paths, values, what a schema expects, the nearest spelling. Pure."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modelyard.domain.resource import NAME_PATTERN

MAX_QUOTED = 60
NAME_REMEDY = "lower-case letters, digits and `-`, with a letter or digit at both ends, at most 63 characters"

Schema = Mapping[str, Any]
"""A JSON schema node whose references are resolved."""


def closest(word: str, options: Iterable[str]) -> str | None:
    """The option that was probably meant, whatever its case and separators; None if none is near."""
    folded = {_fold(option): option for option in options}
    near = difflib.get_close_matches(_fold(word), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None


def suggest(word: str, options: Sequence[str]) -> str:
    """`did you mean X? ` or nothing, to be put before the list of options."""
    meant = closest(word, options)
    return f"did you mean {meant}? " if meant else ""


def listed(options: Iterable[Any]) -> str:
    """`a, b, c`."""
    return ", ".join(str(option) for option in options)


def one_of(options: Sequence[Any]) -> str:
    """`a`, or `one of a, b, c`."""
    return str(options[0]) if len(options) == 1 else f"one of {listed(options)}"


def dotted(path: Iterable[str | int]) -> str:
    """`spec.evaluation.gate[0].metric`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def quoted(value: Any) -> str:
    """A value as its reader would recognize it, at most about 60 characters."""
    match value:
        case None:
            return "empty"
        case bool():
            return json.dumps(value)
        case str():
            return repr(value if len(value) <= MAX_QUOTED else f"{value[: MAX_QUOTED - 1]}…")
        case Mapping():
            return "a mapping"
        case list():
            return "a list" if value else "an empty list"
        case _:
            return str(value)


def expected(schema: Schema) -> str:
    """What a schema node wants: `a whole number of at least 1`, `one of chat, alpaca`, `text`."""
    if "anyOf" in schema:
        return " or ".join(expected(option) for option in schema["anyOf"] if option.get("type") != "null")
    if "const" in schema or "enum" in schema:
        return one_of(schema.get("enum") or [schema["const"]])
    match schema.get("type"):
        case "integer" | "number":
            return _expected_number(schema)
        case "string":
            return _expected_text(schema)
        case "array":
            bounds = {"at least": schema.get("minItems"), "at most": schema.get("maxItems")}
            words = [f"{word} {bound}" for word, bound in bounds.items() if bound]
            return f"a list with {' and '.join(words)} {'entry' if words[-1].endswith(' 1') else 'entries'}" if words else "a list"
        case "boolean":
            return "true or false"
        case _:
            fields = list(schema.get("properties", ()))
            return f"a mapping with {listed(fields)}" if fields else "a mapping"


def described(schema: Schema) -> str:
    """The first sentence of a node's description on one line, without its full stop."""
    text = " ".join(str(schema.get("description", "")).split())
    return text.split(". ")[0].removesuffix(".")


def _fold(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def _expected_number(schema: Schema) -> str:
    noun = "a whole number" if schema["type"] == "integer" else "a number"
    bounds = {
        "at least": schema.get("minimum"),
        "above": schema.get("exclusiveMinimum"),
        "at most": schema.get("maximum"),
        "below": schema.get("exclusiveMaximum"),
    }
    words = [f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None]
    return f"{noun}, {' and '.join(words)}" if words else noun


def _expected_text(schema: Schema) -> str:
    if schema.get("pattern") == NAME_PATTERN:
        return NAME_REMEDY
    if "pattern" in schema:
        return described(schema) or f"text like {schema['pattern']}"
    return "text"
