import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

import pytest
import yaml
from pydantic import Field, model_validator

from modelyard.domain.base import Spec
from modelyard.domain.documents import KINDS
from modelyard.operator.crd_listings import LISTINGS
from modelyard.operator.crd_rules import RULES
from modelyard.operator.crds import build_crd, build_crds, render, write_crds
from modelyard.operator.structural import LIST_ONLY, Rule, build_schema, build_status_schema, clean

COMMITTED = Path(__file__).parents[2] / "charts/platform/files/crds"


def classes_of(spec: type[Spec], seen: set[type[Spec]]) -> set[type[Spec]]:
    """All Spec classes that fields of a class lead to."""
    if spec not in seen:
        seen.add(spec)
        for field in spec.model_fields.values():
            for found in _specs_in(field.annotation):
                classes_of(found, seen)
    return seen


def _specs_in(annotation: Any) -> Iterator[type[Spec]]:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _specs_in(argument)


def nodes_of(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node with a type, by its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes_of(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes_of(schema[key], f"{path}[]")


def root_of(kind: str) -> dict[str, Any]:
    root: dict[str, Any] = build_crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return root


SPEC_CLASSES = set[type[Spec]]().union(*(classes_of(kind.model_fields["spec"].annotation, set()) for kind in KINDS.values()))
KIND_NAMES = [pytest.param(kind, id=kind) for kind in KINDS]


# One table for the whole repository


def test_what_is_committed_is_what_the_specs_say(tmp_path: Path) -> None:
    write_crds(tmp_path)
    fresh = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()}
    committed = {file.name: file.read_text(encoding="utf-8") for file in COMMITTED.iterdir()}
    assert committed == fresh, "run `python -m modelyard.operator.crds charts/platform/files/crds`"


def test_every_kind_has_a_definition() -> None:
    assert set(LISTINGS) == set(KINDS)
    assert [crd["spec"]["names"]["kind"] for crd in build_crds()] == list(LISTINGS)


def test_every_validator_is_said_again_in_cel() -> None:
    # In one thing pydantic is stricter: CEL knows no calendar, so its rule finds days that never come as people write them,
    # and `0 0 31 2/7 *` (a step from February) is told by the operator as InvalidSpec. See tests/cluster/test_schedules.py.
    validators = {
        (spec.__name__, name)
        for spec in SPEC_CLASSES
        for name in (*spec.__pydantic_decorators__.model_validators, *spec.__pydantic_decorators__.field_validators)
    }
    said = {(name, rule.validator) for name, rules in RULES.items() for rule in rules if rule.validator}
    assert validators == said, "crd_rules.RULES and the validators of the specs differ"


def test_every_rule_has_a_class() -> None:
    assert RULES.keys() <= {spec.__name__ for spec in SPEC_CLASSES}


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_every_field_reads_like_documentation(kind: str) -> None:
    properties = root_of(kind)["properties"]
    named = [node for part in ("spec", "status") for node in nodes_of(properties[part], part) if not node[0].endswith("[]")]
    assert [path for path, node in named if not node.get("description")] == []
    assert [path for path, node in named if "`" in node["description"] or "\n" in node["description"]] == []


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_the_schema_is_structural(kind: str) -> None:
    nodes = list(nodes_of(root_of(kind)))
    assert [path for path, node in nodes if not node.keys() & {"type", "x-kubernetes-preserve-unknown-fields"}] == []
    allowed = {"description", "type", "enum", "format", "default", "required", "properties", "items", "additionalProperties", "anyOf"}
    allowed |= {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems"}
    assert {key for _, node in nodes for key in node if not key.startswith("x-kubernetes-")} <= allowed


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_columns_and_selectors_lead_somewhere(kind: str) -> None:
    version = build_crd(kind)["spec"]["versions"][0]
    paths = [column["jsonPath"] for column in version["additionalPrinterColumns"]] + [s["jsonPath"] for s in version["selectableFields"]]
    known = {path for path, _ in nodes_of(root_of(kind))} | {".metadata.creationTimestamp"}
    assert {re.sub(r"\[.*?\]", "[]", path) for path in paths} <= known


def test_the_metadata_is_left_to_kubernetes() -> None:
    name = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 253}}}
    assert {kind: root_of(kind)["properties"]["metadata"] for kind in KINDS} == dict.fromkeys(KINDS, name)


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_a_definition_survives_its_file(kind: str) -> None:
    crd = build_crd(kind)
    assert yaml.safe_load(render(crd)) == crd
    assert "&id" not in render(crd)


# The conversion


class Bolt(Spec):
    """How two plates are held."""

    size: int = Field(default=8, ge=3)
    coating: Literal["zinc", "none"] | None = None
    """What keeps `rust` away"""


class Plate(Spec):
    """A plate."""

    name: str = Field(pattern=r"^[a-z]+$")
    """Lower-case letters."""
    mass: float = Field(default=1.0, gt=0, lt=2.5)
    bolt: Bolt = Bolt()
    other: Bolt = Bolt(size=10)
    """A second one."""
    holes: Literal["all"] | list[str] = "all"
    tags: dict[str, str] = {}

    @model_validator(mode="after")
    def _is_light(self) -> Self:
        return self


BOLT = {
    "type": "object",
    "properties": {
        "size": {"description": "At least 3. Default: 8.", "type": "integer", "minimum": 3, "default": 8},
        "coating": {"description": 'What keeps "rust" away.', "type": "string", "enum": ["zinc", "none"]},
    },
    "x-kubernetes-validations": [{"rule": "true", "message": "no"}],
}


def test_a_spec_becomes_a_structural_schema() -> None:
    assert build_schema(Plate, {"Bolt": [Rule("true", "no")], "Plate": [Rule("false", "{} of 100 %; go", ("1",))]}) == {
        "description": "A plate.",
        "type": "object",
        "required": ["name"],
        "x-kubernetes-validations": [{"rule": "false", "messageExpression": '"%s of 100 %%; go".format([dyn(1)])'}],
        "properties": {
            "name": {
                "description": "Lower-case letters.",
                "type": "string",
                "maxLength": 253,
                "x-kubernetes-validations": [
                    {
                        "rule": 'self.matches("^[a-z]+$")',
                        "messageExpression": "\"it is '%s'; give Lower-case letters\".format([dyn(self)])",
                    }
                ],
            },
            "mass": {
                "description": "Above 0 and below 2.5. Default: 1.",
                "type": "number",
                "minimum": 0,
                "exclusiveMinimum": True,
                "maximum": 2.5,
                "exclusiveMaximum": True,
                "default": 1,
            },
            "bolt": {"description": "How two plates are held.", **BOLT, "default": {"size": 8}},
            "other": {"description": "A second one.", **BOLT, "default": {"size": 10}},
            "holes": {
                "description": "Default: all.",
                "x-kubernetes-preserve-unknown-fields": True,
                "items": {"type": "string"},
                "anyOf": [{"enum": ["all"]}, LIST_ONLY],
                "default": "all",
            },
            "tags": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
        },
    }


def test_a_status_has_neither_defaults_nor_rules() -> None:
    status = build_status_schema(Plate)
    assert status["properties"]["name"] == {"description": "Lower-case letters.", "type": "string"}
    assert [path for path, node in nodes_of(status) if node.keys() & {"default", "x-kubernetes-validations"}] == []


def test_a_union_that_kubernetes_refuses_is_not_built() -> None:
    class Odd(Spec):
        value: int | list[str]

    with pytest.raises(NotImplementedError, match="no structural schema for this union"):
        build_schema(Odd, {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("Two\n    lines.", "Two lines.", id="lines are joined"),
        pytest.param("Either `auto` or ``never``", 'Either "auto" or "never".', id="names stand in quotes, and a sentence ends"),
        pytest.param("", "", id="nothing stays nothing"),
    ],
)
def test_docstrings_become_sentences(text: str, words: str) -> None:
    assert clean(text) == words
