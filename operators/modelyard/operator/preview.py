"""Say what applying a resource would change and start, without doing any of it. Reads what a local platform has; knows no command."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.domain.errors import ModelyardError
from modelyard.domain.evaluation import Evaluation
from modelyard.domain.lifecycle import inputs_of, plan
from modelyard.domain.model import Model
from modelyard.domain.names import job_name
from modelyard.domain.observed import CreateVersion, DeleteVersion, JobSeen, Observed, Plan, Platform, RunJob, Step
from modelyard.domain.resource import Resource
from modelyard.operator.local import LocalInputs
from modelyard.operator.store import ResourceStore, utc_now


@dataclass(frozen=True)
class Preview:
    """What would come of applying one resource."""

    changes: tuple[str, ...]
    """Fields of the spec: `path: old → new`, in the order of the spec. Empty when it is new or stays as it is."""
    steps: tuple[str, ...]
    """What the platform would do first; what follows depends on how that ends."""


def preview(resource: Resource, store: ResourceStore | None, platform: Platform, jobs: Mapping[str, JobSeen]) -> Preview:
    """Plan a resource as it would be stored. store: None where there is no platform yet."""
    stored = store.find(*resource.key) if store else None
    wanted = plan(_as_stored(resource, stored), _observe(resource, store, platform, jobs))
    changes = tuple(_differences(stored.spec_document(), resource.spec_document())) if stored else ()
    return Preview(changes, tuple(_steps(wanted, jobs)))


def _as_stored(resource: Resource, stored: Resource | None) -> Resource:
    if stored is None:
        return resource
    document = stored.wire() | {"spec": resource.spec_document()}
    document["metadata"]["generation"] += int(resource.spec_document() != stored.spec_document())
    return type(resource).model_validate(document)


def _observe(resource: Resource, store: ResourceStore | None, platform: Platform, jobs: Mapping[str, JobSeen]) -> Observed:
    namespace = resource.metadata.namespace
    name = resource.spec.model if isinstance(resource, Evaluation) else resource.metadata.name
    model = store.find("Model", namespace, name) if store else None
    digests, problems = {}, {}
    for uri, include in inputs_of(resource):
        try:
            digests[uri] = LocalInputs().digest(uri, include)
        except ModelyardError as error:
            problems[uri] = str(error)
    return Observed(
        platform=platform,
        now=utc_now().isoformat(),
        jobs=jobs,
        digests=digests,
        problems=problems,
        versions=tuple(store.versions(namespace, name)) if store else (),
        model=model if isinstance(model, Model) else None,
    )


def _steps(wanted: Plan, jobs: Mapping[str, JobSeen]) -> Iterator[str]:
    for name in sorted(wanted.jobs):
        seen = jobs.get(name)
        if seen is not None and seen.phase == "succeeded":
            yield f"reuses {name}, which is done"
        elif seen is not None and seen.phase in ("queued", "running"):
            yield f"goes on with {name}, which is {seen.phase}"
    yield from (text for step in wanted.steps if (text := _told(step)))


def _told(step: Step) -> str:
    match step:
        case RunJob(job):
            return f"runs {job_name(job)} ({job.kind})"
        case CreateVersion(name, _):
            return f"makes version {name}"
        case DeleteVersion(name):
            return f"deletes version {name} with its adapter"
        case _:
            return ""


def _differences(old: Any, new: Any, path: str = "spec") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for field in [*old, *(field for field in new if field not in old)]:
            yield from _differences(old.get(field), new.get(field), f"{path}.{field}")
    elif old != new:
        yield f"{path}: {_shown(old)} → {_shown(new)}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)
