"""`up`, `down`, `status`, `logs`, `retry`: the platform itself and its jobs."""

from typing import Annotated

import typer

from modelyard.cli.kinds import label, parse_key
from modelyard.cli.session import Session, session_of
from modelyard.domain.errors import ConflictError, NotFoundError
from modelyard.operator.settings import Settings
from modelyard.operator.state import PlatformState, read_state

app = typer.Typer()

FOLLOW_INTERVAL_S = 0.5
Port = Annotated[int | None, typer.Option(min=1, max=65535, metavar="PORT")]


@app.command()
def up(context: typer.Context, port: Port = None, dashboard_port: Port = None, milvus_port: Port = None) -> None:
    """Start the platform on this machine: Ray, Ray Serve, Milvus Lite and the reconcile loop, on 127.0.0.1 only.

    What was applied before goes on where it was. Example: modelyard up --port 9000
    """
    from modelyard.operator import platform

    session = session_of(context)
    ports = {"port": port, "dashboard_port": dashboard_port, "milvus_port": milvus_port}
    settings = session.settings.model_copy(update={key: value for key, value in ports.items() if value is not None})
    with session.err.status("starting") as status:
        state = platform.up(settings, lambda what: status.update(f"{what} …"))
    _say_where(session, settings, state)


@app.command()
def down(context: typer.Context) -> None:
    """Stop everything that `up` started, and nothing else. Resources, artifacts and indexes stay."""
    from modelyard.operator import platform

    session = session_of(context)
    with session.err.status("stopping"):
        stopped = platform.down(session.settings)
    session.say(f"stopped {stopped} processes" if stopped else f"nothing runs in {session.settings.root}")


@app.command()
def status(context: typer.Context) -> None:
    """Say whether the platform runs, where it listens and what its jobs do. Exit code 1 if it does not run."""
    from modelyard.operator.runs import list_jobs

    session = session_of(context)
    state = read_state(session.settings)
    if state is None:
        session.say(f"not running ({session.settings.root}); run `modelyard up`")
        raise typer.Exit(1)
    _say_where(session, session.settings, state)
    for name, seen in list_jobs(session.settings).items():
        progress = f" {seen.progress.percent:.0f}%" if seen.phase == "running" and seen.progress else ""
        session.say(f"job {name}: {seen.phase}{progress}{f': {seen.message}' if seen.message else ''}")


@app.command()
def logs(
    context: typer.Context,
    resource: Annotated[list[str], typer.Argument(metavar="KIND/NAME", help="whose last job is shown")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on until the job ends")] = False,
    job: Annotated[str, typer.Option(help="another job, by its name in `modelyard events`")] = "",
    namespace: Annotated[str, typer.Option("--namespace", "-n")] = "default",
) -> None:
    """Print the output of a resource's job: the one that runs, or that ran last.

    Example: modelyard logs model/python-helper -f
    """
    from modelyard.operator.jobs import read_job
    from modelyard.operator.runs import read_log, run_folder

    session = session_of(context)
    name = job or _job_of(session, parse_key(resource, namespace))
    shown = 0
    while True:
        seen = read_job(run_folder(session.settings, name))
        if seen is None:
            raise NotFoundError(f"there is no job {name!r}", "`modelyard events` names those that there were")
        text = read_log(session.settings, name)  # after that look: of a job that has ended, this is all
        session.out.out(text[shown:], end="", highlight=False)
        shown = len(text)
        if not follow or seen.phase in {"succeeded", "failed"}:
            return
        session.sleep(FOLLOW_INTERVAL_S)


@app.command()
def retry(
    context: typer.Context,
    resource: Annotated[list[str], typer.Argument(metavar="KIND/NAME")],
    namespace: Annotated[str, typer.Option("--namespace", "-n")] = "default",
) -> None:
    """Start the failed job of a resource again, from its last checkpoint.

    Example: modelyard retry model/python-helper
    """
    from modelyard.operator.jobs import read_job, requeue
    from modelyard.operator.runs import run_folder

    session = session_of(context)
    key = parse_key(resource, namespace)
    name = _job_of(session, key)
    run = run_folder(session.settings, name)
    seen = read_job(run)
    if seen is None or seen.phase != "failed":
        raise ConflictError(f"job {name} of {label(key)} is {seen.phase if seen else 'not there'}, not failed", "there is nothing to retry")
    requeue(run)
    session.say(f"{label(key)}: job {name} is queued again")


def _say_where(session: Session, settings: Settings, state: PlatformState) -> None:
    session.say(f"{state.phase} in {settings.root}{f': {state.message}' if state.message else ''}")
    session.say(f"endpoint   http://127.0.0.1:{state.port}/v1")
    session.say(f"metrics    http://127.0.0.1:{state.port}/metrics")
    session.say(f"dashboard  http://127.0.0.1:{state.dashboard_port} (its token is in {settings.root}/secrets/ray-token)")


def _job_of(session: Session, key: tuple[str, str, str]) -> str:
    resource = session.store.get(*key)
    name = getattr(getattr(resource, "status", None), "job", "")
    if not name:
        raise NotFoundError(f"{label(key)} has had no job yet", f"see `modelyard describe {label(key)}`")
    return str(name)
