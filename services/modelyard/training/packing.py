"""Several rows in one sequence, none of which sees another: nothing is padded. Pure functions of the rows.

Positions begin anew with each row. transformers draws the boundaries of attention from them where it gets no mask: as a
block-diagonal causal mask (SDPA), or as the row lengths of flash-attention's varlen kernels.
"""

from collections.abc import Sequence
from typing import Any

import torch

from modelyard.domain.errors import InvalidInputError
from modelyard.training.batches import NOTHING, Batch, choose_places, deal_hands, targets_of
from modelyard.training.tokens import Example

PACKABLE = {"full_attention", "sliding_attention"}
"""Kinds of layers that keep to the boundaries; the state of a recurrent one would run on from row to row."""


def pack(rows: Sequence[Example], world: int, capacity: int) -> list[list[list[Example]]]:
    """The rows as sequences by worker: [world][passes][rows].

    capacity: tokens of a sequence; a longer row has one to itself. Workers wait for one another, so each gets about as
    many tokens as the next, and as many passes: where one has fewer, they are filled up with nothing.
    """
    short = -len(rows) % world
    hands = [fill_bins(hand, capacity) for hand in deal_hands([*rows, *[NOTHING] * short], world)]
    passes = max(len(bins) for bins in hands)
    return [bins + [[NOTHING]] * (passes - len(bins)) for bins in hands]


def fill_bins(rows: Sequence[Example], capacity: int) -> list[list[Example]]:
    """First-fit-decreasing: each row, the longest first, goes to the first bin that has room for it."""
    bins: list[list[Example]] = []
    room: list[int] = []
    for row in sorted(rows, key=lambda row: len(row.ids), reverse=True):
        index = next((index for index, left in enumerate(room) if left >= len(row.ids)), len(bins))
        if index == len(bins):
            bins.append([])
            room.append(capacity)
        bins[index].append(row)
        room[index] -= len(row.ids)
    return bins


def join(rows: Sequence[Example]) -> Batch:
    """Rows as one sequence of tensors, one behind the other."""
    ids = [token for row in rows for token in row.ids]
    positions = [position for row in rows for position in range(len(row.ids))]
    targets = torch.tensor([[target for row in rows for target in targets_of(row)]])
    return Batch(torch.tensor([ids]), None, torch.tensor([positions]), *choose_places(targets), tokens=len(ids))


def require_packable(config: Any) -> None:
    """Raise InvalidInputError if the layers of a model would let a row see the one before it.

    config: a transformers configuration.
    """
    others = set(getattr(config, "layer_types", None) or []) - PACKABLE
    if others:
        raise InvalidInputError(
            f"hyperparameters.packing is true and the base, a {config.model_type}, has layers with {', '.join(sorted(others))},"
            " which see across rows",
            "set packing to false",
        )
