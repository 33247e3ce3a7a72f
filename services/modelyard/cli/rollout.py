"""`modelyard rollout`: follow how a new version takes over, and take a hand in it. Decides nothing: it leaves a request on the Model."""

from collections.abc import Callable
from typing import Annotated

import typer

from modelyard.cli.kinds import label_of
from modelyard.cli.options import Namespace, Watch, complete_models, examples
from modelyard.cli.rollout_view import rollout_parts
from modelyard.cli.session import Session, session_of
from modelyard.cli.watching import changes
from modelyard.domain.errors import ConflictError, InvalidInputError, NotFoundError
from modelyard.domain.model import Model
from modelyard.domain.rollout import COMMAND_ANNOTATION, TIME_ANNOTATION, VERSION_ANNOTATION, Command, RolloutStatus
from modelyard.domain.wording import listed

app = typer.Typer()
group = typer.Typer(name="rollout", no_args_is_help=True, help="Follow how a new version takes over, and take a hand in it.")
app.add_typer(group)

Name = Annotated[str, typer.Argument(metavar="MODEL", help="The name of the Model.", autocompletion=complete_models, show_default=False)]


@group.command(epilog=examples("rollout status support-bot", "rollout status support-bot --watch"))
def status(context: typer.Context, name: Name, watch: Watch = False, namespace: Namespace = "default") -> None:
    """Show the rollout that goes on, else the last one, with the figures of each step."""
    session = session_of(context)
    shown: object = None
    for _ in changes(session, until=None if watch else session.monotonic()):
        model = _find(session, name, namespace)
        told = (model.status.rollout, model.status.active_version, model.status.rolled_back_versions)
        if told != shown:
            for part in rollout_parts(model, session.clock()):
                session.show(part)
        shown = told


@group.command(epilog=examples("rollout pause support-bot"))
def pause(context: typer.Context, name: Name, namespace: Namespace = "default") -> None:
    """Stay at this step until `resume`. A broken rule still takes the version back."""
    _request(context, name, namespace, "pause", _live)


@group.command(epilog=examples("rollout resume support-bot"))
def resume(context: typer.Context, name: Name, namespace: Namespace = "default") -> None:
    """Go on after `pause`; the step begins anew."""
    _request(context, name, namespace, "resume", _paused)


@group.command(epilog=examples("rollout promote support-bot"))
def promote(context: typer.Context, name: Name, namespace: Namespace = "default") -> None:
    """Send all requests to the new version now, whatever the steps that are left say."""
    _request(context, name, namespace, "promote", _live)


@group.command(epilog=examples("rollout abort support-bot"))
def abort(context: typer.Context, name: Name, namespace: Namespace = "default") -> None:
    """End the rollout: all requests go to the version before, and this one is not tried again by itself."""
    _request(context, name, namespace, "abort", _live)


@group.command(epilog=examples("rollout undo support-bot"))
def undo(context: typer.Context, name: Name, namespace: Namespace = "default") -> None:
    """Go back to the version before, also after the promotion, as soon as it is loaded."""
    _request(context, name, namespace, "undo", _undoable)


@group.command(epilog=examples("rollout retry support-bot", "rollout retry support-bot --version support-bot-0123456789"))
def retry(
    context: typer.Context,
    name: Name,
    version: Annotated[
        str, typer.Option(metavar="VERSION", help="The ModelVersion; else the one that the spec asks for.", show_default=False)
    ] = "",
    namespace: Namespace = "default",
) -> None:
    """Try a version again that was taken back; its rollout begins anew."""
    _request(context, name, namespace, "retry", lambda session, model: _retried(model, version))


def _find(session: Session, name: str, namespace: str) -> Model:
    found = session.store.get("Model", namespace, name.removeprefix("model/"))
    assert isinstance(found, Model)
    return found


def _request(context: typer.Context, name: str, namespace: str, command: Command, choose: Callable[[Session, Model], str]) -> None:
    """Leave a command for the version that `choose` names; it raises where the command makes no sense."""
    session = session_of(context)
    model = _find(session, name, namespace)
    version = choose(session, model)
    asked = {
        COMMAND_ANNOTATION: command,
        VERSION_ANNOTATION: version,
        TIME_ANNOTATION: session.clock().isoformat(timespec="milliseconds"),
    }
    metadata = model.metadata.model_copy(update={"annotations": {**model.metadata.annotations, **asked}})
    session.store.apply(model.model_copy(update={"metadata": metadata}))
    session.say(f"{label_of(model)}: {command} of {version} is asked for")


def _rollout(model: Model) -> RolloutStatus:
    rollout = model.status.rollout
    if rollout is None:
        raise NotFoundError(
            f"{label_of(model)} has no rollout: no version has taken over from another yet",
            "change the source or spec.fineTune, or `modelyard refresh` it after its rows changed: what comes of it is rolled out",
        )
    return rollout


def _live(session: Session, model: Model) -> str:
    rollout = _rollout(model)
    if not rollout.live:
        remedy = "`modelyard rollout undo` takes it back" if rollout.phase == "Promoted" else "`modelyard rollout retry` tries it again"
        raise ConflictError(f"the rollout of {rollout.version} is over: it is {rollout.phase} ({rollout.message})", remedy)
    return rollout.version


def _paused(session: Session, model: Model) -> str:
    version = _live(session, model)
    if _rollout(model).phase != "Paused":
        raise ConflictError(f"the rollout of {version} is not paused", "it goes on by itself; see `modelyard rollout status`")
    return version


def _undoable(session: Session, model: Model) -> str:
    rollout = _rollout(model)
    if rollout.phase in ("RolledBack", "Aborted"):
        raise ConflictError(f"{rollout.version} is {rollout.phase} already ({rollout.message})", "`modelyard rollout retry` tries it again")
    if session.store.find("ModelVersion", model.metadata.namespace, rollout.previous) is None:
        raise NotFoundError(
            f"the version before, {rollout.previous or 'if there was one'}, is not kept any more",
            "apply the spec that it was made of, and raise spec.retention.keepVersions",
        )
    return rollout.version


def _retried(model: Model, version: str) -> str:
    rolled_back, desired = model.status.rolled_back_versions, model.status.version
    if not rolled_back:
        raise ConflictError(f"no version of {label_of(model)} was taken back", "there is nothing to try again")
    wanted = version or (desired if desired in rolled_back or len(rolled_back) > 1 else rolled_back[0])
    if wanted not in rolled_back:
        raise InvalidInputError(f"{wanted} was not taken back", f"add --version with one that was: {listed(rolled_back)}")
    return wanted
