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


Action = CutBefore | CutAfter | Answer | Delay | DelayEvents | RepeatEvents


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
    """An action for the matching requests, the first of them being the `nth`, and `times` of them in all (None: without end)."""

    action: Action
    match: Match = field(default_factory=Match)
    nth: int = 1
    times: int | None = 1
    seen: int = 0

    def takes(self, call: Call) -> bool:
        """Count a request if it matches, and say whether the action is for it."""
        if not self.match.fits(call):
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.times is None or self.seen < self.nth + self.times)

    @property
    def fired(self) -> int:
        """How many requests it has been for."""
        reached = max(0, self.seen - self.nth + 1)
        return reached if self.times is None else min(reached, self.times)


def due(faults: Iterable[Fault], call: Call) -> list[Action]:
    """The actions for a request, each fault having counted it."""
    return [fault.action for fault in faults if fault.takes(call)]
