"""Whether a Ray cluster has room for a run's workers, and how many threads each may use. Knows no Ray."""

from collections.abc import Mapping

from modelyard.domain.errors import CapacityError
from modelyard.domain.fine_tune import Workers


def require_room(workers: Workers, cluster: Mapping[str, float]) -> None:
    """Raise CapacityError if the cluster has less of a resource than all workers reserve.

    cluster: what Ray's nodes have together. Without this check Ray would wait for ever.
    """
    for resource, amount in workers.resources.items():
        needed, present = amount * workers.count, cluster.get(resource, 0.0)
        if needed > present:
            raise CapacityError(
                f"{workers.count} workers with {amount:g} {resource} each need {needed:g} {resource} and the Ray cluster has {present:g}",
                "lower workers.count or workers.resources, or add nodes",
            )


def threads_per_worker(workers: Workers, cluster: Mapping[str, float]) -> int:
    """The cores of the cluster, shared out; more threads than cores make a step several times slower."""
    return max(1, int(cluster.get("CPU", 1.0)) // workers.count)
