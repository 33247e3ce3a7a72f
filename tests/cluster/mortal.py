"""An operator that ends at a moment of the test's choice, in the middle of whatever it does."""

from typing import Any, Literal

READS = ("GET", "HEAD")
Moment = Literal["before", "after"]


class Crash(SystemExit):
    """The end of the process, as far as its threads can tell."""


class MortalClient:
    """An API client that dies at its n-th write, and with it all who use it."""

    def __init__(self, client: Any, nth: int, moment: Moment) -> None:
        self._client, self._nth, self._moment = client, nth, moment
        self.writes = 0
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def call_api(self, method: str, *rest: Any, **more: Any) -> Any:
        if self.dead:
            raise Crash
        if method in READS:
            return self._client.call_api(method, *rest, **more)
        self.writes += 1
        dies = self.writes == self._nth
        self.dead = self.dead or dies
        if dies and self._moment == "before":
            raise Crash
        answer = self._client.call_api(method, *rest, **more)
        if dies:
            answer.read()
            raise Crash
        return answer
