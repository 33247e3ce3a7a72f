"""Draw the figures of a run: a picture of the losses, and a page with all of them that needs nothing else."""

from collections.abc import Callable, Sequence
from html import escape
from io import StringIO
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from modelyard.training.history import History, Point

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #222 }}
svg {{ width: 100%; height: auto }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
td, th {{ padding: .1rem .8rem; text-align: right; border-bottom: 1px solid #ddd }}
</style></head><body>
<h1>{title}</h1>
<p>{summary}</p>
{pictures}
<details><summary>Every step</summary><table><tr>{heads}</tr>
{rows}
</table></details>
</body></html>
"""

Look = Callable[[Point], float | None]
OTHERS: Sequence[tuple[str, Look]] = (
    ("token accuracy", lambda point: point.accuracy),
    ("learning rate", lambda point: point.learning_rate),
    ("gradient norm", lambda point: point.gradient_norm),
    ("tokens per second", lambda point: point.tokens_per_second),
    ("peak memory, MiB", lambda point: point.peak_bytes / 2**20 or None),
)


def draw_curve(history: History, path: Path) -> None:
    """Write training and validation loss over the steps as a PNG."""
    figure = _losses(history)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=120)


def draw_page(history: History, title: str, path: Path) -> None:
    """Write an HTML page with the curves inside it and the figures of every step below them. title: of the run, for people."""
    looks: list[tuple[str, Look]] = [("loss", lambda point: point.loss), ("validation loss", lambda point: point.validation_loss), *OTHERS]
    pictures = [
        _losses(history),
        *(_line(history, name, look) for name, look in OTHERS if any(look(point) is not None for point in history.points)),
    ]
    rows = "\n".join(
        f"<tr><td>{point.step}</td>" + "".join(f"<td>{_words(look(point))}</td>" for _, look in looks) + "</tr>" for point in history.points
    )
    summary = f"{history.step} of {history.total_steps} steps, {history.learned_tokens} learned tokens, loss {history.loss:.4f}"
    if history.best is not None:
        summary += f", lowest validation loss {history.best.validation_loss:.4f} after step {history.best.step}"
    page = PAGE.format(
        title=escape(title),
        summary=escape(summary),
        pictures="\n".join(_svg(picture) for picture in pictures),
        heads="".join(f"<th>{name}</th>" for name in ["step", *(name for name, _ in looks)]),
        rows=rows,
    )
    path.write_text(page, encoding="utf-8")


def _losses(history: History) -> Figure:
    # Not pyplot, which keeps figures in a global registry and looks for a display.
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([point.step for point in history.points], [point.loss for point in history.points], label="training")
    measured = {point.step: point.validation_loss for point in history.points if point.validation_loss is not None}
    if measured:
        axes.plot(list(measured), list(measured.values()), "o-", label="validation")
    axes.set(xlabel="optimizer step", ylabel="loss per learned token", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _line(history: History, name: str, look: Look) -> Figure:
    figure = Figure(figsize=(7, 2), layout="constrained")
    axes = figure.add_subplot()
    known = {point.step: value for point in history.points if (value := look(point)) is not None}
    axes.plot(list(known), list(known.values()))
    axes.set(xlabel="optimizer step", ylabel=name)
    axes.grid(alpha=0.3)
    return figure


def _svg(figure: Figure) -> str:
    FigureCanvasSVG(figure)
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def _words(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"
