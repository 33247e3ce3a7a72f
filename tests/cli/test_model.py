import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.artifacts.store import ArtifactStore


@pytest.fixture
def artifacts(world: Any) -> ArtifactStore:
    return ArtifactStore(world.settings.artifacts_uri)


def add(artifacts: ArtifactStore, kind: Any, base_digest: str = "", **config: Any) -> str:
    with artifacts.staging(1 << 10) as folder:
        (folder / "config.json").write_text(json.dumps(config))
        return artifacts.add(folder, Manifest(kind=kind, files=list_files(folder), base_digest=base_digest))


def test_an_artifact_is_exported_by_the_beginning_of_its_digest(
    run: Callable[..., Result], artifacts: ArtifactStore, tmp_path: Path
) -> None:
    digest = add(artifacts, "causal-lm", layers=1)
    result = run("model", "export", digest[:8], str(tmp_path / "out"))
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'out'}\n")
    assert json.loads((tmp_path / "out/config.json").read_text()) == {"layers": 1}
    assert (tmp_path / "out/manifest.json").exists()


def test_nothing_is_overwritten(run: Callable[..., Result], artifacts: ArtifactStore, tmp_path: Path) -> None:
    digest = add(artifacts, "causal-lm")
    result = run("model", "export", digest, str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"error: {tmp_path} is there already; name a new one\n"


def test_what_is_not_there_is_told_with_how_to_find_it(run: Callable[..., Result], artifacts: ArtifactStore, tmp_path: Path) -> None:
    digest = add(artifacts, "causal-lm")
    for what in ("0" * 64, digest[:7]):
        result = run("model", "export", what, str(tmp_path / "out"))
        assert result.exit_code == 1
        assert f"{what} is neither a ModelVersion nor an artifact of" in result.stderr
        assert "of a digest give at least 8 digits" in result.stderr


def test_an_adapter_is_merged_before_it_becomes_gguf(run: Callable[..., Result], artifacts: ArtifactStore, tmp_path: Path) -> None:
    digest = add(artifacts, "adapter", base_digest="b" * 64)
    result = run("model", "export", digest, str(tmp_path / "bot.gguf"))
    assert result.exit_code == 1
    assert f"run `modelyard model merge {digest}` first" in result.stderr


def test_a_number_format_that_gguf_has_not_is_refused(run: Callable[..., Result], artifacts: ArtifactStore, tmp_path: Path) -> None:
    digest = add(artifacts, "causal-lm")
    result = run("model", "export", digest, str(tmp_path / "bot.gguf"), "--type", "q9")
    assert result.exit_code == 1
    assert "GGUF type 'q9' is unknown; give one of f32, f16, bf16, q8_0, auto" in result.stderr


def test_a_source_that_is_not_there_is_named(run: Callable[..., Result], artifacts: ArtifactStore, tmp_path: Path) -> None:
    result = run("model", "download", f"file://{tmp_path / 'none'}")
    assert result.exit_code == 1
    assert str(tmp_path / "none") in result.stderr
