"""Turn a pydantic spec into the structural schema that a CustomResourceDefinition asks for. Pure; knows no kind.

A structural schema has no references, gives every node one type, and says what a type cannot as CEL rules.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.domain.base import Spec
from modelyard.domain.wording import expected

Schema = dict[str, Any]

MAX_PATTERNED = 253
"""Characters of a text with a pattern and no bound of its own: a rule over a text without bound is refused for its cost."""

COPIED = ("enum", "format", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")

LIST_ONLY: Schema = {
    "minLength": 1,
    "maxLength": 0,
    "minimum": 1,
    "maximum": 0,
    "minProperties": 1,
    "maxProperties": 0,
    "not": {"enum": [True, False]},
}
"""Refuses everything but a list: each bound speaks of one other type. A nested schema may not name a type."""


@dataclass(frozen=True)
class Rule:
    """One CEL rule."""

    rule: str
    text: str
    """What is wrong and the remedy, with `{}` for each value."""
    values: tuple[str, ...] = ()
    """CEL expressions."""
    validator: str = ""
    """The pydantic validator of the same class that says the same; empty where Kubernetes alone needs the rule."""

    def wire(self) -> dict[str, str]:
        """As it stands in `x-kubernetes-validations`.

        The message is one `format`: the API server cannot bound a text that is put together by `+`, and refuses it.
        """
        if not self.values:
            return {"rule": self.rule, "message": self.text}
        template = json.dumps(self.text.replace("%", "%%").replace("{}", "%s"), ensure_ascii=False)
        return {"rule": self.rule, "messageExpression": f"{template}.format([{', '.join(f'dyn({value})' for value in self.values)}])"}


def build_schema(spec: type[Spec], rules: Mapping[str, Sequence[Rule]]) -> Schema:
    """The schema of what users write. rules: name of a pydantic class → its rules."""
    return _Converter(spec, rules, defaults=True).build()


def build_status_schema(status: type[Spec]) -> Schema:
    """The schema of what the operator writes: no defaults, so that nothing is there before it was observed, and no rules."""
    return _Converter(status, {}, defaults=False).build()


def clean(text: str) -> str:
    """A docstring as `kubectl explain` shows it: one paragraph, names in quotes instead of backticks, a full stop."""
    plain = re.sub(r"`+([^`]+)`+", r'"\1"', " ".join(text.split()))
    return plain if not plain or plain.endswith((".", "?", "!", ":")) else f"{plain}."


class _Converter:
    def __init__(self, spec: type[Spec], rules: Mapping[str, Sequence[Rule]], *, defaults: bool) -> None:
        self._root = spec.model_json_schema(by_alias=True)
        self._definitions: Mapping[str, Schema] = self._root.get("$defs", {})
        self._name = spec.__name__
        self._rules = rules
        self._defaults = defaults

    def build(self) -> Schema:
        return self._convert(self._root)

    def _convert(self, given: Schema) -> Schema:
        node = self._resolve(given)
        schema: Schema = {}
        if "anyOf" in node:
            schema |= self._convert_union(node)
        else:
            schema["type"] = _type(node)
            schema |= {key: node[key] for key in COPIED if key in node}
            schema |= _bounds(node)
            if "const" in node:
                schema["enum"] = [node["const"]]
        if schema.get("type") == "array":
            schema["items"] = self._convert(node["items"])
            schema |= _list_type(schema["items"])
        if schema.get("type") == "object":
            schema |= self._convert_fields(node)
        rules = self._rules_of(given, node, schema)
        if rules:
            schema["x-kubernetes-validations"] = [rule.wire() for rule in rules]
        if self._defaults and node.get("default") is not None:
            schema["default"] = _present(node["default"])
        description = self._describe(node, schema)
        return {"description": description, **schema} if description else schema

    def _resolve(self, node: Schema) -> Schema:
        """The node without references and without `or null`; a field's own words win over those of its type."""
        while True:
            present = [option for option in node.get("anyOf", ()) if option != {"type": "null"}]
            if "$ref" in node:
                rest = {key: value for key, value in node.items() if key != "$ref"}
                node = {**self._definitions[_referred(node)], **rest}
            elif len(present) == 1:
                node = {**present[0], **{key: value for key, value in node.items() if key != "anyOf"}}
            else:
                return {**node, "anyOf": present} if present else node

    def _convert_fields(self, node: Schema) -> Schema:
        if "properties" not in node:
            return {"additionalProperties": self._convert(node["additionalProperties"])}
        fields: Schema = {"properties": {name: self._convert(field) for name, field in node["properties"].items()}}
        if node.get("required"):
            fields["required"] = node["required"]
        return fields

    def _convert_union(self, node: Schema) -> Schema:
        """Words or a list: the only union there is. Without a type, CEL cannot see it, so plain bounds do the work."""
        words = [option.get("enum", [option["const"]] if "const" in option else []) for option in node["anyOf"]]
        lists = [option for option in node["anyOf"] if option.get("type") == "array"]
        if len(words) != 2 or len(lists) != 1 or not any(words):
            raise NotImplementedError(f"{node.get('title')}: no structural schema for this union: {node['anyOf']}")
        return {
            "x-kubernetes-preserve-unknown-fields": True,
            "items": self._convert(lists[0]["items"]),
            "anyOf": [{"enum": [word for options in words for word in options]}, LIST_ONLY],
        }

    def _rules_of(self, given: Schema, node: Schema, schema: Schema) -> list[Rule]:
        """The rules of the class behind a node, or the rule that its pattern becomes: a pattern alone has no words."""
        if self._defaults and "pattern" in node:
            schema.setdefault("maxLength", MAX_PATTERNED)
            return [Rule(f"self.matches({json.dumps(node['pattern'])})", f"it is '{{}}'; give {expected(node)}", ("self",))]
        referred = [option for option in (given, *given.get("anyOf", ())) if "$ref" in option]
        name = _referred(referred[0]) if referred else self._name if given is self._root else ""
        return list(self._rules.get(name, ()))

    def _describe(self, node: Schema, schema: Schema) -> str:
        parts = [clean(node.get("description", ""))]
        bounds = expected(node).partition(", ")[2] if schema.get("type") in ("integer", "number") and "enum" not in schema else ""
        if bounds and self._defaults:
            parts.append(f"{bounds[0].upper()}{bounds[1:]}.")
        if "properties" not in schema and schema.get("default") not in (None, "", [], {}):
            parts.append(f"Default: {_told(schema['default'])}.")
        return " ".join(part for part in parts if part)


def _referred(node: Schema) -> str:
    return str(node["$ref"]).rpartition("/")[2]


def _type(node: Schema) -> str:
    return str(node.get("type", "object"))


def _bounds(node: Schema) -> Schema:
    """OpenAPI 3.0 has the bound and its exclusiveness in two keys."""
    bounds: Schema = {}
    for bound in ("minimum", "maximum"):
        exclusive = f"exclusive{bound.capitalize()}"
        if exclusive in node:
            bounds |= {bound: _short(node[exclusive]), exclusive: True}
        elif bound in node:
            bounds[bound] = _short(node[bound])
    return bounds


def _list_type(items: Schema) -> Schema:
    """Conditions are told apart by their type, as everywhere in Kubernetes."""
    if {"type", "status", "reason"} <= items.get("properties", {}).keys():
        return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return {}


def _present(default: Any) -> Any:
    """A default in full: the rules are tried on it before the defaults below it are filled in."""
    if isinstance(default, Mapping):
        return {name: _present(value) for name, value in default.items() if value is not None}
    return _short(default)


def _short(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _told(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
