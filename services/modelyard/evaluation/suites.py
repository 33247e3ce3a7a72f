"""A suite as it is asked: held-out rows with known answers, and worked examples. Knows no tokenizer and no model."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.artifacts.content import content_digest
from modelyard.datasets.rows import Conversation, Message, read_conversations
from modelyard.domain.errors import IntegrityError, InvalidInputError, ModelyardError
from modelyard.domain.evaluation import Suite
from modelyard.evaluation.metrics import Scorer, name_field_metrics, parse_record, score_record, score_text


@dataclass(frozen=True)
class Row:
    """One question with its known answer."""

    line: int
    """In the suite's file, from 1."""
    question: tuple[Message, ...]
    gold: str
    record: Mapping[str, Any] | None
    """The known answer as a JSON object; None where the suite is scored as text."""


@dataclass(frozen=True)
class LoadedSuite:
    """The rows that are asked, how they are scored, and the examples that may be shown before them."""

    name: str
    scorer: Scorer
    max_tokens: int
    rows: tuple[Row, ...]
    examples: tuple[Conversation, ...]
    """As many as the largest of `shots`."""
    shots: tuple[int, ...]
    """Numbers of examples to try."""
    field_metrics: Mapping[str, str]
    """Field name → metric name, for the fields that at least half of the known answers have."""

    def ask(self, row: Row, shots: int) -> tuple[Message, ...]:
        """The messages that put a row to a model: its system message, examples as earlier turns, its question."""
        system = tuple(message for message in row.question if message.role == "system")
        turns = tuple(message for message in row.question if message.role != "system")
        shown = (message for example in self.examples[:shots] for message in example.messages if message.role != "system")
        return (*system, *shown, *turns)

    def score(self, row: Row, answer: str) -> dict[str, float]:
        """Every metric of one answer."""
        if row.record is None:
            return score_text(answer, row.gold)
        return score_record(answer, row.record, self.field_metrics)


def load_suites(suites: Sequence[Suite], digests: Mapping[str, str], *, with_examples: bool) -> list[LoadedSuite]:
    """Read every suite before a model is loaded, so that a bad row is told at once.

    digests: suite name → sha256 of its rows. with_examples: whether `fewShot` is honoured.
    Raises InvalidInputError, NotFoundError or IntegrityError that name the suite.
    """
    repeated = [name for name, count in Counter(suite.name for suite in suites).items() if count > 1]
    if repeated:
        raise InvalidInputError(f"{repeated[0]!r} is the name of more than one suite", "give each suite its own name")
    return [_load(suite, digests.get(suite.name, ""), with_examples) for suite in suites]


def _load(suite: Suite, digest: str, with_examples: bool) -> LoadedSuite:
    try:
        _check_digest(suite.uri, digest)
        conversations = read_conversations(suite.uri)[: suite.limit]
        scorer, records = _choose_scorer(suite, conversations)
        rows = tuple(Row(c.line, c.question, c.answer, r) for c, r in zip(conversations, records, strict=True))
        shots = tuple(dict.fromkeys(suite.few_shot.counts)) if suite.few_shot and with_examples else (0,)
        examples = _choose_examples(suite, max(shots), conversations)
    except ModelyardError as error:
        raise type(error)(f"suite {suite.name!r}: {error.problem}", error.remedy) from error
    return LoadedSuite(suite.name, scorer, suite.max_tokens, rows, examples, shots, _name_fields(records))


def _check_digest(uri: str, expected: str) -> None:
    found = content_digest(uri)
    if found != expected:
        raise IntegrityError(
            f"{uri} has changed since the run was asked for: its sha256 is {found[:12]}, not {expected[:12] or 'given'}",
            "apply again to score the new rows",
        )


def _choose_scorer(suite: Suite, conversations: Sequence[Conversation]) -> tuple[Scorer, list[Mapping[str, Any] | None]]:
    """How the suite is scored, and the known answers as records where they are such."""
    if suite.scorer == "text":
        return "text", [None] * len(conversations)
    records = [parse_record(conversation.answer) for conversation in conversations]
    for conversation, record in zip(conversations, records, strict=True):
        if record:
            continue
        if suite.scorer == "auto":
            return "text", [None] * len(conversations)
        raise InvalidInputError(
            f"{suite.uri} line {conversation.line}: the expected answer is not a JSON object with fields, as scorer json-record needs",
            "correct the answer or set scorer to text",
        )
    return "json-record", list(records)


def _choose_examples(suite: Suite, count: int, asked: Sequence[Conversation]) -> tuple[Conversation, ...]:
    """The first rows of `fewShot.uri`. One whose question is also asked is passed over: it would give the answer away."""
    if suite.few_shot is None or count == 0:
        return ()
    questions = {conversation.question for conversation in asked}
    examples = [example for example in read_conversations(suite.few_shot.uri) if example.question not in questions]
    if len(examples) < count:
        raise InvalidInputError(
            f"fewShot.counts has {count}, and {suite.few_shot.uri} has {len(examples)} rows that are not asked themselves",
            "lower fewShot.counts or name a file with more rows",
        )
    return tuple(examples[:count])


def _name_fields(records: Sequence[Mapping[str, Any] | None]) -> Mapping[str, str]:
    present = Counter(name for record in records for name in record or ())
    return name_field_metrics([name for name, count in present.items() if 2 * count >= len(records)])
