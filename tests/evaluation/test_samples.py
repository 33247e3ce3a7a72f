from pathlib import Path

import pytest

from modelyard.artifacts.runs import RunFolder
from modelyard.domain.errors import NotFoundError
from modelyard.evaluation.samples import Sample, read_samples, write_samples


def sample(line: int, score: float) -> Sample:
    return Sample(
        suite="records",
        line=line,
        shots=0,
        prompt_tail="q\u2028?",
        answer="é\n",
        gold="g",
        tokens=2,
        finished=True,
        metrics={"f1": score},
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    run = RunFolder(tmp_path.as_uri())
    samples = [sample(1, 0.5), sample(2, 1.0)]
    write_samples(run, samples)
    assert read_samples(run) == samples


def test_a_run_without_samples_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"has no samples\.jsonl"):
        read_samples(RunFolder(tmp_path.as_uri()))
