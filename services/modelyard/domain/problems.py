"""Say what is wrong with a document: where, what, and what to write instead. Pure; knows no file format.

Everything is read from the JSON schemas of the kinds, so that a new field needs no word here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from modelyard.domain.base import Spec
from modelyard.domain.wording import Schema, described, dotted, expected, listed, one_of, quoted, suggest

SERVER_SET = frozenset({"uid", "generation", "resourceVersion", "creationTimestamp", "deletionTimestamp", "ownerReferences", "status"})
"""Fields that the platform writes; people find no mention of them."""

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a document."""

    path: Path
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"


def find_problems(kind: type[Spec], document: Mapping[str, Any]) -> list[Problem]:
    """Everything that keeps a document from being one of `kind`; empty when it is one. Only camelCase is accepted."""
    try:
        kind.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        schema = _resolve(kind.model_json_schema(by_alias=True))
        found: dict[Path, Problem] = {}
        for details in error.errors(include_url=False):
            problem = _explain(details, schema)
            # The branches of a union complain one by one about the same value.
            found.setdefault(problem.path, problem)
        return list(found.values())
    return []


def _explain(details: ErrorDetails, schema: Schema) -> Problem:
    path, node, parent = _locate(schema, details["loc"])
    name = dotted(path) or "the document"
    match details["type"]:
        case "missing":
            return Problem(path, f"{name} is missing", _ask_for(node))
        case "extra_forbidden":
            return _explain_unknown(path, parent, schema)
        case "value_error":
            problem, _, remedy = details["msg"].removeprefix("Value error, ").partition("; ")
            return Problem(path, f"{name}: {problem}", remedy)
        case "invalid_key":
            return Problem(path[:-1], f"{dotted(path[:-1]) or 'the document'} has a key that is not text", "put it in quotes")
        case _:
            return Problem(path, *_explain_value(name, details["input"], node, parent, path))


def _explain_value(name: str, value: Any, node: Schema, parent: Schema, path: Path) -> tuple[str, str]:
    wanted = expected(node)
    problem = f"{name} is {quoted(value)}"
    if value is None:
        optional = path[-1:] and path[-1] not in parent.get("required", ())
        return problem, f"give {wanted}{', or remove the line' if optional else ''}"
    if isinstance(value, str):
        return problem, suggest(value, _choices(node)) + f"give {wanted}"
    if node.get("type") == "string" and not isinstance(value, Mapping | list):
        return f"{problem}, which is not text", f"put it in quotes: '{quoted(value)}'"
    return problem, f"give {wanted}"


def _explain_unknown(path: Path, parent: Schema, schema: Schema) -> Problem:
    field = str(path[-1])
    fields = list(parent.get("properties", ()))
    known = f"{dotted(path[:-1]) or 'the document'} has {listed(fields)}"
    hint = suggest(field, fields)
    elsewhere = list(_places(schema, field))
    if not hint and elsewhere:
        hint = f"did you mean {one_of(elsewhere)}? "
    return Problem(path, f"{dotted(path)} is unknown", hint + known)


def _ask_for(node: Schema) -> str:
    required = [field for field in node.get("required", ()) if field not in SERVER_SET]
    if node.get("type") == "object" and required:
        return f"add it with at least {listed(required)}"
    return f"add it: {described(node) or expected(node)}"


def _choices(node: Schema) -> list[str]:
    options = node.get("anyOf", [node])
    values = [value for option in options for value in (option.get("enum") or [option.get("const")])]
    return [value for value in values if isinstance(value, str)]


def _resolve(schema: dict[str, Any]) -> Schema:
    """The schema as people see it: references and `or null` replaced by what they stand for, nothing that the server sets.

    A field's own words win over those of its type.
    """
    definitions: dict[str, Any] = schema.get("$defs", {})

    def expand(node: Any) -> Any:
        if isinstance(node, list):
            return [expand(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            node = {**definitions[node["$ref"].rpartition("/")[2]], **node}
        present = [option for option in node.get("anyOf", ()) if option != {"type": "null"}]
        if len(present) == 1:
            node = {**expand(present[0]), **node}
        dropped = {"$ref", "$defs", *(["anyOf"] if len(present) == 1 else [])}
        expanded = {key: expand(value) for key, value in node.items() if key not in dropped}
        if isinstance(expanded.get("properties"), dict):
            expanded["properties"] = {name: below for name, below in expanded["properties"].items() if name not in SERVER_SET}
        return expanded

    expanded: Schema = expand(schema)
    return expanded


def _locate(schema: Schema, location: Sequence[str | int]) -> tuple[Path, Schema, Schema]:
    """Where an error is: the path without pydantic's names for union branches, its node, and the node above."""
    path: list[str | int] = []
    parent, node = schema, schema
    for position, part in enumerate(location):
        below = _step(node, part)
        if below is not None:
            path.append(part)
            parent, node = node, below
        elif position == len(location) - 1 and "anyOf" not in node:
            return (*path, part), {}, node
    return tuple(path), node, parent


def _step(node: Schema, part: str | int) -> Schema | None:
    for option in node.get("anyOf", [node]):
        if isinstance(part, int) and "items" in option:
            return dict(option["items"])
        if isinstance(part, str) and part in option.get("properties", {}):
            return dict(option["properties"][part])
        if isinstance(part, str) and isinstance(option.get("additionalProperties"), Mapping):
            return dict(option["additionalProperties"])
    return None


def _places(node: Schema, field: str, above: str = "") -> Iterator[str]:
    """The paths of every field of this name."""
    for option in node.get("anyOf", [node]):
        for name, below in option.get("properties", {}).items():
            place = f"{above}.{name}".removeprefix(".")
            if name == field:
                yield place
            yield from _places(below, field, place)
        if isinstance(option.get("items"), Mapping):
            yield from _places(option["items"], field, f"{above}[]")
