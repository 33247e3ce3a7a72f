"""The training loop of one worker. Knows no Ray: it is told where it stands and whom to tell."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from modelyard.domain.errors import InvalidInputError, PreemptedError
from modelyard.domain.job import TrainJob
from modelyard.training.batches import NOTHING, Batch, collate, deal, rows_of_step
from modelyard.training.checkpoints import restore_optimizer
from modelyard.training.engine import Engine, Place
from modelyard.training.examples import Examples
from modelyard.training.history import History, Point, read_history
from modelyard.training.packing import join, pack, require_packable
from modelyard.training.schedule import count_steps, learning_rate
from modelyard.training.tokens import Example

logger = logging.getLogger(__name__)


class Loop:
    """One worker's part of a run, from its first step or from a checkpoint."""

    def __init__(self, spec: TrainJob, base: Path, examples: Examples, pad_id: int, place: Place, checkpoint: Path | None) -> None:
        """checkpoint: a folder that `write_checkpoint` wrote.

        Raises InvalidInputError for a base that cannot do what is asked, and a checkpoint that so many workers cannot share.
        """
        self.fine_tune, self.knobs = spec.fine_tune, spec.fine_tune.hyperparameters
        self.examples, self.pad_id, self.place = examples, pad_id, place
        steps = count_steps(self.knobs, len(examples.train))
        self.history = History(total_steps=steps, rows=examples.counts(), data=examples.statistics.wire())
        self.engine = Engine(base, spec.fine_tune, place, checkpoint)
        if self.knobs.packing:
            require_packable(self.engine.model.config)
        if checkpoint is not None:
            self.history = read_history(checkpoint)
            restore_optimizer(checkpoint, self.engine, self.history.step)

    def run(self, tell: Callable[[History], None], save: Callable[["Loop"], None], must_stop: Callable[[], bool] = lambda: False) -> None:
        """Take all steps that are left.

        tell: called after each step. save: called every `checkpointEvery` steps, after the last one, and where the
        weights are the best so far and those are to be kept; equally often by all workers. must_stop: asked in each
        step; one worker's yes is enough. Raises PreemptedError after a checkpoint then, InvalidInputError when a figure
        is no number any more; all workers see both in the same step.
        """
        while not self._is_done():
            point, stopped = self._step(self.history.step, must_stop)
            self.history.points.append(point)
            last = self.history.step == self.history.total_steps
            if self.examples.validation and (last or self.history.step % self.knobs.evaluate_every == 0):
                point.validation_loss = self._validate()
            if self.place.rank == 0:
                logger.info("step=%d loss=%.4f tokens_per_second=%.0f", point.step, point.loss, point.tokens_per_second)
            tell(self.history)
            best = self.knobs.keep == "best" and point.validation_loss is not None and self.history.best is point
            if self._is_done() or stopped or best or self.history.step % self.knobs.checkpoint_every == 0:
                started = time.perf_counter()
                save(self)
                point.saving_seconds = time.perf_counter() - started
            if stopped and not self._is_done():
                raise PreemptedError(
                    f"the run was preempted after step {self.history.step} of {self.history.total_steps}",
                    "it goes on from there when it is started again",
                )

    def _is_done(self) -> bool:
        early = self.knobs.early_stopping
        stalled = early is not None and self.history.stalled(early.patience, early.min_delta)
        return stalled or self.history.step >= self.history.total_steps

    def _step(self, step: int, must_stop: Callable[[], bool]) -> tuple[Point, bool]:
        """One optimizer step, counted from 0; and whether a worker has to stop after it."""
        started = time.perf_counter()
        rows = rows_of_step(self.examples.train, self.knobs.batch_size, self.knobs.seed, step)
        learned = sum(row.learned for row in rows)
        passes = self._passes(rows)
        rate = learning_rate(self.knobs, step, self.history.total_steps)
        self.engine.seed(step)
        summed = torch.zeros(2, device=self.place.device)
        for index, micro in enumerate(passes, start=1):
            last = index == len(passes)
            summed += self.engine.learn(micro, 1 / learned, last=last)
            if last:
                total, right, stops = self.engine.sum(summed, float(must_stop()))
                self._require_number("loss", total, step)
            self.engine.advance(rate)
        norm = self.engine.gradient_norm()
        # Now the weights are spoilt, though the loss was a number still; nobody saves them.
        self._require_number("gradient norm", norm or 0.0, step)
        seconds = time.perf_counter() - started
        point = Point(
            step=step + 1,
            loss=total / learned,
            learning_rate=rate,
            learned_tokens=learned,
            accuracy=right / learned,
            gradient_norm=norm,
            tokens_per_second=sum(len(row.ids) for row in rows) / seconds,
            peak_bytes=self.engine.peak_bytes(),
            seconds=seconds,
        )
        return point, stops > 0

    def _passes(self, rows: Sequence[Example]) -> list[Batch]:
        """This worker's part of rows; all workers have as many passes."""
        if self.knobs.packing:
            shares = pack(rows, self.place.world, self.knobs.micro_batch_size * self.knobs.max_length)
        else:
            shares = deal(rows, self.place.world, self.knobs.micro_batch_size)
        real = [[row for row in share if row is not NOTHING] or [NOTHING] for share in shares[self.place.rank]]
        return [join(share) if self.knobs.packing else collate(share, self.pad_id) for share in real]

    def _require_number(self, name: str, value: float, step: int) -> None:
        if not math.isfinite(value):
            raise InvalidInputError(
                f"the {name} became {value} in step {step + 1} of {self.history.total_steps}",
                f"lower hyperparameters.learningRate, which is {self.knobs.learning_rate:g}, or use dtype float32",
            )

    def _validate(self) -> float:
        """The mean loss over the learned tokens of the validation rows."""
        rows = self.examples.validation
        passes = self._passes(rows)
        summed = torch.zeros(2, device=self.place.device)
        for micro in passes:
            summed += self.engine.measure(micro)
        total, _ = self.engine.sum(summed)
        return total / sum(row.learned for row in rows)
