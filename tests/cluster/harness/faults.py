"""Say what goes wrong at the proxy: with which requests, from which of them on, how often, and how. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypedDict

from harness.calls import Call

Kind = Literal["write", "read", "watch"]
REASONS = {
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


@dataclass(frozen=True)
class CutBefore:
    """The client sees a reset, and the server never heard of the request."""


@dataclass(frozen=True)
class CutAfter:
    """The server did what was asked, and the client sees a reset."""


@dataclass(frozen=True)
class Silence:
    """No answer ever comes; the client gives up by itself."""

    acted: bool
    """Whether the server did what was asked."""


@dataclass(frozen=True)
class Truncate:
    """The server did what was asked, and the client sees half of the answer."""

    whole: bool
    """The half says of itself that it is all; else the connection breaks in the middle."""


@dataclass(frozen=True)
class Answer:
    """The server is not asked; the client gets this HTTP status, as the server would word it."""

    status: int
    reason: str | None = None
    """None: the usual one of the status."""
    message: str = "the test says so"
    retry_after_s: int | None = None

    def body(self) -> bytes:
        """The Status document."""
        reason = self.reason or REASONS.get(self.status, "Unknown")
        details = {"retryAfterSeconds": self.retry_after_s} if self.retry_after_s is not None else {}
        document = {
            "apiVersion": "v1",
            "kind": "Status",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": reason,
            "details": details,
            "code": self.status,
        }
        return json.dumps(document).encode()


@dataclass(frozen=True)
class Delay:
    """The request reaches the server this much later, in seconds."""

    seconds: float


@dataclass(frozen=True)
class DelayEvents:
    """Each event of a watch reaches the client this much later, in seconds."""

    seconds: float


@dataclass(frozen=True)
class RepeatEvents:
    """Each event of a watch reaches the client this many times."""

    times: int = 2


@dataclass(frozen=True)
class SwapEvents:
    """Each event of a watch changes places with the next one, if that comes within the time, in seconds."""

    wait_s: float = 0.3


@dataclass(frozen=True)
class ReplayEvents:
    """After each event of a watch, the one before of the same object comes once more, with its old resourceVersion."""


@dataclass(frozen=True)
class StallEvents:
    """A watch stays open, and after so many events nothing more comes."""

    after: int = 0


@dataclass(frozen=True)
class DropEvents:
    """A watch has no events of this type."""

    type: str = "BOOKMARK"


@dataclass(frozen=True)
class FailEvents:
    """A watch says after so many events that its resource version is too old (410), and ends."""

    after: int = 0


EventAction = DelayEvents | RepeatEvents | SwapEvents | ReplayEvents | StallEvents | DropEvents | FailEvents
Action = CutBefore | CutAfter | Silence | Truncate | Answer | Delay | EventAction


class MatchFields(TypedDict, total=False):
    """The fields of Match, as keyword arguments."""

    kind: Kind | None
    verb: str | None
    group: str | None
    resource: str | None
    subresource: str | None
    namespace: str | None
    name: str | None


@dataclass(frozen=True)
class Match:
    """Which requests: None is any. `subresource=""` is the object itself, without its status."""

    kind: Kind | None = None
    verb: str | None = None
    group: str | None = None
    resource: str | None = None
    subresource: str | None = None
    namespace: str | None = None
    name: str | None = None

    def fits(self, call: Call) -> bool:
        """Is the request one of them?"""
        if self.kind and not {"write": call.is_write, "read": call.is_read, "watch": call.is_watch}[self.kind]:
            return False
        wanted = {name: getattr(self, name) for name in ("verb", "group", "resource", "subresource", "namespace", "name")}
        return all(value is None or value == getattr(call, name) for name, value in wanted.items())


@dataclass
class Fault:
    """An action for the matching requests: for the `nth`, then for each `every`-th, `times` in all (None: without end)."""

    action: Action
    match: Match = field(default_factory=Match)
    nth: int = 1
    times: int | None = 1
    seen: int = 0
    every: int = 1

    def takes(self, call: Call) -> bool:
        """Count a request if it matches, and say whether the action is for it."""
        if not self.match.fits(call):
            return False
        self.seen += 1
        turn, rest = divmod(self.seen - self.nth, self.every)
        return turn >= 0 and rest == 0 and (self.times is None or turn < self.times)

    @property
    def fired(self) -> int:
        """How many requests it has been for."""
        reached = max(0, (self.seen - self.nth) // self.every + 1)
        return reached if self.times is None else min(reached, self.times)


def due(faults: Iterable[Fault], call: Call) -> list[Action]:
    """The actions for a request, each fault having counted it."""
    return [fault.action for fault in faults if fault.takes(call)]
