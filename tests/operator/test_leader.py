"""Who holds the Lease, and when: clocks that the test moves, and an API server that fails at will."""

import threading
from dataclasses import replace

import pytest

from modelyard.operator.leader import Hold, Leader, LeaseTiming, LeaseUnreachableError

AT_ONCE = LeaseTiming(lease_s=15, renew_s=10, retry_s=0.001)


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeLease:
    """A Lease that several candidates share."""

    def __init__(self) -> None:
        self.hold: Hold | None = None
        self.unreachable = False
        self.writes = 0

    def read(self) -> Hold | None:
        if self.unreachable:
            raise LeaseUnreachableError("500")
        return self.hold

    def write(self, hold: Hold, before: Hold | None) -> Hold | None:
        if self.unreachable:
            raise LeaseUnreachableError("500")
        if self.hold != before:
            return None
        self.writes += 1
        self.hold = replace(hold, version=str(self.writes))
        return self.hold


@pytest.fixture
def lease() -> FakeLease:
    return FakeLease()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_first_one_leads_and_the_second_does_not(lease: FakeLease, clock: Clock) -> None:
    first, second = Leader(lease, "first", clock=clock), Leader(lease, "second", clock=clock)
    assert first.try_once() and not second.try_once()
    assert first.leads and not second.leads
    assert lease.hold is not None and lease.hold.holder == "first"


def test_of_two_that_see_it_free_at_once_one_wins(lease: FakeLease, clock: Clock) -> None:
    class Slow(FakeLease):
        def read(self) -> Hold | None:
            return None  # as it was before the other one wrote

        def write(self, hold: Hold, before: Hold | None) -> Hold | None:
            return lease.write(hold, before)

    first, second = Leader(lease, "first", clock=clock), Leader(Slow(), "second", clock=clock)
    assert first.try_once() and not second.try_once()


@pytest.mark.parametrize(
    ("renewals", "at", "takes"),
    [
        pytest.param([], 14.9, False, id="before the end that it saw coming it waits"),
        pytest.param([], 15.0, True, id="at the end it takes over"),
        pytest.param([10.0], 24.9, False, id="a renewal puts the end off"),
        pytest.param([10.0], 25.0, True, id="after the last renewal the leader is gone"),
    ],
)
def test_a_follower_takes_over_when_nothing_was_renewed_for_so_long(
    lease: FakeLease, clock: Clock, renewals: list[float], at: float, takes: bool
) -> None:
    leader, follower = Leader(lease, "leader", clock=clock), Leader(lease, "follower", clock=clock)
    leader.try_once()
    follower.try_once()
    for when in renewals:
        clock.now = when
        leader.try_once()
        follower.try_once()
    clock.now = at
    assert follower.try_once() is takes


def test_a_follower_counts_from_when_it_looked_first_whatever_the_leaders_clock_says(lease: FakeLease, clock: Clock) -> None:
    lease.hold = Hold("leader", 15, "1")
    clock.now = 1_000_000
    follower = Leader(lease, "follower", clock=clock)
    assert not follower.try_once()
    clock.now += 15
    assert follower.try_once()


def test_one_that_was_given_back_is_taken_at_once(lease: FakeLease, clock: Clock) -> None:
    leader, follower = Leader(lease, "leader", clock=clock), Leader(lease, "follower", clock=clock)
    leader.try_once()
    assert not follower.try_once()
    leader.release()
    assert lease.hold is not None and lease.hold.holder == "" and not leader.leads
    assert follower.try_once()


def test_a_follower_that_ends_leaves_the_lease_alone(lease: FakeLease) -> None:
    lease.hold = Hold("leader", 15, "1")
    follower = Leader(lease, "follower", timing=AT_ONCE)
    outcomes: list[bool] = []
    waiting = threading.Thread(target=lambda: outcomes.append(follower.acquire()))
    waiting.start()
    follower.release()
    waiting.join(5)
    assert outcomes == [False]
    assert lease.hold == Hold("leader", 15, "1")


def test_no_answer_is_no_lease(lease: FakeLease, clock: Clock) -> None:
    lease.unreachable = True
    assert not Leader(lease, "first", clock=clock).try_once()


@pytest.mark.parametrize(
    ("silent_s", "lost"),
    [
        pytest.param(9.9, False, id="a short outage is lived through"),
        pytest.param(10.0, True, id="a long one ends the leader, before a follower takes over"),
    ],
)
def test_a_leader_that_cannot_renew_has_lost(lease: FakeLease, clock: Clock, silent_s: float, lost: bool) -> None:
    leader = Leader(lease, "leader", clock=clock)
    leader.try_once()
    lease.unreachable = True
    clock.now = silent_s
    assert not leader.try_once()
    assert leader.has_lost() is lost


def test_a_leader_that_sees_another_holder_has_lost_at_once(lease: FakeLease, clock: Clock) -> None:
    leader = Leader(lease, "leader", clock=clock)
    leader.try_once()
    lease.hold = Hold("somebody", 15, "x")
    assert not leader.try_once()
    assert leader.has_lost()


def test_the_loss_is_told_even_while_a_request_hangs(clock: Clock) -> None:
    hanging, lost = threading.Event(), threading.Event()

    class Hanging(FakeLease):
        def read(self) -> Hold | None:
            if self.writes:
                hanging.wait(10)
                raise LeaseUnreachableError("timed out")
            return None

    timing = LeaseTiming(lease_s=15, renew_s=0.05, retry_s=0.001)
    leader = Leader(Hanging(), "leader", timing, lost=lost.set)
    assert leader.acquire()
    assert lost.wait(10)
    hanging.set()
    leader.release()
