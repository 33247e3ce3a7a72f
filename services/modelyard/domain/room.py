"""Decide whether a platform has what a Model asks for, before anything is started for it. Pure."""

from dataclasses import dataclass
from typing import Literal

from modelyard.domain.architecture import Architecture
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.job import FetchResult
from modelyard.domain.machine import Machines
from modelyard.domain.memory_advice import check_serving, check_training
from modelyard.domain.model import ModelSpec
from modelyard.domain.names import engine_name
from modelyard.domain.observed import Observed, Platform

UNDER_WAY = {"Training", "Evaluating"}
"""Phases of a version whose jobs run: a look at the engine that is to come must not stop them."""
TRAINED = {"Passed", "Rejected"}


@dataclass(frozen=True)
class Lack:
    """What a Model asks for and there is not."""

    condition: Literal["Trained", "Serving"]
    """The stage that waits for it."""
    reason: str
    """One CamelCase word for programs."""
    message: str
    """The numbers and the remedy, for people."""


def find_lack(spec: ModelSpec, fetched: FetchResult, seen: Observed) -> Lack | None:
    """The first thing that there is too little of; None where there is enough, or nobody knows.

    What is trained or served already has shown that it fits, whatever an estimate says.
    """
    missing = _find_missing_resource(spec, seen.platform)
    if missing is not None:
        return missing
    phases = _phases(spec, fetched, seen)
    training = not phases & (UNDER_WAY | TRAINED)
    serving = not phases & UNDER_WAY and not _is_served(spec, fetched, seen)
    machines, architecture = seen.platform.machines, fetched.architecture
    unknown = _find_unknown_profile(spec, machines, training=training, serving=serving)
    if unknown is not None or architecture is None:
        return unknown
    return find_memory_lack(spec, architecture, machines, training=training, serving=serving)


def find_memory_lack(
    spec: ModelSpec, architecture: Architecture, machines: Machines, *, training: bool = True, serving: bool = True
) -> Lack | None:
    """What wants more memory than its machine has. training, serving: whether to judge that stage."""
    if training and spec.fine_tune is not None:
        problem = check_training(spec.fine_tune, architecture, machines)
        if problem:
            return Lack("Trained", "DoesNotFit", problem)
    if serving and spec.serving is not None:
        adapter = spec.fine_tune.adapter if spec.fine_tune else None
        problem = check_serving(spec.serving, adapter, architecture, machines)
        if problem:
            return Lack("Serving", "DoesNotFit", problem)
    return None


def _find_missing_resource(spec: ModelSpec, platform: Platform) -> Lack | None:
    if spec.fine_tune is None or not platform.capacity:
        return None
    workers = spec.fine_tune.workers
    for resource, amount in workers.resources.items():
        have = platform.capacity.get(resource, 0.0)
        if workers.count * amount > have:
            return Lack(
                "Trained",
                "Unschedulable",
                f"{workers.count} workers × {amount:g} {resource} want {workers.count * amount:g} {resource} and there is {have:g}; "
                "lower spec.fineTune.workers",
            )
    return None


def _find_unknown_profile(spec: ModelSpec, machines: Machines, *, training: bool, serving: bool) -> Lack | None:
    if not machines.kinds:
        return None
    try:
        if training and spec.fine_tune is not None:
            machines.require(spec.fine_tune.workers.profile)
    except InvalidInputError as error:
        return Lack("Trained", "ProfileNotFound", f"spec.fineTune.workers.profile: {error}")
    try:
        if serving and spec.serving is not None:
            machines.require(spec.serving.profile)
    except InvalidInputError as error:
        return Lack("Serving", "ProfileNotFound", f"spec.serving.profile: {error}")
    return None


def _phases(spec: ModelSpec, fetched: FetchResult, seen: Observed) -> set[str]:
    """Where the versions are that are made by the same training, on whatever data."""
    if spec.fine_tune is None:
        return set()
    asked = (fetched.digest, spec.fine_tune)
    return {version.status.phase for version in seen.versions if (version.spec.base_digest, version.spec.fine_tune) == asked}


def _is_served(spec: ModelSpec, fetched: FetchResult, seen: Observed) -> bool:
    app = seen.apps.get(engine_name(fetched.digest, spec.serving)) if spec.serving else None
    return app is not None and app.phase != "failed"
