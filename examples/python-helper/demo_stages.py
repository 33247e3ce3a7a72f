"""Show each stage of the chain with a progress bar until both resources are ready."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from modelyard.domain.errors import ModelyardError
from modelyard.domain.knowledge_base import KnowledgeBase
from modelyard.domain.model import Model
from modelyard.domain.resource import Progress as JobProgress
from modelyard.operator.attempts import read_attempt
from modelyard.operator.runs import run_folder
from modelyard.operator.settings import Settings
from modelyard.operator.state import is_locked
from modelyard.operator.store import ResourceStore

STAGES = {
    "fetch": "fetch the weights",
    "fetch_embedding": "fetch the embedding model",
    "ingest": "index the documents",
    "evaluate_base": "score the base",
    "train": "fine-tune",
    "evaluate_tuned": "score the tuned model",
    "deploy": "serve",
}


class StageFailedError(ModelyardError):
    """A stage ended in a way that ends the demo."""


@dataclass
class Run:
    """One job's run, as its folder tells."""

    stage: str
    started_at: float
    ended_at: float
    progress: JobProgress | None


def watch_stages(settings: Settings, console: Console, model_name: str, base_name: str) -> tuple[Model, dict[str, float]]:
    """Wait until the model and the knowledge base are ready; returns the model and seconds per stage (0: reused).

    Raises StageFailedError with the reason that the resource states.
    """
    store = ResourceStore(settings.database)
    began = time.time()
    deploying_since = 0.0
    shown = _Bars(console, began)
    with shown.bars:
        while True:
            runs = {run.stage: run for run in _runs(settings)}
            for run in runs.values():
                shown.show(run)
            model, base = store.get("Model", "default", model_name), store.get("KnowledgeBase", "default", base_name)
            assert isinstance(model, Model) and isinstance(base, KnowledgeBase)
            _stop_if_failed(model)
            _stop_if_failed(base)
            if not is_locked(settings):
                raise StageFailedError("the platform has ended", f"see {settings.root / 'logs'}, and run the demo again to go on")
            if model.status.phase == "Deploying" and not deploying_since:
                deploying_since = time.time()
            if model.status.phase == base.status.phase == "Ready":
                break
            shown.show(Run("deploy", deploying_since, 0.0, None))
            time.sleep(0.5)
        shown.show(Run("deploy", deploying_since, time.time(), JobProgress(stage=", ".join(model.status.served_names))))
    seconds = {key: max(0.0, run.ended_at - max(run.started_at, began)) for key, run in runs.items()}
    return model, seconds | {"deploy": time.time() - deploying_since if deploying_since else 0.0}


def _stop_if_failed(resource: Model | KnowledgeBase) -> None:
    """Raise StageFailedError when the resource failed as it is declared now."""
    status, name = resource.status, resource.metadata.name
    if status.phase in ("Failed", "Rejected") and status.observed_generation == resource.metadata.generation:
        raise StageFailedError(
            f"{resource.kind} {name} is {status.phase}: {status.conditions[-1].message}",
            f"see `modelyard describe {resource.kind.lower()} {name}`",
        )


class _Bars:
    """A bar per stage; where there is no terminal, a line per stage that is done."""

    def __init__(self, console: Console, began: float) -> None:
        self.console, self.began = console, began
        self.done: set[str] = set()
        columns = (TextColumn("{task.description:28}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn())
        self.bars = Progress(*columns, TextColumn("{task.fields[note]}"), console=console, disable=not console.is_terminal)
        self.tasks = {key: self.bars.add_task(label, total=100, start=False, note="") for key, label in STAGES.items()}

    def show(self, run: Run) -> None:
        if run.stage in self.done or not run.started_at:
            return
        task = self.tasks[run.stage]
        self.bars.start_task(task)
        self.bars.update(task, completed=run.progress.percent if run.progress else 0, note=_note(run.progress))
        if run.ended_at:
            note = "done before" if run.ended_at < self.began else f"{run.ended_at - run.started_at:.0f} s"
            self.bars.update(task, completed=100, note=note)
            self.bars.stop_task(task)
            self.done.add(run.stage)
            if not self.console.is_terminal:
                self.console.print(f"{STAGES[run.stage]}: {note}")


def _runs(settings: Settings) -> Iterator[Run]:
    folder = settings.root / "runs"
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        run = run_folder(settings, path.name)
        attempt = read_attempt(run)
        if attempt is None:
            continue
        spec = run.read_spec()
        stage = str(spec.kind)
        if spec.kind == "evaluate":
            stage = "evaluate_tuned" if spec.adapter_digest else "evaluate_base"
        elif spec.kind == "fetch" and spec.role == "embedding":
            stage = "fetch_embedding"
        yield Run(stage, attempt.started_at, attempt.ended_at, run.read_progress())


def _note(progress: JobProgress | None) -> str:
    if progress is None:
        return ""
    parts = [progress.stage]
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.tokens_per_second:
        parts.append(f"{progress.tokens_per_second:.0f} tokens/s")
    if progress.eta_seconds:
        parts.append(f"{progress.eta_seconds:.0f} s left")
    return " · ".join(parts)
