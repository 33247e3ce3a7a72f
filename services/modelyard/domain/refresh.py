"""Decide whether a resource takes up the world anew: at a tick of its schedule, or by hand. Pure; knows no kind."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from modelyard.domain.observed import JobSeen
from modelyard.domain.schedule import Schedule, is_due, last_tick, next_tick
from modelyard.domain.stage import MAX_ATTEMPTS, Draft

REFRESH_ANNOTATION = "modelyard.io/refresh"
"""Any text. One that was not taken up yet asks to look at the world now; `modelyard refresh` writes the time."""


@dataclass(frozen=True)
class Marks:
    """What a status remembers of the last time."""

    last_schedule_time: str = ""
    next_schedule_time: str = ""
    refreshed: str = ""


@dataclass(frozen=True)
class Occasion:
    """What may make a resource look anew."""

    schedule: Schedule | None
    request: str
    """The annotation; empty: nobody asks."""
    former: Marks
    now: str
    """UTC, RFC 3339; empty where no time is known, and then none passes."""

    @property
    def is_by_hand(self) -> bool:
        """Whether a person asks, and was not answered yet."""
        return self.request not in ("", self.former.refreshed)

    @property
    def is_due(self) -> bool:
        """Whether a person asks, or a tick came."""
        return self.is_by_hand or (self.schedule is not None and is_due(self.schedule, self.former.last_schedule_time, self.now))

    def taken(self) -> Marks:
        """What to remember once it was taken up, with all ticks that were missed. What comes next follows from the tick alone."""
        if self.schedule is None or not self.now:
            return Marks(refreshed=self.request)
        last = last_tick(self.schedule, self.now)
        return Marks(last, next_tick(self.schedule, last), self.request)

    def waiting(self) -> Marks:
        """What to remember until then. A request that is taken away counts anew when it is given again."""
        kept = self.former if self.schedule is not None else Marks(refreshed=self.former.refreshed)
        return kept if self.request else replace(kept, refreshed="")


def is_under_way(job: JobSeen | None) -> bool:
    """Whether a job still comes to its end by itself: there are never two for one resource at once."""
    if job is None:
        return False
    return job.phase in ("queued", "running") or (job.phase == "failed" and job.retryable and job.attempts < MAX_ATTEMPTS)


def follow_after_failure(draft: Draft, inputs: Mapping[str, str], pinned: dict[str, str], job: JobSeen | None) -> dict[str, str]:
    """The digests (name → sha256) that a job is asked on: those of its tick, but for one that failed, which gets what is there now.

    inputs: name → URI.
    """
    readable = all(uri in draft.seen.digests for uri in inputs.values())
    if job is None or job.phase != "failed" or not readable:
        return pinned
    return {name: draft.seen.digests[uri] for name, uri in inputs.items()}
