"""The operator ends before, or right after, every single write of every scenario; another one takes over and ends the same.

A crash matrix: exhaustive, and counted.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mortal import Moment, MortalClient
from operating import Operator, wait_until
from scenarios import SCENARIOS, Scenario, outcome
from world import World

AT_ONCE = 4


def run(world: World, scenario: Scenario, nth: int, moment: Moment) -> tuple[dict[str, Any], MortalClient]:
    """One scenario with one crash (or none, if there are fewer writes): its outcome, and the client of the operator that dies."""
    scenario.prepare(world)
    mortal = MortalClient(world.cluster.client(), nth, moment)
    scenario.act(world)
    with Operator(mortal, world.settings, world.player.gateway_url, workers=1):  # type: ignore[arg-type]
        wait_until(lambda: mortal.dead or scenario.ended(world), told=world.status)
    if mortal.dead:
        with world.operator():
            wait_until(lambda: scenario.ended(world), told=lambda: (nth, moment, world.status(), world.player.jobs()))
    world.player.__exit__()
    return outcome(world), mortal


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # that is how a thread ends with its process
@pytest.mark.parametrize("name", SCENARIOS)
def test_whenever_the_operator_ends_the_next_one_ends_the_same(crds: None, new_world: Callable[[], World], name: str, capsys: Any) -> None:
    scenario = SCENARIOS[name]
    expected, _ = run(new_world(), scenario, 0, "before")
    crashes = nth = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while True:
            points: list[tuple[int, Moment]] = [(nth + more, moment) for more in range(1, AT_ONCE + 1) for moment in ("before", "after")]
            ends = list(pool.map(lambda point: run(new_world(), scenario, *point), points))
            different = {point: got for point, (got, _) in zip(points, ends, strict=True) if got != expected}
            assert different == {}, f"undisturbed: {expected}"
            died = sum(mortal.dead for _, mortal in ends)
            crashes, nth = crashes + died, nth + AT_ONCE
            if not died:  # no write is left to crash at
                break
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: {crashes} crashes, each ended the same\n")
    assert crashes >= 8
