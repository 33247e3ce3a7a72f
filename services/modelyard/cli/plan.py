"""`modelyard plan`: say what applying manifests would change and start; change nothing."""

import typer

from modelyard.cli.kinds import label_of
from modelyard.cli.options import Files, Recursive, examples
from modelyard.cli.session import session_of

app = typer.Typer()


@app.command(epilog=examples("plan -f model.yaml", "plan -R -f manifests/"))
def plan(context: typer.Context, files: Files, recursive: Recursive = False) -> None:
    """Say what applying manifests would change, and what the platform would do first; change nothing.

    Works without a platform, too: then everything is new. On a cluster, `kubectl diff -f` shows the changes.
    """
    from modelyard.cli.manifests import read_manifests
    from modelyard.domain.observed import Platform
    from modelyard.operator.preview import preview
    from modelyard.operator.processes import cores, gpus, machines
    from modelyard.operator.runs import list_jobs
    from modelyard.operator.store import outcome_of

    session = session_of(context)
    settings = session.settings
    resources = read_manifests(files, typer.get_text_stream("stdin"), recursive=recursive)
    store = session.store if settings.database.exists() else None
    capacity = {"CPU": cores(), "GPU": gpus()}
    platform = Platform(store=settings.artifacts_uri, milvus_uri=settings.milvus_uri, capacity=capacity, machines=machines())
    for resource in resources:
        outcome = outcome_of(resource, store.find(*resource.key) if store else None)
        session.say(f"{label_of(resource)} would be {outcome}" if outcome != "unchanged" else f"{label_of(resource)} stays as it is")
        seen = preview(resource, store, platform, list_jobs(settings))
        for line in (*seen.changes, *seen.steps):
            session.say(f"  {line}")
