import importlib
import importlib.util
import inspect
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from modelyard.datasets.rows import read_conversations

SCRIPT = Path(__file__).parents[2] / "examples/python-helper/build_data.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_data", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    done = subprocess.run([sys.executable, "-W", "error", str(SCRIPT), "--out", str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.endswith(f"79 documents are in {folder}\n")
    return folder


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(row.answer) for row in read_conversations(str(path), "chat")]


def test_there_are_enough_rows_and_every_answer_has_the_same_fields(data: Path) -> None:
    train, held_out = records(data / "train.jsonl"), records(data / "heldout.jsonl")
    assert len(train) >= 240
    assert len(held_out) >= 40
    assert {tuple(record) for record in train + held_out} == {("name", "parameters", "summary", "returns")}
    assert sum("=" in "".join(record["parameters"]) for record in train) >= len(train) / 4
    assert sum(record["returns"] is not None for record in train) >= len(train) / 4


def test_nothing_that_is_scored_was_learned(data: Path) -> None:
    train, held_out = records(data / "train.jsonl"), records(data / "heldout.jsonl")
    summaries = [record["summary"] for record in train + held_out]
    assert len(set(summaries)) == len(summaries)


def test_the_modules_of_the_two_sets_are_apart(script: ModuleType) -> None:
    assert not set(script.HELD_OUT_MODULES) & set(script.TRAIN_MODULES)
    assert len(set(script.TRAIN_MODULES)) == len(script.TRAIN_MODULES)


def test_the_answers_are_what_python_says(data: Path, script: ModuleType) -> None:
    for record in records(data / "heldout.jsonl"):
        homes = [importlib.import_module(name) for name in script.HELD_OUT_MODULES]
        functions = [vars(module)[record["name"]] for module in homes if record["name"] in vars(module)]
        names = [written.partition("=")[0].lstrip("*") for written in record["parameters"]]
        assert any(list(inspect.signature(function).parameters) == names for function in functions)


def test_every_question_names_the_fields_and_holds_what_is_asked(data: Path) -> None:
    for row in read_conversations(str(data / "train.jsonl")):
        question, record = row.messages[0].content, json.loads(row.answer)
        assert all(field in question for field in record)
        assert record["summary"] in " ".join(question.split())
        assert len(question) < 600


def test_the_same_python_gives_the_same_bytes(data: Path, tmp_path: Path) -> None:
    # Not in this process: libraries that other tests load replace functions of the standard library.
    subprocess.run([sys.executable, str(SCRIPT), "--out", str(tmp_path)], capture_output=True, check=True, env={"PYTHONHASHSEED": "7"})
    for file in ("train.jsonl", "heldout.jsonl", "docs/assert.md"):
        assert (tmp_path / file).read_bytes() == (data / file).read_bytes()


def test_every_document_begins_with_its_title(data: Path) -> None:
    pages = sorted((data / "docs").glob("*.md"))
    assert len(pages) == 79
    assert all(page.read_text().startswith("# ") for page in pages)
    assert (data / "docs" / "assert.md").read_text().startswith('# The "assert" statement\n\nAssert statements are')


def test_a_function_with_a_default_is_described(script: ModuleType) -> None:
    def indent(text: str, *lines: str, prefix: str = "> ", **more: int) -> None:
        """Put a prefix
        before lines. Not before empty ones.
        """

    assert script.describe(indent) == {
        "name": "indent",
        "parameters": ["text", "*lines", "prefix='> '", "**more"],
        "summary": "Put a prefix before lines.",
        "returns": "None",
    }


def test_what_a_function_returns_is_taken_from_its_summary_where_it_has_no_annotation(script: ModuleType) -> None:
    def first(items):  # type: ignore[no-untyped-def]
        """Return the first of the items."""

    assert script.describe(first)["returns"] == "the first of the items"


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        pytest.param("Return it.", "Return it.", id="one sentence"),
        pytest.param("Return it, e.g. now. Or later.", "Return it, e.g. now.", id="an abbreviation does not end it"),
        pytest.param("f(x) -> y\n\nReturn it.", "", id="a signature is no sentence"),
        pytest.param("Return it", "", id="no full stop"),
        pytest.param("Return " + "x" * 200 + ".", "", id="too long"),
    ],
)
def test_only_a_plain_first_sentence_is_taken(script: ModuleType, docstring: str, sentence: str) -> None:
    assert script.first_sentence(docstring) == sentence


def test_a_long_help_text_is_cut_at_a_word(script: ModuleType) -> None:
    text = "word " * 100
    cut = script.cut(text)
    assert len(cut) <= script.HELP_CHARACTERS + 4
    assert cut.endswith("word ...")
