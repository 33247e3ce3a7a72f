"""Build the CustomResourceDefinitions from the pydantic specs. `python -m modelyard.operator.crds FOLDER` writes them.

No kind has a `scale` subresource. `kubectl scale` sets one number, and what serves a Model are two bounds between
which Ray Serve scales by load; the replicas belong to an engine that Models of one base share, so no number of them
is this Model's, and an autoscaler of pods would fight the one of Serve. Change `spec.serving.replicas` instead.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from modelyard.domain.base import Spec
from modelyard.domain.documents import KINDS
from modelyard.domain.resource import API_VERSION, GROUP
from modelyard.operator.crd_listings import LISTINGS
from modelyard.operator.crd_rules import NAME_RULES, RULES
from modelyard.operator.structural import build_schema, build_status_schema, clean

HEADER = "# Generated from the specs by `python -m modelyard.operator.crds charts/platform/files/crds`: change those instead.\n"


def build_crds() -> Iterator[dict[str, Any]]:
    """One definition for each kind."""
    for kind in LISTINGS:
        yield build_crd(kind)


def build_crd(kind: str) -> dict[str, Any]:
    """The definition of one kind."""
    listing = LISTINGS[kind]
    singular = kind.lower()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{singular}s.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": f"{singular}s",
                "singular": singular,
                "shortNames": [listing.short],
                "categories": ["modelyard"],
            },
            "versions": [
                {
                    "name": API_VERSION.partition("/")[2],
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.wire() for column in listing.columns],
                    "selectableFields": [{"jsonPath": path} for path in listing.selectable],
                    "schema": {"openAPIV3Schema": _build_root(kind)},
                }
            ],
        },
    }


def write_crds(folder: Path) -> None:
    """Write one YAML file for each kind. `metadata` comes from Kubernetes; ours is not in them."""
    folder.mkdir(parents=True, exist_ok=True)
    for crd in build_crds():
        (folder / f"{crd['spec']['names']['plural']}.yaml").write_text(render(crd), encoding="utf-8")


def render(crd: Mapping[str, Any]) -> str:
    """A definition as the text of its file."""
    return HEADER + yaml.dump(dict(crd), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Writes what occurs twice twice: anchors are not for people."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _build_root(kind: str) -> dict[str, Any]:
    resource = KINDS[kind]
    return {
        "description": clean(resource.__doc__ or ""),
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            # Kubernetes has this bound by itself, but takes the cost of a rule only from what is written here.
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 253}}},
            "spec": build_schema(_part(resource, "spec"), RULES),
            "status": build_status_schema(_part(resource, "status")),
        },
        "x-kubernetes-validations": [rule.wire() for rule in NAME_RULES],
    }


def _part(resource: type[Spec], field: str) -> type[Spec]:
    part = resource.model_fields[field].annotation
    assert isinstance(part, type) and issubclass(part, Spec)
    return part


if __name__ == "__main__":
    write_crds(Path(sys.argv[1]))
