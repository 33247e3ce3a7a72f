"""Keys that come at once, later, again, and while somebody works on them."""

import threading

from modelyard.operator.work_queue import WorkQueue


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_keys_come_in_the_order_that_they_are_due() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add("later", 2)
    queue.add("now")
    queue.add("soon", 1)
    clock.now = 3
    assert [queue.take() for _ in range(3)] == ["now", "soon", "later"]


def test_a_key_that_is_asked_for_twice_comes_once_and_at_the_earlier_time() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add("key", 5)
    queue.add("key", 1)
    queue.add("key", 9)
    clock.now = 2
    assert queue.take() == "key"
    queue.done("key")
    clock.now = 20
    assert queue.pending() == 0


def test_a_change_while_somebody_works_on_a_key_is_worked_on_afterwards_and_by_nobody_else() -> None:
    queue: WorkQueue[str] = WorkQueue(Clock())
    queue.add("key")
    assert queue.take() == "key"
    queue.add("key")
    queue.add("other")
    assert queue.take() == "other"
    queue.done("key")
    assert queue.take() == "key"


def test_who_waits_is_woken_by_a_key_and_by_the_end() -> None:
    queue: WorkQueue[str] = WorkQueue()
    taken = threading.Event()
    got: list[str | None] = []

    def work() -> None:
        got.append(queue.take())
        taken.set()
        got.append(queue.take())

    thread = threading.Thread(target=work)
    thread.start()
    queue.add("never", 3600)
    queue.add("key", 0.01)
    assert taken.wait(30)
    queue.close()
    thread.join(30)
    assert got == ["key", None]
