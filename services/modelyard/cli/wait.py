"""`modelyard wait`: follow a resource until it is as asked, or until that cannot happen any more."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import typer

from modelyard.cli.kinds import Key, label, parse_key
from modelyard.cli.options import Namespace, Timeout, Words, examples
from modelyard.cli.session import Session, session_of
from modelyard.cli.status import BROKEN, condition_of, conditions_of, is_current, message_of, phase_of
from modelyard.cli.watching import changes
from modelyard.domain.durations import format_duration, parse_duration
from modelyard.domain.errors import InvalidInputError, ModelyardError, NotFoundError, UnavailableError
from modelyard.domain.resource import Resource
from modelyard.domain.wording import listed, suggest

app = typer.Typer()


@dataclass(frozen=True)
class Goal:
    """What is waited for."""

    kind: Literal["condition", "phase", "delete"]
    name: str = ""
    """The type of the condition, or the phase."""
    status: str = "True"
    """Of the condition."""

    def __str__(self) -> str:
        if self.kind == "condition":
            return f"condition {self.name}" + ("" if self.status == "True" else f" is {self.status}")
        return "deletion" if self.kind == "delete" else f"phase {self.name}"

    def is_met(self, resource: Resource | None) -> bool:
        """Whether it is so. A status that speaks of an older spec counts for nothing."""
        if self.kind == "delete":
            return resource is None
        if resource is None or not is_current(resource):
            return False
        if self.kind == "phase":
            return phase_of(resource) == self.name
        condition = condition_of(resource, self.name)
        return condition is not None and condition.status == self.status


@app.command(
    epilog=examples(
        "wait model/support-bot --timeout 30m", "wait kb/handbook --for phase=Ready", "wait model support-bot --for delete --timeout 1m"
    )
)
def wait(
    context: typer.Context,
    words: Words,
    goal: Annotated[
        str, typer.Option("--for", metavar="GOAL", help="condition=TYPE, condition=TYPE=False, phase=PHASE, or delete.")
    ] = "condition=Ready",
    timeout: Timeout = "10m",
    namespace: Namespace = "default",
) -> None:
    """Wait until a resource is as asked, with its progress.

    Fails at once, with the cause, when the resource ends as Failed or Rejected; fails when the time is over.
    """
    session = session_of(context)
    key = parse_key(words, namespace)
    asked = parse_goal(goal, key[0])
    wait_for(session, key, asked, parse_duration(timeout))
    session.say(f"{label(key)} {'deleted' if asked.kind == 'delete' else f'{asked} met'}")


def parse_goal(text: str, kind: str) -> Goal:
    """What `--for` asks of a kind. Raises InvalidInputError."""
    from modelyard.domain.documents import KINDS

    what, _, value = text.partition("=")
    name, _, status = value.partition("=")
    if what == "delete" and not value:
        return Goal("delete")
    if what == "condition" and name and status.title() in ("", "True", "False", "Unknown"):
        if kind == "ModelVersion":
            raise InvalidInputError("a ModelVersion has no conditions", "wait for a phase: --for phase=Passed")
        return Goal("condition", name, status.title() or "True")
    if what == "phase" and name and not status:
        phases = get_args(KINDS[kind].model_fields["status"].annotation.model_fields["phase"].annotation)  # type: ignore[union-attr]
        if name not in phases:
            raise InvalidInputError(f"{name!r} is no phase of a {kind}", f"{suggest(name, phases)}there are {listed(phases)}")
        return Goal("phase", name)
    raise InvalidInputError(f"--for {text} is not understood", "write condition=TYPE, condition=TYPE=False, phase=PHASE or delete")


def wait_for(session: Session, key: Key, goal: Goal, timeout_s: float) -> None:
    """Return when the goal is met.

    Raises NotFoundError for a resource that there is not, ModelyardError with the cause once it cannot be met,
    UnavailableError when the time is over.
    """
    from modelyard.cli.progress import open_progress

    resource = session.store.find(*key) if goal.kind == "delete" else session.store.get(*key)
    with open_progress(session.err, label(key)) as progress:
        for _ in changes(session, until=session.monotonic() + timeout_s):
            resource = session.store.find(*key)
            if goal.is_met(resource):
                return
            if resource is None:
                raise NotFoundError(f"{label(key)} was deleted meanwhile", "apply it again")
            _refuse_the_impossible(resource, goal)
            progress.show(resource)
    assert resource is not None
    raise UnavailableError(
        f"{label(key)} did not reach {goal} in {format_duration(timeout_s)}: it is {_where(resource)}",
        f"wait longer with --timeout, or look closer with `modelyard describe {label(key)}`",
    )


def _refuse_the_impossible(resource: Resource, goal: Goal) -> None:
    phase = phase_of(resource)
    if goal.kind != "delete" and phase in BROKEN and is_current(resource):
        raise ModelyardError(f"{label(resource.key)} is {_where(resource)}", f"see `modelyard describe {label(resource.key)}`")


def _where(resource: Resource) -> str:
    message = message_of(resource)
    if not is_current(resource):
        return f"{phase_of(resource)}, and the platform has not looked at its last change yet"
    if not message and not conditions_of(resource):
        return phase_of(resource)
    return f"{phase_of(resource)}: {message}"
