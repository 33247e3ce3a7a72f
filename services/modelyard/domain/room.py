"""Decide whether a platform has what a Model asks for, before anything is started for it. Pure."""

from dataclasses import dataclass
from typing import Literal

from modelyard.domain.model import ModelSpec
from modelyard.domain.observed import Platform


@dataclass(frozen=True)
class Lack:
    """What a Model asks for and there is not."""

    condition: Literal["Trained", "Serving"]
    """The stage that waits for it."""
    reason: str
    """One CamelCase word for programs."""
    message: str
    """The numbers and the remedy, for people."""


def find_lack(spec: ModelSpec, platform: Platform) -> Lack | None:
    """The first thing that there is too little of; None where there is enough, or nobody knows."""
    return _find_missing_resource(spec, platform)


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
