from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from modelyard.operator.store import ResourceStore

MANIFEST = """\
apiVersion: modelyard.io/v1alpha1
kind: Model
metadata: {name: bot}
spec:
  source: {uri: "hf://org/base"}
  fineTune: {dataset: {uri: rows.jsonl}}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    path = tmp_path / "model.yaml"
    path.write_text(MANIFEST)
    return path


def test_a_new_model_begins_with_its_weights_also_without_a_platform(run: Callable[..., Result], manifest: Path) -> None:
    lines = run("plan", "-f", str(manifest)).output.splitlines()
    assert lines[0] == "model/bot would be created"
    assert len(lines) == 2 and lines[1].startswith("  runs fetch-") and lines[1].endswith("(fetch)")


def test_a_change_is_told_field_by_field_and_nothing_is_stored(run: Callable[..., Result], store: ResourceStore, manifest: Path) -> None:
    run("apply", "-f", str(manifest))
    revision = store.revision()
    manifest.write_text(MANIFEST + "  retention: {keepVersions: 2}\n")
    lines = run("plan", "-f", str(manifest)).output.splitlines()
    assert lines[:2] == ["model/bot would be configured", "  spec.retention.keepVersions: 5 → 2"]
    assert store.revision() == revision


def test_what_is_so_already_stays(run: Callable[..., Result], store: ResourceStore, manifest: Path) -> None:
    run("apply", "-f", str(manifest))
    assert run("plan", "-f", str(manifest)).output.splitlines()[0] == "model/bot stays as it is"


def test_a_manifest_with_a_problem_is_refused(run: Callable[..., Result], manifest: Path) -> None:
    manifest.write_text(MANIFEST.replace("source", "sauce"))
    result = run("plan", "-f", str(manifest))
    assert result.exit_code == 1
    assert "spec.sauce" in result.stderr
