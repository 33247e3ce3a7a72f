"""Which rows each worker sees in each step, as tensors. A pure function of seed and step, so a resumed run goes on exactly."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from modelyard.training.tokens import Example

IGNORED = -100
"""Target of a position that is not learned, as `cross_entropy` knows it."""

NOTHING = Example(ids=(0,), mask=(False,), digest="")
"""Fills the last micro-batch of a measurement; weighs nothing."""


@dataclass(frozen=True)
class Batch:
    """One forward pass of one worker. Rows are padded on the left, so that the answers end together."""

    input_ids: Tensor
    """[rows, tokens]"""
    attention_mask: Tensor | None
    """[rows, tokens]; 1 = real token. None where there is no padding and `position_ids` tell where each row begins."""
    position_ids: Tensor
    """[rows, tokens]"""
    predict: Tensor
    """[predicted]; the places whose next token is learned in at least one of the rows"""
    targets: Tensor
    """[rows, predicted]; the id that follows each place, IGNORED where it is not learned"""
    tokens: int
    """Real tokens."""

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        mask = None if self.attention_mask is None else self.attention_mask.to(device)
        positions, predict = self.position_ids.to(device), self.predict.to(device)
        return Batch(self.input_ids.to(device), mask, positions, predict, self.targets.to(device), self.tokens)


def rows_of_step(examples: Sequence[Example], batch_size: int, seed: int, step: int) -> list[Example]:
    """The rows of one optimizer step (counted from 0) over all workers.

    Epochs are shuffled each in its own way and follow one another without a gap.
    """
    first = step * batch_size
    rows: list[Example] = []
    while len(rows) < batch_size:
        epoch, offset = divmod(first + len(rows), len(examples))
        rows += [examples[index] for index in _order(len(examples), seed, epoch)[offset : offset + batch_size - len(rows)]]
    return rows


@lru_cache(maxsize=2)
def _order(rows: int, seed: int, epoch: int) -> Sequence[int]:
    order = list(range(rows))
    random.Random(f"{seed} {epoch}").shuffle(order)
    return order


def deal(rows: Sequence[Example], world: int, micro: int) -> list[list[list[Example]]]:
    """The rows as micro-batches by worker: [world][passes][micro].

    Workers wait for one another, so each gets as many passes and about as many tokens as the next; rows of
    like length share a pass, so little is padded.
    """
    short = -len(rows) % (world * micro)
    return [
        [hand[start : start + micro] for start in range(0, len(hand), micro)] for hand in deal_hands([*rows, *[NOTHING] * short], world)
    ]


def deal_hands(rows: Sequence[Example], world: int) -> list[list[Example]]:
    """The rows of each worker, the longest first; their number is a multiple of that of the workers."""
    by_length = sorted(rows, key=lambda row: len(row.ids), reverse=True)
    hands: list[list[Example]] = [[] for _ in range(world)]
    for start in range(0, len(by_length), world):
        turn = by_length[start : start + world]
        # There and back again, or the first worker would get the longest row of every turn.
        order = range(world) if (start // world) % 2 == 0 else reversed(range(world))
        for rank, row in zip(order, turn, strict=True):
            hands[rank].append(row)
    return hands


def collate(rows: Sequence[Example], pad_id: int) -> Batch:
    """Rows as tensors, one below the other."""
    length = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), length), pad_id)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    targets = torch.full((len(rows), length), IGNORED)
    for index, row in enumerate(rows):
        ids[index, length - len(row.ids) :] = torch.tensor(row.ids)
        mask[index, length - len(row.ids) :] = 1
        targets[index, length - len(row.ids) :] = torch.tensor(targets_of(row))
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    return Batch(ids, mask, positions, *choose_places(targets), tokens=int(mask.sum()))


def targets_of(row: Example) -> list[int]:
    """The id that each place of a row teaches, IGNORED where none is; nothing comes before the first token, so it teaches none."""
    return [IGNORED, *(token if learned else IGNORED for token, learned in zip(row.ids[1:], row.mask[1:], strict=True))]


def choose_places(targets: Tensor) -> tuple[Tensor, Tensor]:
    """(places that predict, what they should predict), without those at which no row learns.

    targets: [rows, tokens], as `targets_of` gives them. Returns [predicted] and [rows, predicted]; never empty.
    """
    columns = (targets != IGNORED).any(0).nonzero().flatten()
    if not len(columns):
        return torch.zeros(1, dtype=torch.long), torch.full((len(targets), 1), IGNORED)
    return columns - 1, targets[:, columns]
