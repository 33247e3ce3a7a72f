"""Score weights on suites: ask, compare, take means. What `python -m modelyard.evaluation` does."""

import logging
import time
from collections.abc import Sequence

from modelyard.artifacts.runs import RunFolder
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.evaluation import Score
from modelyard.domain.job import Attempt, EvaluateJob, EvaluateResult
from modelyard.domain.resource import Progress
from modelyard.evaluation.answers import Answer, Answerer, Tally
from modelyard.evaluation.metrics import HEADLINES, find_record
from modelyard.evaluation.samples import PROMPT_TAIL_CHARACTERS, Sample, write_samples
from modelyard.evaluation.statistics import mean_interval
from modelyard.evaluation.suites import LoadedSuite, Row, load_suites
from modelyard.evaluation.weights import load_weights

logger = logging.getLogger(__name__)


def evaluate(spec: EvaluateJob, run: RunFolder) -> EvaluateResult:
    """Score a base, or a base with an adapter, on every suite.

    A base is asked once for each of a suite's `fewShot.counts`; the attempt with the best headline metric gives its
    scores, the one with fewer examples when two are equal. Tuned weights are shown no examples.

    A row that cannot be answered (its prompt fills the model's context) stays among the rows: it scores 0 on every
    metric, and `answered`, which is a metric of every suite, falls below 1.
    """
    started = time.monotonic()
    run.report(Progress(stage="reading suites"), force=True)
    suites = load_suites(spec.suites, spec.suite_digests, with_examples=not (spec.adapter_digest or spec.tuned))
    run.report(Progress(stage="loading weights"), force=True)
    answerer = Answerer(load_weights(ArtifactStore(spec.store), spec.base_digest, spec.adapter_digest))
    rounds = [(suite, shots) for suite in suites for shots in suite.shots]
    meter = _Meter(run, total_rows=sum(len(suite.rows) for suite, _ in rounds))
    samples: list[Sample] = []
    attempts = []
    for suite, shots in rounds:
        asked = _ask(suite, shots, answerer, meter)
        samples += asked
        attempts.append(Attempt(suite=suite.name, shots=shots, scores=_average(suite, asked)))
        write_samples(run, samples)
    best = [_best(suite, attempts) for suite in suites]
    return EvaluateResult(
        scores=[score for attempt in best for score in attempt.scores], attempts=attempts, seconds=time.monotonic() - started
    )


class _Meter:
    """Turns the tallies of one round after another into the progress of the whole run."""

    def __init__(self, run: RunFolder, total_rows: int) -> None:
        self._run, self._total_rows = run, total_rows
        self._rows_before = self._tokens_before = 0
        self._last = Tally(rows=0, share=0.0, tokens=0)
        self._started = time.monotonic()

    def begin(self, stage: str) -> None:
        """Say what the next tallies are about."""
        self._stage = stage
        self._rows_before += self._last.rows
        self._tokens_before += self._last.tokens
        self._last = Tally(rows=0, share=0.0, tokens=0)

    def tell(self, tally: Tally, round_rows: int) -> None:
        """Report a tally of a round with so many rows."""
        self._last = tally
        elapsed_s = max(time.monotonic() - self._started, 1e-6)
        share = (self._rows_before + tally.share * round_rows) / self._total_rows
        self._run.report(
            Progress(
                stage=self._stage,
                step=self._rows_before + tally.rows,
                total_steps=self._total_rows,
                percent=100 * share,
                eta_seconds=elapsed_s * (1 - share) / share if share else None,
                tokens_per_second=(self._tokens_before + tally.tokens) / elapsed_s,
            ),
            force=tally.rows == round_rows,
        )


def _ask(suite: LoadedSuite, shots: int, answerer: Answerer, meter: _Meter) -> list[Sample]:
    meter.begin(f"asking {suite.name} with {shots} examples" if shots else f"asking {suite.name}")
    started = time.monotonic()
    answers = answerer.answer(
        [suite.ask(row, shots) for row in suite.rows],
        max_tokens=suite.max_tokens,
        # Only the first record of an answer is scored, so what comes after it need not be waited for.
        is_complete=(lambda text: find_record(text) is not None) if suite.scorer == "json-record" else (lambda text: False),
        on_progress=lambda tally: meter.tell(tally, len(suite.rows)),
    )
    seconds, tokens = time.monotonic() - started, sum(answer.tokens for answer in answers)
    logger.info(
        "asked suite=%s shots=%d rows=%d tokens=%d seconds=%.1f tokens_per_second=%.0f errors=%d",
        *(suite.name, shots, len(answers), tokens, seconds, tokens / max(seconds, 1e-6), sum(bool(answer.error) for answer in answers)),
    )
    return [_sample(suite, row, shots, answer) for row, answer in zip(suite.rows, answers, strict=True)]


def _sample(suite: LoadedSuite, row: Row, shots: int, answer: Answer) -> Sample:
    return Sample(
        suite=suite.name,
        line=row.line,
        shots=shots,
        prompt_tail=row.question[-1].content[-PROMPT_TAIL_CHARACTERS:],
        answer=answer.text,
        gold=row.gold,
        tokens=answer.tokens,
        finished=answer.finished,
        error=answer.error,
        # Without an answer the text is empty, which scores 0 on every metric.
        metrics=suite.score(row, answer.text) | {"answered": float(not answer.error)},
    )


def _average(suite: LoadedSuite, samples: Sequence[Sample]) -> list[Score]:
    """One score a metric. A field's own metric counts only the rows whose known answer has that field."""
    values: dict[str, list[float]] = {}
    for sample in samples:
        for metric, value in sample.metrics.items():
            values.setdefault(metric, []).append(value)
    return [_score(f"{suite.name}.{metric}", rows) for metric, rows in values.items()]


def _score(metric: str, values: Sequence[float]) -> Score:
    interval = mean_interval(values)
    return Score(metric=metric, value=interval.mean, low=interval.low, high=interval.high, rows=len(values))


def _best(suite: LoadedSuite, attempts: Sequence[Attempt]) -> Attempt:
    headline = f"{suite.name}.{HEADLINES[suite.scorer]}"

    def merit(attempt: Attempt) -> tuple[float, int]:
        return next(score.value for score in attempt.scores if score.metric == headline), -attempt.shots

    return max((attempt for attempt in attempts if attempt.suite == suite.name), key=merit)
