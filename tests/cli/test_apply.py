from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from modelyard.domain.model import Model
from modelyard.operator.store import ResourceStore

MANIFEST = """\
apiVersion: modelyard.io/v1alpha1
kind: Model
metadata: {name: bot}
spec:
  source: {uri: "hf://org/base"}
  fineTune: {dataset: {uri: data/rows.jsonl}}
"""
KB = """\
apiVersion: modelyard.io/v1alpha1
kind: KnowledgeBase
metadata: {name: docs}
spec: {sources: [{uri: docs}]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "model.yaml").write_text(MANIFEST)
    return folder


def test_applying_creates_configures_and_leaves_alone(run: Callable[..., Result], store: ResourceStore, folder: Path) -> None:
    manifest = str(folder / "model.yaml")
    assert run("apply", "-f", manifest).output == "model/bot created\n"
    assert run("apply", "-f", manifest).output == "model/bot unchanged\n"
    (folder / "model.yaml").write_text(MANIFEST + "  retention: {keepVersions: 2}\n")
    assert run("apply", "-f", manifest).output == "model/bot configured\n"


def test_relative_paths_belong_to_the_manifest(run: Callable[..., Result], store: ResourceStore, folder: Path) -> None:
    run("apply", "-f", str(folder / "model.yaml"))
    model = store.get("Model", "default", "bot")
    assert isinstance(model, Model) and model.spec.fine_tune
    assert model.spec.fine_tune.dataset.uri == f"file://{folder.resolve()}/data/rows.jsonl"


def test_standard_input_and_folders(run: Callable[..., Result], store: ResourceStore, folder: Path) -> None:
    assert run("apply", "-f", "-", input=MANIFEST + "---\n" + KB).output == "model/bot created\nknowledgebase/docs created\n"
    (folder / "below").mkdir()
    (folder / "below" / "kb.json").write_text(
        '{"apiVersion": "modelyard.io/v1alpha1", "kind": "KnowledgeBase","metadata": {"name": "more"}, "spec": {"sources": [{"uri": "x"}]}}'
    )
    (folder / "notes.txt").write_text("no manifest")
    assert run("apply", "-f", str(folder), "--dry-run").output == "model/bot configured (dry run)\n"
    assert (
        run("apply", "-R", "-f", str(folder), "--dry-run").output
        == "knowledgebase/more created (dry run)\nmodel/bot configured (dry run)\n"
    )
    assert store.find("KnowledgeBase", "default", "more") is None


def test_nothing_is_applied_when_one_manifest_is_wrong(run: Callable[..., Result], store: ResourceStore, folder: Path) -> None:
    (folder / "bad.yaml").write_text(KB.replace("sources", "source"))
    (folder / "worse.yaml").write_text("a: b: c")
    result = run("apply", "-f", str(folder))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert [line.removeprefix(f"error: {folder}/").split(";")[0] for line in result.stderr.splitlines()] == [
        "bad.yaml:4: document 1 (KnowledgeBase/docs): spec.sources is missing",
        "bad.yaml:4: document 1 (KnowledgeBase/docs): spec.source is unknown",
        "worse.yaml:1:5: not valid YAML: mapping values are not allowed here",
    ]
    assert store.list() == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            b"# nothing\n", "declares no resource; write at least one document with apiVersion, kind, metadata and spec", id="an empty file"
        ),
        pytest.param(b"a: \xff\xfe", "is not text: byte 3 is not UTF-8; save it as UTF-8", id="a binary file"),
    ],
)
def test_a_useless_file_is_named(run: Callable[..., Result], store: ResourceStore, tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(content)
    result = run("apply", "-f", str(path))
    assert (result.exit_code, result.stderr) == (1, f"error: {path} {message}\n")


def test_files_that_are_not_there(run: Callable[..., Result], store: ResourceStore, tmp_path: Path) -> None:
    assert run("apply", "-f", "nowhere.yaml").stderr == "error: there is no file or folder 'nowhere.yaml'; check the path given with -f\n"
    (tmp_path / "empty").mkdir()
    stderr = run("apply", "-f", str(tmp_path / "empty")).stderr
    assert stderr == f"error: folder '{tmp_path}/empty' has no .yaml, .yml, .json file; name the manifest, or look below it with -R\n"


def test_a_resource_that_is_being_deleted_is_refused(run: Callable[..., Result], store: ResourceStore, folder: Path) -> None:
    run("apply", "-f", str(folder))
    store.request_deletion(("Model", "default", "bot"))
    result = run("apply", "-f", str(folder))
    assert result.exit_code == 1
    assert (
        "Model/bot is being deleted since 2026-01-01T00:00:00Z; wait until it is gone (`modelyard wait model/bot --for delete`)"
        in result.stderr
    )


def test_without_a_platform_only_a_check_is_possible(run: Callable[..., Result], world, folder: Path) -> None:
    result = run("apply", "-f", str(folder))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"error: no platform here ({world.settings.root}); run `modelyard up`, or name another with --home\n"
    assert run("apply", "-f", str(folder), "--dry-run").output == "model/bot valid (dry run)\n"
    assert not world.settings.root.exists()


def test_a_platform_that_is_down_takes_manifests_with_a_warning(
    run: Callable[..., Result], store: ResourceStore, world, folder: Path
) -> None:
    world.running = False
    result = run("apply", "-f", str(folder))
    assert (result.exit_code, result.stdout) == (0, "model/bot created\n")
    assert result.stderr == "warning: the platform is not running; run `modelyard up`\n"
