"""The training loop of one worker. Knows no Ray: it is told where it stands and whom to tell."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from modelyard.domain.errors import InvalidInputError
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
        """checkpoint: a folder that `write_checkpoint` wrote."""
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

    def run(self, tell: Callable[[History], None], save: Callable[["Loop"], None]) -> None:
        """Take all steps that are left.

        tell: called after each step. save: called every `checkpointEvery` steps and after the last one,
        equally often by all workers. Raises InvalidInputError when the loss
        is no number any more; all workers see that in the same step.
        """
        while self.history.step < self.history.total_steps:
            point = self._step(self.history.step)
            self.history.points.append(point)
            last = self.history.step == self.history.total_steps
            if self.examples.validation and (last or self.history.step % self.knobs.evaluate_every == 0):
                point.validation_loss = self._validate()
            if self.place.rank == 0:
                logger.info("step=%d loss=%.4f tokens_per_second=%.0f", point.step, point.loss, point.tokens_per_second)
            tell(self.history)
            if last or self.history.step % self.knobs.checkpoint_every == 0:
                save(self)

    def _step(self, step: int) -> Point:
        """One optimizer step, counted from 0."""
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
                total, right = self.engine.sum(summed)
                self._require_number(total, step)
            self.engine.advance(rate)
        seconds = time.perf_counter() - started
        return Point(
            step=step + 1,
            loss=total / learned,
            learning_rate=rate,
            learned_tokens=learned,
            accuracy=right / learned,
            gradient_norm=self.engine.gradient_norm(),
            tokens_per_second=sum(len(row.ids) for row in rows) / seconds,
            seconds=seconds,
        )

    def _passes(self, rows: Sequence[Example]) -> list[Batch]:
        """This worker's part of rows; all workers have as many passes."""
        if self.knobs.packing:
            shares = pack(rows, self.place.world, self.knobs.micro_batch_size * self.knobs.max_length)
        else:
            shares = deal(rows, self.place.world, self.knobs.micro_batch_size)
        real = [[row for row in share if row is not NOTHING] or [NOTHING] for share in shares[self.place.rank]]
        return [join(share) if self.knobs.packing else collate(share, self.pad_id) for share in real]

    def _require_number(self, total: float, step: int) -> None:
        if not math.isfinite(total):
            raise InvalidInputError(
                f"the loss became {total} in step {step + 1} of {self.history.total_steps}",
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
