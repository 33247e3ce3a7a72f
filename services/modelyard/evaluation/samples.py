"""What was said to each row, kept for people to look at. Knows no model."""

import json
from collections.abc import Iterable

from pydantic import Field

from modelyard.artifacts.runs import RunFolder
from modelyard.domain.base import Spec
from modelyard.domain.errors import NotFoundError

SAMPLES_FILE = "samples.jsonl"
PROMPT_TAIL_CHARACTERS = 600


class Sample(Spec):
    """One question with the model's answer, the known one, and how they compare."""

    suite: str
    line: int
    """In the suite's file, from 1."""
    shots: int
    """Worked examples that were shown."""
    prompt_tail: str
    """The end of the question."""
    answer: str
    gold: str
    tokens: int
    """Of the answer."""
    finished: bool
    """Whether the answer came to its end; False: cut at `maxTokens`, or `error`."""
    error: str = ""
    """Why there is no answer; it then scores 0 everywhere, `answered` included."""
    metrics: dict[str, float] = Field(default={})


def write_samples(run: RunFolder, samples: Iterable[Sample]) -> None:
    """Replace the run's samples, one JSON object a line."""
    run.write(SAMPLES_FILE, "".join(json.dumps(sample.wire(), ensure_ascii=False) + "\n" for sample in samples))


def read_samples(run: RunFolder) -> list[Sample]:
    """The samples of a run. Raises NotFoundError."""
    text = run.read(SAMPLES_FILE)
    if text is None:
        raise NotFoundError(f"{run.uri} has no {SAMPLES_FILE}", "wait for the evaluation to end")
    return [Sample.model_validate_json(line) for line in text.split("\n") if line]
