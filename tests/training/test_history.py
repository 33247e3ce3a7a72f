import json
import re
from pathlib import Path

import pytest

from modelyard.domain.errors import IntegrityError
from modelyard.training.curve import draw_curve, draw_page
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


def test_a_page_holds_all_its_curves_and_figures_and_asks_for_nothing_else(tmp_path: Path) -> None:
    draw_page(history(8), "tiny <1>", tmp_path / "curve.html")
    page = (tmp_path / "curve.html").read_text()
    assert "<h1>tiny &lt;1&gt;</h1>" in page
    assert "8 of 20 steps, 80 learned tokens, loss 4.5000, lowest validation loss 0.5000 after step 4" in page
    assert page.count("<svg ") == 3
    assert "<tr><td>4</td><td>4</td><td>0.5</td><td></td><td>0.1</td><td></td><td>100</td><td></td></tr>" in page
    assert not re.search(r"""(src|href)=["'](?!#)|@import|url\((?!#)""", page)


@pytest.mark.parametrize(
    ("losses", "patience", "min_delta", "stalled"),
    [
        pytest.param([3, 2, 1], 1, 0.0, False, id="still falling"),
        pytest.param([3, 2, 2, 2], 2, 0.0, True, id="twice no lower"),
        pytest.param([3, 2, 2.5, 1.9], 2, 0.0, False, id="once no lower, then lower"),
        pytest.param([3, 2.95, 2.92], 2, 0.1, True, id="lower by too little"),
        pytest.param([3, 2.95, 2.89], 2, 0.1, False, id="little by little, but enough together"),
        pytest.param([], 1, 0.0, False, id="never measured"),
    ],
)
def test_a_run_stalls_when_its_validation_loss_falls_no_further(
    losses: list[float], patience: int, min_delta: float, stalled: bool
) -> None:
    run = history(len(losses))
    for point, loss in zip(run.points, losses, strict=True):
        point.validation_loss = loss
    assert run.stalled(patience, min_delta) is stalled


def test_the_best_step_is_the_first_of_equals() -> None:
    run = history(5)
    assert run.best is run.points[3]
    run.points[1].validation_loss = 0.5
    assert run.best is run.points[1]
    assert history(3).best is None


def test_progress_tells_the_figures_of_the_last_step() -> None:
    run = history(5)
    run.points[-1] = run.points[-1].model_copy(update={"accuracy": 0.512345, "gradient_norm": 1.23456, "peak_bytes": 1 << 30})
    progress = run.progress()
    assert (progress.token_accuracy, progress.learning_rate) == (0.5123, 0.1)
    assert (progress.gradient_norm, progress.peak_memory_bytes) == (1.235, 1 << 30)


def test_a_checkpoint_without_a_measurement_ranks_last() -> None:
    assert history(4).metrics() == {"step": 4, "loss": 2.5, "validation_loss": 0.5}
    unmeasured = history(5).metrics()
    assert unmeasured["validation_loss"] > 1e300
    assert json.loads(json.dumps(unmeasured, allow_nan=False)) == unmeasured


@pytest.mark.parametrize("steps", [pytest.param(3, id="never measured"), pytest.param(8, id="with validation loss")])
def test_a_curve_is_a_picture(tmp_path: Path, steps: int) -> None:
    draw_curve(history(steps), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
