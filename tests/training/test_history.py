from pathlib import Path

import pytest

from modelyard.domain.errors import IntegrityError
from modelyard.training.curve import draw_curve
from modelyard.training.history import History, Point, read_history
from modelyard.training.layout import HISTORY_FILE


def history(steps: int, total: int = 20) -> History:
    points = [
        Point(
            step=step,
            loss=float(step),
            learning_rate=0.1,
            learned_tokens=10,
            tokens_per_second=100.0,
            seconds=9.0 if step == 1 else 2.0,
            validation_loss=0.5 if step == 4 else None,
        )
        for step in range(1, steps + 1)
    ]
    return History(total_steps=total, rows={"train": 9}, points=points)


def test_progress_says_how_long_it_still_takes_whatever_the_first_step_took() -> None:
    progress = history(5).progress()
    assert (progress.stage, progress.step, progress.total_steps, progress.percent) == ("training", 5, 20, 25.0)
    assert (progress.eta_seconds, progress.tokens_per_second, progress.loss, progress.validation_loss) == (30.0, 100.0, 5.0, 0.5)


def test_progress_before_the_first_step_claims_nothing() -> None:
    progress = history(0).progress()
    assert (progress.percent, progress.eta_seconds, progress.loss, progress.validation_loss) == (0.0, None, None, None)


def test_the_loss_is_the_mean_of_the_last_ten_steps() -> None:
    assert history(12).loss == pytest.approx(sum(range(3, 13)) / 10)
    assert history(12).learned_tokens == 120


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / HISTORY_FILE).write_text(history(3).model_dump_json())
    assert read_history(tmp_path) == history(3)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / HISTORY_FILE).write_text('{"total_steps": 3')
    with pytest.raises(IntegrityError, match=r"has no readable history.json; delete the run folder"):
        read_history(tmp_path)


@pytest.mark.parametrize("steps", [pytest.param(3, id="never measured"), pytest.param(8, id="with validation loss")])
def test_a_curve_is_a_picture(tmp_path: Path, steps: int) -> None:
    draw_curve(history(steps), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
