"""The order in which an operator starts and ends, with parts that only say when they were called."""

import threading

import pytest

from modelyard.operator.running import Running


class Parts:
    """Controller, watches and leader at once: `calls` is the order in which they were used."""

    def __init__(self, wins: bool = True) -> None:
        self.calls: list[str] = []
        self.leads = False
        self.wins = wins
        self.started = threading.Event()
        self.released = threading.Event()
        self.broken = False

    def acquire(self) -> bool:
        self.calls.append("acquire")
        if not self.wins:
            self.started.set()
            self.released.wait(10)
        self.leads = self.wins
        return self.wins

    def release(self) -> None:
        self.calls.append("release")
        self.released.set()

    def answers(self) -> bool:
        return True


class Controller:
    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def start(self, workers: int) -> None:
        if self.parts.broken:
            raise RuntimeError("no")
        self.parts.calls.append(f"work with {workers}")

    def stop(self) -> None:
        self.parts.calls.append("stop work")


class Watches:
    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def start(self) -> None:
        self.parts.calls.append("watch")
        self.parts.started.set()

    def stop(self) -> None:
        self.parts.calls.append("stop watching")

    def answers(self) -> bool:
        return True


def build(parts: Parts, ended: threading.Event | None = None, alone: bool = False) -> Running:
    leader = None if alone else parts
    return Running(Controller(parts), Watches(parts), leader, 3, (ended or threading.Event()).set)  # type: ignore[arg-type]


def test_a_replica_works_once_it_leads_and_gives_the_lease_back_last() -> None:
    parts = Parts()
    running = build(parts)
    running.start()
    assert parts.started.wait(10)
    running.stop()
    assert parts.calls == ["acquire", "work with 3", "watch", "stop work", "stop watching", "release"]
    assert running.live() == ""


def test_a_replica_that_waits_is_ready_and_can_be_ended() -> None:
    parts = Parts(wins=False)
    running = build(parts)
    running.start()
    assert parts.started.wait(10)
    assert (running.ready(), running.live(), running.leads) == ("", "", False)
    running.stop()
    assert "work with 3" not in parts.calls and "watch" not in parts.calls


def test_one_that_is_alone_needs_no_lease() -> None:
    parts = Parts()
    running = build(parts, alone=True)
    assert running.leads and running.ready() == "starting"
    running.start()
    assert parts.started.wait(10)
    running.stop()
    assert parts.calls == ["work with 3", "watch", "stop work", "stop watching"]


def test_a_start_that_fails_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    parts, ended = Parts(), threading.Event()
    parts.broken = True
    running = build(parts, ended)
    running.start()
    assert ended.wait(10)
    assert (running.live(), running.ready()) == ("failed", "failed")
    assert "could not start" in caplog.text
