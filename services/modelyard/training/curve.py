"""Draw the loss of a run."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from modelyard.training.history import History


def draw_curve(history: History, path: Path) -> None:
    """Write training and validation loss over the steps as a PNG."""
    # Not pyplot, which keeps figures in a global registry and looks for a display.
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([point.step for point in history.points], [point.loss for point in history.points], label="training")
    measured = {point.step: point.validation_loss for point in history.points if point.validation_loss is not None}
    if measured:
        axes.plot(list(measured), list(measured.values()), "o-", label="validation")
    axes.set(xlabel="optimizer step", ylabel="loss per learned token", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
