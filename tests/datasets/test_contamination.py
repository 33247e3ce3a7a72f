import json
from pathlib import Path
from typing import Any

import pytest

from modelyard.datasets.contamination import Contamination
from modelyard.datasets.conversation import Conversation, Message, Text
from modelyard.domain.errors import NotFoundError

INTRO = "Please read the following help text and write one JSON record about it with all the fields"
HELP = "returns the arc cosine of x measured in radians where the result is always between zero and pi"


def write(folder: Path, *questions: str) -> dict[str, str]:
    path = folder / "suite.jsonl"
    path.write_text("".join(json.dumps({"prompt": question, "completion": "a"}) + "\n" for question in questions))
    return {"exam": str(path)}


def ask(*questions: str) -> Conversation:
    turns = [Message(role, text) for question in questions for role, text in (("user", question), ("assistant", "a"))]  # type: ignore[arg-type]
    return Conversation((Message("system", "s"), *turns), 1)


@pytest.mark.parametrize(
    ("row", "rule", "found"),
    [
        pytest.param(ask("what is pi"), "exact", "exam", id="the same words"),
        pytest.param(ask("Hello", "WHAT, is pi!"), "exact", "exam", id="a later turn in other case"),
        pytest.param(ask("what is", "pi"), "exact", "exam", id="the same words over two turns"),
        pytest.param(ask("what is pi"), "none", None, id="nobody looks"),
        pytest.param(ask("what is pi again"), "exact", None, id="other words"),
        pytest.param(ask(f"{INTRO}: sin"), "ngram", None, id="the words around every question are no leak"),
        pytest.param(ask(f"It {HELP}, does it not?"), "ngram", "exam", id="13 words of one question"),
        pytest.param(ask(f"It {HELP}, does it not?"), "exact", None, id="13 words, and only whole questions count"),
        pytest.param(Text(f"acos {HELP}.", 1), "ngram", "exam", id="13 words in a text"),
        pytest.param(Text("what is pi and what is it not", 1), "ngram", None, id="a text that shares few words"),
    ],
)
def test_rows_that_a_suite_asks_are_found(tmp_path: Path, row: Any, rule: Any, found: str | None) -> None:
    suites = write(tmp_path, "What is Pi?", f"{INTRO}: {HELP}", f"{INTRO}: returns something else")
    assert Contamination(suites, rule).find(row) == found


def test_a_suite_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="suite 'exam': dataset .*gone.jsonl does not exist"):
        Contamination({"exam": str(tmp_path / "gone.jsonl")}, "exact")
    Contamination({"exam": str(tmp_path / "gone.jsonl")}, "none")
