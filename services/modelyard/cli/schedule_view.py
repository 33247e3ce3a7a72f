"""Schedules and the runs that came of them, as people read them. Builds texts and tables; asks nothing and prints nothing."""

from datetime import datetime

from rich.table import Table

from modelyard.cli.durations import format_age
from modelyard.cli.tables import plain_table
from modelyard.domain.durations import format_duration
from modelyard.domain.evaluation import Evaluation
from modelyard.domain.knowledge_base import KnowledgeBase
from modelyard.domain.resource import Resource
from modelyard.domain.schedule import Schedule


def schedule_of(resource: Resource) -> Schedule | None:
    """The schedule of a resource of any kind."""
    match resource:
        case Evaluation(spec=spec):
            return spec.schedule
        case KnowledgeBase(spec=knowledge_base):
            return knowledge_base.refresh
        case _:
            return None


def last_tick_age(resource: Resource, now: datetime) -> str:
    """How long ago the tick was that was taken up last; empty without one."""
    return format_age(resource.status.last_schedule_time, now) if isinstance(resource, Evaluation | KnowledgeBase) else ""


def schedule_text(resource: Resource, now: datetime) -> str:
    """`30 6 * * MON-FRI (Europe/Berlin), last 3h ago, next in 21h`; empty without a schedule."""
    schedule = schedule_of(resource)
    if schedule is None or not isinstance(resource, Evaluation | KnowledgeBase):
        return ""
    parts = [f"{schedule.cron} ({schedule.time_zone})"]
    if resource.status.last_schedule_time:
        parts.append(f"last {last_tick_age(resource, now)} ago")
    if resource.status.next_schedule_time:
        left_s = (datetime.fromisoformat(resource.status.next_schedule_time) - now).total_seconds()
        parts.append(f"next in {format_duration(left_s)}" if left_s > 0 else f"next due for {format_duration(-left_s)}")
    return ", ".join(parts)


def history_table(evaluation: Evaluation, now: datetime) -> Table | None:
    """The last runs, the newest first, with the mean of each metric; None where there is nothing to compare."""
    runs = evaluation.status.history
    if not runs:
        return None
    metrics = list(dict.fromkeys(metric for run in runs for metric in run.scores))
    rows = [
        [
            str(run.run),
            format_age(run.time, now),
            run.target,
            "passed" if run.passed else "missed",
            *(f"{run.scores[metric]:.3f}" if metric in run.scores else "" for metric in metrics),
        ]
        for run in runs
    ]
    return plain_table(["RUN", "SINCE", "TARGET", "RESULT", *(metric.upper() for metric in metrics)], rows)
