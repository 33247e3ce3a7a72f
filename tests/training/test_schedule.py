from typing import Any

import pytest

from modelyard.domain.fine_tune import Hyperparameters
from modelyard.training.schedule import count_steps, learning_rate


@pytest.mark.parametrize(
    ("knobs", "steps"),
    [
        pytest.param({"epochs": 2, "batch_size": 8}, 25, id="the last step of two epochs over 100 rows is not full"),
        pytest.param({"epochs": 0.001, "batch_size": 8}, 1, id="at least one"),
        pytest.param({"epochs": 2, "batch_size": 8, "max_steps": 7}, 7, id="no more than asked"),
        pytest.param({"epochs": 2, "batch_size": 8, "max_steps": 99}, 25, id="no more than the epochs have"),
    ],
)
def test_steps(knobs: dict[str, Any], steps: int) -> None:
    assert count_steps(Hyperparameters(**knobs), rows=100) == steps


def rates(**knobs: Any) -> list[float]:
    return [learning_rate(Hyperparameters(learning_rate=1.0, **knobs), step, 10) for step in range(10)]


def test_a_linear_schedule_warms_up_and_falls_to_its_last_share() -> None:
    assert rates(schedule="linear", warmup_ratio=0.2) == pytest.approx([0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])


def test_a_cosine_falls_slowly_at_first_and_is_half_in_the_middle() -> None:
    cosine = rates(schedule="cosine", warmup_ratio=0.0)
    assert cosine[0] == 1.0
    assert cosine[5] == pytest.approx(0.5)
    assert cosine == sorted(cosine, reverse=True)
    assert 0 < cosine[-1] < 0.05


def test_a_constant_schedule_is_constant_after_the_warm_up() -> None:
    assert rates(schedule="constant", warmup_ratio=0.1) == [1.0] * 10
    assert rates(schedule="constant", warmup_ratio=0.4)[:4] == [0.25, 0.5, 0.75, 1.0]
