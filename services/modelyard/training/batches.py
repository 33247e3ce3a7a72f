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

NOTHING = Example(ids=(0,), learn_from=1, digest="")
"""Fills the last micro-batch of a measurement; weighs nothing."""


@dataclass(frozen=True)
class Batch:
    """One forward pass of one worker. Rows are padded on the left, so that the answers end together."""

    input_ids: Tensor
    """[rows, tokens]"""
    attention_mask: Tensor
    """[rows, tokens]; 1 = real token"""
    position_ids: Tensor
    """[rows, tokens]"""
    targets: Tensor
    """[rows, longest answer]; the ids of the last tokens of each row, IGNORED where they are not learned"""
    tokens: int
    """Real tokens."""

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(
            self.input_ids.to(device), self.attention_mask.to(device), self.position_ids.to(device), self.targets.to(device), self.tokens
        )


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
    by_length = sorted([*rows, *[NOTHING] * short], key=lambda row: len(row.ids), reverse=True)
    hands: list[list[Example]] = [[] for _ in range(world)]
    for start in range(0, len(by_length), world):
        turn = by_length[start : start + world]
        # There and back again, or the first worker would get the longest row of every turn.
        order = range(world) if (start // world) % 2 == 0 else reversed(range(world))
        for rank, row in zip(order, turn, strict=True):
            hands[rank].append(row)
    return [[hand[start : start + micro] for start in range(0, len(hand), micro)] for hand in hands]


def collate(rows: Sequence[Example], pad_id: int) -> Batch:
    """Rows as tensors."""
    length, answer = max(len(row.ids) for row in rows), max(1, *(row.learned for row in rows))
    ids = torch.full((len(rows), length), pad_id)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    targets = torch.full((len(rows), answer), IGNORED)
    for index, row in enumerate(rows):
        ids[index, length - len(row.ids) :] = torch.tensor(row.ids)
        mask[index, length - len(row.ids) :] = 1
        if row.learned:
            targets[index, answer - row.learned :] = torch.tensor(row.ids[row.learn_from :])
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    return Batch(ids, mask, positions, targets, tokens=int(mask.sum()))
