from collections import Counter
from collections.abc import Sequence

import pytest
import torch

from modelyard.training.batches import IGNORED, NOTHING, collate, deal, rows_of_step
from modelyard.training.tokens import Example


def example(length: int, learned: int = 1, first: int = 0) -> Example:
    return Example(tuple(range(first, first + length)), (False,) * (length - learned) + (True,) * learned, digest=f"{first}-{length}")


ROWS = [example(length) for length in range(2, 25)]


def test_each_epoch_shows_every_row_once_in_an_order_of_its_own() -> None:
    seen = [row for step in range(23) for row in rows_of_step(ROWS, 8, seed=1, step=step)]
    epochs = [seen[start : start + len(ROWS)] for start in range(0, 8 * 23, len(ROWS))]
    assert all(Counter(epoch) == Counter(ROWS) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs)


def test_a_step_depends_on_seed_and_step_alone() -> None:
    assert rows_of_step(ROWS, 8, seed=1, step=5) == rows_of_step(list(ROWS), 8, seed=1, step=5)
    assert rows_of_step(ROWS, 8, seed=1, step=5) != rows_of_step(ROWS, 8, seed=2, step=5)


@pytest.mark.parametrize(("world", "micro"), [(1, 1), (1, 8), (2, 4), (4, 2), (2, 2)])
def test_every_row_is_dealt_once_and_all_get_as_many(world: int, micro: int) -> None:
    rows = ROWS[:8]
    hands = deal(rows, world, micro)
    assert len(hands) == world
    assert {len(hand) for hand in hands} == {8 // (world * micro)}
    assert Counter(row for hand in hands for micro_batch in hand for row in micro_batch) == Counter(rows)


def test_the_longest_rows_are_spread_over_the_workers_and_like_lengths_share_a_pass() -> None:
    def lengths(rows: Sequence[Example]) -> list[int]:
        return [len(row.ids) for row in rows]

    hands = deal([example(length) for length in (10, 20, 30, 40, 50, 60, 70, 80)], world=2, micro=2)
    assert [[lengths(micro) for micro in hand] for hand in hands] == [[[80, 50], [40, 10]], [[70, 60], [30, 20]]]


def test_too_few_rows_are_filled_up_with_nothing() -> None:
    hands = deal(ROWS[:3], world=2, micro=1)
    assert [len(hand) for hand in hands] == [2, 2]
    assert sum(micro == [NOTHING] for hand in hands for micro in hand) == 1
    assert (collate([NOTHING], pad_id=0).targets == IGNORED).all()


def test_rows_are_padded_on_the_left_and_only_answers_are_targets() -> None:
    batch = collate([example(4, learned=2, first=10), example(2, learned=1, first=20)], pad_id=9)
    assert batch.input_ids.tolist() == [[10, 11, 12, 13], [9, 9, 20, 21]]
    assert batch.attention_mask is not None
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1], [0, 0, 1, 1]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3], [0, 0, 0, 1]]
    assert batch.predict.tolist() == [1, 2]
    assert batch.targets.tolist() == [[12, 13], [IGNORED, 21]]
    assert batch.tokens == 6
    assert batch.to(torch.device("cpu")).targets.equal(batch.targets)
