"""How good one answer is, given the expected one. Pure: knows no model, no suite and no file.

Every metric is a share between 0 and 1, and higher is better.
"""

import json
import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Scorer = Literal["text", "json-record"]

HEADLINES: Mapping[Scorer, str] = {"json-record": "field_score", "text": "f1"}
"""The one metric by which attempts are compared."""


@dataclass(frozen=True)
class Record:
    """The first JSON object in a text."""

    fields: Mapping[str, Any]
    repeats_key: bool
    """Whether an object in it has a key twice; as in `json.loads` the last value is the one that counts."""


def score_text(answer: str, gold: str) -> dict[str, float]:
    """Score a free answer.

    exact_match: equal but for white space. contains: the expected text is somewhere in the answer, but for white space.
    f1: overlap of words after lower-casing and without punctuation and articles.
    Source of f1: Rajpurkar et al. 2016 (SQuAD, arXiv 1606.05250), section 6.1, and its evaluate-v2.0.py.
    """
    said, wanted = _squeeze(answer), _squeeze(gold)
    return {"f1": _token_f1(answer, gold), "exact_match": float(said == wanted), "contains": float(wanted in said)}


def score_record(answer: str, gold: Mapping[str, Any], field_metrics: Mapping[str, str]) -> dict[str, float]:
    """Score an answer that should be a JSON record.

    The first JSON object in the answer counts; a fence (```json) or prose around it costs nothing, so that a
    base which likes to talk gets its best chance. An object that is cut off, or not quite JSON, is no record.

    field_score: share of the expected top-level fields whose value is equal. field_NAME: the same for one field.
    valid_json: there is an object, with exactly the expected keys, none of them twice.
    exact_match: valid_json, and every value is equal. Fields beyond the expected ones cost these two, not field_score.

    gold: at least one field. field_metrics: field name → metric name, from `name_field_metrics`; others are not given singly.
    """
    record = find_record(answer)
    found: Mapping[str, Any] = record.fields if record else {}
    hits = {name: float(name in found and same_json(found[name], value)) for name, value in gold.items()}
    valid = record is not None and not record.repeats_key and found.keys() == gold.keys()
    scores = {"field_score": sum(hits.values()) / len(hits), "exact_match": float(valid and all(hits.values())), "valid_json": float(valid)}
    return scores | {field_metrics[name]: hit for name, hit in hits.items() if name in field_metrics}


def name_field_metrics(names: Sequence[str]) -> dict[str, str]:
    """Field name → metric name, without `.` (it parts suite from metric) and without two that are the same.

    Collisions, also with `field_score`, get a number: the fields `a.b` and `a_b` are `field_a_b` and `field_a_b_2`.
    """
    metrics: dict[str, str] = {}
    for name in names:
        stem = metric = "field_" + re.sub(r"\W", "_", name)
        number = 1
        while metric == "field_score" or metric in metrics.values():
            number += 1
            metric = f"{stem}_{number}"
        metrics[name] = metric
    return metrics


def find_record(text: str) -> Record | None:
    """The first JSON object in a text, or None. What is nested in a broken or cut-off object is not looked at."""
    for start, end in _braced(text):
        record = _parse(text[start:end])
        if record is not None:
            return record
    return None


def parse_record(text: str) -> Mapping[str, Any] | None:
    """A text that is one JSON object and nothing else, or None."""
    record = _parse(text)
    return record.fields if record else None


def same_json(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal: 1 and 1.0 are, 1 and true are not (in Python they would be)."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same_json(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_json, left, right))
    return bool(left == right)


def _braced(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of every outermost {…}; braces inside of strings do not count."""
    depth = start = 0
    in_string = escaped = False
    for position, character in enumerate(text):
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = depth > 0  # a quotation mark in the prose before the object opens no string
        elif character == "{":
            start = start if depth else position
            depth += 1
        elif character == "}" and depth:
            depth -= 1
            if not depth:
                yield start, position + 1


def _parse(text: str) -> Record | None:
    repeats: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        repeats.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return dict(pairs)

    try:
        value = json.loads(text, object_pairs_hook=collect, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return Record(value, bool(repeats)) if isinstance(value, dict) else None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON (RFC 8259)")


def _token_f1(answer: str, gold: str) -> float:
    said, wanted = _words(answer), _words(gold)
    if not said or not wanted:
        return float(said == wanted)
    common = (Counter(said) & Counter(wanted)).total()
    return 2 * common / (len(said) + len(wanted))


def _words(text: str) -> list[str]:
    bare = "".join(character for character in text.lower() if character not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", bare).split()


def _squeeze(text: str) -> str:
    return " ".join(text.split())
