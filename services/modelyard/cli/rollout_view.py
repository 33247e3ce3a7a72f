"""A rollout as people read it, in `rollout status` and in `describe`. Builds tables; asks nothing and prints nothing."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from modelyard.cli.durations import format_age
from modelyard.cli.tables import plain_table
from modelyard.domain.figures import METRICS
from modelyard.domain.model import Model
from modelyard.domain.rollout import RolloutStatus
from modelyard.domain.wording import listed


def rollout_parts(model: Model, now: datetime) -> Iterator[RenderableType]:
    """The lines and the table of a model's rollout."""
    rollout = model.status.rollout
    rolled_back = listed(model.status.rolled_back_versions)
    if rollout is None:
        yield Text("no version has taken over from another yet")
        return
    lines = {
        "Version": rollout.version,
        "Before": rollout.previous,
        "Phase": f"{rollout.phase} for {format_age(rollout.since, now)}" if rollout.since else rollout.phase,
        "Requests": _share(rollout),
        "Message": rollout.message,
        "Taken back": rolled_back,
    }
    for name, value in lines.items():
        if value:
            yield Text.assemble((f"{name + ':':<12}", "bold"), value)
    if rollout.analyses:
        figures = dict.fromkeys([*METRICS, *(metric for analysis in rollout.analyses for metric in analysis.figures)])
        measured = [metric for metric in figures if any(metric in analysis.figures for analysis in rollout.analyses)]
        rows = [
            [
                str(analysis.step),
                f"{analysis.weight} %",
                "passed" if analysis.passed else "missed",
                str(analysis.requests),
                *(f"{analysis.figures[metric]:g}" if metric in analysis.figures else "" for metric in measured),
            ]
            for analysis in rollout.analyses
        ]
        yield plain_table(["STEP", "WEIGHT", "RESULT", "REQUESTS", *(metric.upper() for metric in measured)], rows)


def _share(rollout: RolloutStatus) -> str:
    step = f", step {rollout.step}" if rollout.live and rollout.step else ""
    return f"{rollout.weight} % go to {rollout.version}{step}"
