"""The kinds of machines that workers and engines run on, and how workers share one. Pure; knows no Kubernetes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from modelyard.domain.errors import InvalidInputError
from modelyard.domain.fine_tune import Workers
from modelyard.domain.wording import listed, suggest


@dataclass(frozen=True)
class Machine:
    """What one pod of a profile offers, or a laptop."""

    memory_gib: float
    """Memory that weights have to fit into: the accelerators' together, without any the pod's."""
    resources: Mapping[str, float]
    """In Ray's words: `CPU`, `GPU`, or a custom resource. A `GPU` here says that `memory_gib` is that of the accelerators."""

    def share_gib(self, workers: Workers) -> float | None:
        """The memory that each worker has to itself; None where it is not known or no worker fits.

        A worker computes on one accelerator, however many it reserves. Workers without any on a machine that has some would use
        the pod's memory, which is not told here.
        """
        together = workers_on(self.resources, workers)
        if together < 1:
            return None
        accelerators = self.resources.get("GPU", 0.0)
        if not accelerators:
            return self.memory_gib / min(together, workers.count)
        reserved = min(workers.resources.get("GPU", 0.0), 1.0)
        return self.memory_gib / accelerators * reserved if reserved else None


@dataclass(frozen=True)
class Machines:
    """The kinds that there are."""

    kinds: Mapping[str, Machine] = field(default_factory=dict)
    """By the name of their profile; a laptop is the only one and has no name. Empty where nothing is known."""
    default: str = ""
    """For whoever names none."""

    def name_of(self, profile: str | None) -> str | None:
        """The name of the kind that a profile means; None for one that there is not. A laptop is what every profile means."""
        if list(self.kinds) == [""]:
            return ""
        name = profile or self.default
        return name if name in self.kinds else None

    def require(self, profile: str | None) -> str:
        """The name of the kind that a profile means. Raises InvalidInputError for one that there is not."""
        name = self.name_of(profile)
        if name is None:
            known = list(self.kinds)
            raise InvalidInputError(
                f"there is no profile {profile or self.default!r} on this cluster",
                f"{suggest(profile or self.default, known)}there is {listed(known)}",
            )
        return name


def workers_on(offer: Mapping[str, float], workers: Workers) -> int:
    """How many workers one machine holds, as Ray packs them: one with eight GPUs holds eight workers with one each.

    offer: what the machine has, in Ray's words. Workers that reserve nothing are all on one.
    """
    shares = [offer.get(name, 0.0) / amount for name, amount in workers.resources.items() if amount > 0]
    return min([math.floor(share) for share in shares], default=workers.count)
