import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from modelyard.datasets.rows import Conversation, Message, Rows, read_conversations
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
        pytest.param([{"texts": "hello"}], "line 1 has no known shape: an object with the fields texts", id="unknown shape"),
        pytest.param(
            [CHAT, {"prompt": "a", "completion": "b"}], "line 2 is prompt-completion, but the rows before it are chat", id="mixed"
        ),
        pytest.param([CHAT, {"texts": "a"}], "line 2 has no known shape", id="a later row of no known shape"),
        pytest.param([{"messages": "hello"}], 'messages is "hello"; write a list', id="messages are not a list"),
        pytest.param([{"messages": []}], "messages is \\[\\]; write a list", id="no messages"),
        pytest.param([{"messages": [{"role": "user"}]}], "messages\\[0\\] is an object with the fields role", id="no content"),
        pytest.param([{"messages": [{"role": "bot", "content": "a"}, ANSWER]}], "unknown role 'bot'; use one of system", id="role"),
        pytest.param([{"messages": [{"role": ["user"], "content": "a"}, ANSWER]}], "unknown role", id="a role that is a list"),
        pytest.param([{"messages": [{"role": "user", "content": None}, ANSWER]}], "content is null; write content as text", id="null"),
        pytest.param([{"messages": [USER]}], "ends with a user message; end each row", id="no answer"),
        pytest.param([{"messages": [ANSWER]}], "asks nothing", id="no question"),
        pytest.param([{"messages": [USER, {"role": "assistant", "content": " "}]}], "has an empty answer", id="empty answer"),
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
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n\xff\xfe")
    with pytest.raises(InvalidInputError, match="line 2 is not UTF-8 text"):
        read_conversations(str(path))


def test_csv_is_read_with_its_header_and_lines_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('prompt,completion\n"2+2?\nnow",4\n3+3?,6\n')
    rows = read_conversations(str(path))
    assert [(row.messages[0].content, row.answer, row.line) for row in rows] == [("2+2?\nnow", "4", 3), ("3+3?", "6", 4)]


def test_messages_in_a_column_of_csv_are_json(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("messages\n" + '"' + json.dumps(CHAT["messages"]).replace('"', '""') + '"\n')
    assert read_conversations(str(path)) == [Conversation(TURNS, 2)]


def test_parquet_is_read_and_the_nulls_of_its_columns_are_no_fields(tmp_path: Path) -> None:
    rows = [{**CHAT, "tools": None}, {"messages": [USER, {**ANSWER, "weight": 1}], "tools": None}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    assert read_conversations(str(tmp_path / "rows.parquet")) == [Conversation(TURNS, 1), Conversation(TURNS, 2)]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        pytest.param(
            "rows.csv", b"prompt,completion\na,b,c\n", r"line 2 has not as many cells as the header has columns \(2\)", id="cells"
        ),
        pytest.param("rows.csv", b'prompt,completion\n"a,b\n', "line 2 is not CSV: unexpected end of data", id="an open quote"),
        pytest.param("rows.csv", b"messages\n[1\n", r"line 2: messages is not JSON: \[1", id="broken JSON in a cell"),
        pytest.param("rows.csv", b"", "is empty", id="CSV without a header"),
        pytest.param("rows.parquet", b"PAR1 and no more", "rows.parquet is not Parquet: ", id="broken Parquet"),
        pytest.param("rows.jsonl.gz", b"\x1f\x8b\x08 and no more", "cannot be unpacked: ", id="a broken archive"),
        pytest.param("rows.jsonl.gz", gzip.compress(b"{}" * 9)[:-9], "cannot be unpacked: ", id="half an archive"),
        pytest.param("rows.jsonl", b"[" * 100_000, "is not JSON: ", id="JSON that is nested without end"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInputError, match=message):
        read_conversations(str(tmp_path / name))


def test_a_folder_is_read_file_by_file_and_told_by_shape(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl"):
        (tmp_path / name).write_text(json.dumps({"prompt": name, "completion": "c"}))
    (tmp_path / "README.md").write_text("no rows")
    rows = Rows(str(tmp_path))
    for _ in range(2):  # again and again
        assert [(row.source.rpartition("/")[2], row.messages[0].content) for row in rows] == [("a.jsonl",) * 2, ("b.jsonl",) * 2]
    assert (rows.shape, rows.files) == ("prompt-completion", 2)


def test_files_of_two_shapes_are_not_one_dataset(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "c"}))
    (tmp_path / "b.jsonl").write_text(json.dumps(CHAT))
    with pytest.raises(InvalidInputError, match=r"b.jsonl line 1 is chat, but the rows before it are text"):
        list(Rows(f"{tmp_path}/*.jsonl"))


def test_rows_are_read_one_by_one(tmp_path: Path) -> None:
    rows = iter(Rows(write(tmp_path, CHAT, "{")))
    assert next(rows) == Conversation(TURNS, 1)
    with pytest.raises(InvalidInputError, match="line 2 is not JSON"):
        next(rows)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param({"text": "hello"}, "line 1 is a text; write rows with a question", id="a text"),
        pytest.param({**CHAT, "tools": [{"name": "a"}]}, "line 1 has tools, and tool calls cannot be scored yet", id="tools"),
    ],
)
def test_rows_that_cannot_be_asked_are_no_suite(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read_conversations(write(tmp_path, row))
