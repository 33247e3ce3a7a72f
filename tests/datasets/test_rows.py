import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from modelyard.datasets.rows import Conversation, Message, read_conversations
from modelyard.domain.errors import InvalidInputError, NotFoundError

USER = {"role": "user", "content": "2+2?"}
ANSWER = {"role": "assistant", "content": "4"}
CHAT = {"messages": [USER, ANSWER]}
TURNS = (Message("user", "2+2?"), Message("assistant", "4"))


def write(folder: Path, *rows: Any) -> str:
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return str(path)


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        pytest.param(CHAT, TURNS, id="OpenAI chat"),
        pytest.param(
            {"messages": [{"role": "system", "content": "Sum."}, *CHAT["messages"]], "id": 7},
            (Message("system", "Sum."), *TURNS),
            id="chat with a system message and a field that is not ours",
        ),
        pytest.param({"instruction": "2+2?", "output": "4"}, TURNS, id="Alpaca without input"),
        pytest.param(
            {"instruction": "Add.", "input": "2+2", "output": "4", "system": "Sum."},
            (Message("system", "Sum."), Message("user", "Add.\n\n2+2"), Message("assistant", "4")),
            id="Alpaca with input and system",
        ),
        pytest.param({"prompt": "2+2?", "completion": "4"}, TURNS, id="prompt and completion as text"),
        pytest.param({"prompt": [USER], "completion": [ANSWER]}, TURNS, id="prompt and completion as messages"),
    ],
)
def test_formats_are_recognised(tmp_path: Path, row: dict[str, Any], messages: tuple[Message, ...]) -> None:
    assert read_conversations(write(tmp_path, row)) == [Conversation(messages, 1)]


def test_question_and_answer_are_told_apart(tmp_path: Path) -> None:
    (row,) = read_conversations(write(tmp_path, CHAT))
    assert (row.question, row.answer) == (TURNS[:1], "4")


def test_blank_lines_are_skipped_and_lines_still_counted(tmp_path: Path) -> None:
    rows = read_conversations(write(tmp_path, CHAT, "", CHAT))
    assert [row.line for row in rows] == [1, 3]


def test_a_json_array_is_read_by_item(tmp_path: Path) -> None:
    path = tmp_path / "alpaca.json"
    path.write_text(json.dumps([{"instruction": "2+2?", "output": "4"}] * 2, indent=1))
    assert read_conversations(str(path)) == [Conversation(TURNS, 1), Conversation(TURNS, 2)]


def test_unicode_line_separators_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    row = {"prompt": "a\u2028b\u0085c", "completion": "d"}
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(row, ensure_ascii=False).encode() + b"\r\n")
    (read,) = read_conversations(path.as_uri())
    assert read.messages[0].content == "a\u2028b\u0085c"


def test_compressed_files_are_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(CHAT).encode()))
    assert read_conversations(str(path)) == [Conversation(TURNS, 1)]


def test_a_missing_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"dataset .*nothing.jsonl does not exist; correct dataset.uri"):
        read_conversations(str(tmp_path / "nothing.jsonl"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param([], "is empty; write", id="empty file"),
        pytest.param(["", " "], "is empty; write", id="only blank lines"),
        pytest.param([CHAT, '{"messages": ['], r"line 2 is not JSON: .* in \{\"messages\": \[; write one", id="broken JSON"),
        pytest.param([CHAT, "[1]"], "line 2 is not a JSON object: \\[1\\]", id="not an object"),
        pytest.param([{"text": "hello"}], "line 1 has no known shape: an object with the fields text", id="unknown shape"),
        pytest.param(
            [CHAT, {"prompt": "a", "completion": "b"}], "line 2 is prompt-completion, but the rows before it are chat", id="mixed"
        ),
        pytest.param([CHAT, {"text": "a"}], "line 2 has no known shape", id="a later row of no known shape"),
        pytest.param([{"messages": "hello"}], 'messages is "hello"; write a list', id="messages are not a list"),
        pytest.param([{"messages": []}], "messages is \\[\\]; write a list", id="no messages"),
        pytest.param([{"messages": [{"role": "user"}]}], "messages\\[0\\] is an object with the fields role", id="no content"),
        pytest.param([{"messages": [{"role": "tool", "content": "a"}, ANSWER]}], "unknown role 'tool'; use one of system", id="role"),
        pytest.param([{"messages": [{"role": ["user"], "content": "a"}, ANSWER]}], "unknown role", id="a role that is a list"),
        pytest.param([{"messages": [{"role": "user", "content": None}, ANSWER]}], "content is null; write content as text", id="null"),
        pytest.param([{"messages": [USER]}], "ends with a user message; end each row", id="no answer"),
        pytest.param([{"messages": [ANSWER]}], "asks nothing", id="no question"),
        pytest.param([{"messages": [USER, {"role": "assistant", "content": " "}]}], "has an empty answer", id="empty answer"),
        pytest.param([{**CHAT, "tools": [{}]}], "has tools, and tool calls cannot be learned", id="tools"),
        pytest.param([{"prompt": [USER], "completion": "4"}], "mixes text and messages", id="text and messages mixed"),
        pytest.param([{"instruction": "a", "output": 4}], "output is 4; write output as text", id="a number as answer"),
    ],
)
def test_errors_name_line_value_and_remedy(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        read_conversations(write(tmp_path, *rows))
    assert "\n" not in str(caught.value)


def test_a_stated_format_is_held_against_the_rows(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="line 1 is chat, but the format is alpaca"):
        read_conversations(write(tmp_path, CHAT), "alpaca")


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"\n\xff\xfe")
    with pytest.raises(InvalidInputError, match="line 2 is not UTF-8 text"):
        read_conversations(str(path))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is a folder; name one JSON Lines file in it"):
        read_conversations(str(tmp_path))
