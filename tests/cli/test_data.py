import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.tiny_models import build_tokenizer
from typer.testing import Result

from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.artifacts.store import ArtifactStore

TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
ROWS = [{"prompt": f"What comes after {n}?", "completion": f"{n + 1}."} for n in (1, 2, 3, 1)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tokenizer."""
    folder = tmp_path_factory.mktemp("base")
    build_tokenizer(TEMPLATE, eos_token="<|end|>", additional_special_tokens=["<|start|>"]).save_pretrained(folder)
    return folder


@pytest.fixture
def file(tmp_path: Path) -> str:
    return write(tmp_path / "rows.jsonl", ROWS)


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_a_dataset_is_checked_without_a_platform_or_a_base(run: Callable[..., Result], file: str) -> None:
    result = run("data", "check", file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.split() for line in result.output.splitlines()] == [
        ["WHAT", "FOUND"],
        ["format", "prompt-completion"],
        ["files", "1"],
        ["rows", "4"],
        ["duplicates", "1"],
    ]


def test_with_a_base_tokens_are_counted(run: Callable[..., Result], file: str, base: Path, tmp_path: Path) -> None:
    suite = write(tmp_path / "suite.jsonl", ROWS[2:3])
    result = run("data", "check", file, "--base", str(base), "--suite", suite, "--max-length", "48", "-o", "json")
    assert json.loads(result.output) == {
        "format": "prompt-completion",
        "files": 1,
        "rows": 4,
        "duplicates": 1,
        "contaminated": {suite: 1},
        "overlong": 0,
        "truncated": 0,
        "masked": 0,
        "train": 2,
        "validation": 0,
        "tokens": 82,
        "learnedTokens": 6,
        "maskedShare": 0.9268,
        "lengths": {"p50": 41, "p95": 41, "max": 41},
    }
    assert "masked share      92.7%" in run("data", "check", file, "--base", str(base), "--max-length", "48").output


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        pytest.param([ROWS[0], {"text": "a"}], (), "line 2 is text, but the rows before it are prompt-completion; keep to", id="mixed"),
        pytest.param([], (), "is empty; write", id="empty"),
        pytest.param([ROWS[0]], ("--format", "chat"), "line 1 is prompt-completion, but the format is chat", id="another format"),
        pytest.param([ROWS[0]], ("--base", "{base}", "--max-length", "8"), "all 1 would be masked; raise", id="nothing is learned"),
        pytest.param([ROWS[0]], ("--base", "gone"), "gone is neither a folder nor a digest nor the URI of weights", id="no base"),
        pytest.param([ROWS[0]], ("--base", "0" * 12), "0 artifacts in .* begin with 000000000000; write all 64", id="no such artifact"),
    ],
)
def test_what_a_training_would_refuse_exits_with_1(
    run: Callable[..., Result], tmp_path: Path, base: Path, rows: list[Any], options: tuple[str, ...], message: str
) -> None:
    result = run("data", "check", write(tmp_path / "rows.jsonl", rows), *(option.format(base=base) for option in options))
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert re.search(message, result.stderr)


def test_a_preview_marks_what_is_learned(run: Callable[..., Result], file: str, base: Path) -> None:
    result = run("data", "preview", file, "--base", str(base), "--rows", "1")
    assert result.output == (
        f"── {file} line 1: 41 tokens, 3 learned\n<|start|>user\nWhat comes after 1?<|end|>\n<|start|>assistant\n⟦2.<|end|>⟧\n\n"
    )


def test_a_preview_gives_programs_ids_and_mask(run: Callable[..., Result], file: str, base: Path) -> None:
    lines = run("data", "preview", file, "--base", str(base), "--rows", "2", "-o", "json").output.splitlines()
    shown = [json.loads(line) for line in lines]
    assert [(row["line"], len(row["ids"]), sum(row["learned"]), row["truncated"]) for row in shown] == [
        (1, 41, 3, False),
        (2, 41, 3, False),
    ]


def test_a_base_may_be_an_artifact_by_its_digest_or_the_beginning_of_it(
    run: Callable[..., Result], world: Any, file: str, base: Path
) -> None:
    store = ArtifactStore(world.settings.artifacts_uri)
    with store.staging(1 << 20) as folder:
        for path in base.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        digest = store.add(folder, Manifest(kind="causal-lm", files=list_files(folder)))
    outputs = {run("data", "preview", file, "--base", name).output for name in (digest, digest[:12], str(base))}
    assert len(outputs) == 1 and "⟦2.<|end|>⟧" in outputs.pop()
