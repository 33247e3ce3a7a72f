from pathlib import Path

import pytest

from modelyard.artifacts.runs import RunFolder
from modelyard.domain.errors import NotFoundError
from modelyard.evaluation.samples import Sample, compare, read_samples, write_samples


def sample(line: int, score: float, *, suite: str = "records", gold: str = "g") -> Sample:
    return Sample(
        suite=suite,
        line=line,
        shots=0,
        prompt_tail="q\u2028?",
        answer="é\n",
        gold=gold,
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


def test_two_runs_are_compared_row_by_row_in_any_order() -> None:
    before = [sample(line, 0.1 * line) for line in range(1, 9)]
    after = [sample(line, 0.1 * line + 0.2) for line in range(8, 0, -1)]
    difference = compare(before, after)["records.f1"]
    assert difference.mean == pytest.approx(0.2)
    assert difference.low == pytest.approx(0.2)


def test_rows_that_only_one_run_has_or_whose_known_answer_changed_are_no_pairs() -> None:
    before = [sample(1, 0.0), sample(2, 0.0), sample(3, 0.0, suite="other")]
    after = [sample(1, 1.0), sample(2, 1.0, gold="changed"), sample(4, 1.0)]
    assert {metric: interval.mean for metric, interval in compare(before, after).items()} == {"records.f1": 1.0}
