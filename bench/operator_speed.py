"""Measure the operator on a real API server: how fast it converges, how little it asks, how soon it reacts, what it takes.

The operator is the real process; KubeRay, the jobs and the gateways are played by another one. What the API server allows is
measured in the same run: the same writes of as many Models, sent by the operator's client with as many threads, while the same
player plays. Prints a table and writes its section of docs/benchmarks.md and its key in docs/benchmarks.json.
"""

import argparse
import contextlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "cluster"))

from churn import churn
from fleet import Fleet
from page import figures, machine, publish
from parts import Part, send_writes, start_operator, start_player
from recorder import Recorder, Write, count_kinds, repeat_for, writes_of
from speed_table import render

from harness.cluster import Cluster
from harness.session import open_cluster
from harness.settings import ClusterTestSettings
from modelyard.operator.controller import Timing
from modelyard.operator.processes import free_port

CRDS = Path(__file__).parents[1] / "charts" / "platform" / "files" / "crds"
LONG_RESYNC_S = 3600.0
QUIET_RESYNC_S = 10.0
RECORDED = 10
DEADLINE_S = 900.0


@dataclass
class Bench:
    """What all measurements stand on."""

    cluster: Cluster
    folder: Path
    player: Part
    gateway_port: int
    per_namespace: int

    @contextlib.contextmanager
    def fleet(self, count: int, letter: str) -> Iterator[Fleet]:
        """Models that are taken away at the end."""
        fleet = Fleet(self.cluster, self.folder, count, self.per_namespace, letter)
        fleet.follow()
        fleet.make()
        fleet.wait(lambda: len(fleet.seen) == count, 60)
        try:
            yield fleet
        finally:
            fleet.unfollow()
            fleet.clear()

    def operator(self, kubeconfig: Path | None = None, resync_s: float = LONG_RESYNC_S) -> contextlib.AbstractContextManager[Part]:
        """The operator, straight at the API server unless told otherwise."""
        return start_operator(kubeconfig or self.cluster.kubeconfig, self.folder, self.gateway_port, resync_s)


def record(bench: Bench) -> tuple[list[Write], tuple[str, str, str]]:
    """The writes of one Model through its whole chain, and its (namespace, name, uid)."""
    assert bench.cluster.control_plane is not None
    with Recorder(bench.cluster.control_plane) as door, bench.fleet(RECORDED, "r") as fleet:
        with bench.operator(door.kubeconfig):
            fleet.wait(fleet.all_ready(RECORDED), DEADLINE_S)
        found = {key: writes_of(door.writes, key[1]) for key in fleet.keys}
        median = sorted(found, key=lambda key: len(found[key]))[RECORDED // 2]
        return found[median], (*median, fleet.seen[median].uid)


def measure_bound(bench: Bench, count: int, writes: list[Write], former: tuple[str, str, str], letter: str) -> dict[str, float]:
    """{"seconds", "writes", "cpu_s"}."""
    with bench.fleet(count, letter) as fleet:
        sequences = [[write.wire() for write in repeat_for(writes, former, (*key, fleet.seen[key].uid))] for key in fleet.keys]
        return send_writes(sequences, bench.cluster.kubeconfig, bench.folder)


def measure_convergence(bench: Bench, count: int, letter: str) -> dict[str, float]:
    """Seconds from the operator's first write to the last Model that is ready, and what operator and player take meanwhile."""
    with bench.fleet(count, letter) as fleet:
        player, began = bench.player.cpu_s(), time.monotonic()
        with bench.operator(resync_s=Timing.resync_s) as operator:
            ended = fleet.wait(fleet.all_ready(count), DEADLINE_S)
            seconds = ended - fleet.first_write_at
            return {
                "seconds": seconds,
                "start_s": fleet.first_write_at - began,
                "operator_cpu_s": operator.cpu_s(),
                "player_cpu_s": bench.player.cpu_s() - player,
                "rss_mib": operator.rss_mib(),
                "peak_rss_mib": operator.peak_rss_mib(),
            }


def measure_quiet(bench: Bench, count: int) -> dict[str, Any]:
    """Requests while nothing happens, over two resync periods."""
    assert bench.cluster.control_plane is not None
    with Recorder(bench.cluster.control_plane) as door, bench.fleet(count, "q") as fleet, bench.operator(door.kubeconfig, QUIET_RESYNC_S):
        fleet.wait(fleet.all_ready(count), DEADLINE_S)
        time.sleep(2 * QUIET_RESYNC_S)  # what still settles
        door.traffic.clear()
        time.sleep(2 * QUIET_RESYNC_S)
        writes, requests = door.traffic.count(kind="write"), door.traffic.count()
        kinds = count_kinds(door.writes[len(door.writes) - writes :]) if writes else {}
        return {
            "models": count,
            "resync_s": QUIET_RESYNC_S,
            "writes": writes,
            "kinds": kinds,
            "requests": requests,
            "requests_per_object_and_resync": requests / (2 * count * 2),  # a Model and its version
        }


def measure_reaction(bench: Bench, count: int, changes: int) -> dict[str, Any]:
    """Seconds from before a spec is changed until its status speaks of the new generation."""
    draw = random.Random(0)
    waits: list[float] = []
    with bench.fleet(count, "x") as fleet, bench.operator():
        fleet.wait(fleet.all_ready(count), DEADLINE_S)
        for number in range(changes):
            time.sleep(draw.expovariate(10.0))
            key = draw.choice(fleet.keys)
            began = time.monotonic()
            generation = fleet.patch(key, {"spec": {"retention": {"keepVersions": 6 + number}}})["metadata"]["generation"]
            waits.append(fleet.wait_observed(key, generation, 60) - began)
    waits.sort()
    return {
        "models": count,
        "changes": changes,
        "p50_s": waits[len(waits) // 2],
        "p99_s": waits[int(len(waits) * 0.99)],
        "max_s": waits[-1],
    }


def measure_churn(bench: Bench, count: int, letter: str) -> dict[str, Any]:
    """A fifth of the Models is edited, deleted or made while all converge; then nothing may be left over."""
    with bench.fleet(count, letter) as fleet, bench.operator() as operator:
        return churn(fleet, count, DEADLINE_S) | {"operator_cpu_s": operator.cpu_s(), "peak_rss_mib": operator.peak_rss_mib()}


def compare(
    bench: Bench, count: int, repeats: int, recorded: tuple[list[Write], tuple[str, str, str]], run: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    """The writes alone and the operator in turns, so that what else the machine does meets both. run: (bench, count, letter)."""
    bounds, runs = [], []
    for _ in range(repeats):
        bounds.append(measure_bound(bench, count, *recorded, "b"))
        say(f"{count} Models, the writes alone: {bounds[-1]['seconds']:.1f} s")
        runs.append(run(bench, count, "c"))
        say(f"{count} Models, the operator: {runs[-1]}")
    ratios = [one["seconds"] / bound["seconds"] for one, bound in zip(runs, bounds, strict=True)]
    return {"models": count, "bounds": bounds, "runs": runs, "ratio": statistics.median(ratios), "ratios": ratios}


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", type=int, default=1000, help="of the large run (default: %(default)s)")
    parser.add_argument("--large-repeats", type=int, default=1, help="of the large run and its bound, 5 min each (default: %(default)s)")
    parser.add_argument("--small", type=int, default=200, help="of the churning run (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="of the churning run and its bound (default: %(default)s)")
    parser.add_argument("--objects", type=int, default=100, help="of the quiet and the reaction run (default: %(default)s)")
    parser.add_argument("--changes", type=int, default=200, help="whose reactions are measured (default: %(default)s)")
    parser.add_argument("--per-namespace", type=int, default=100, help="Models (default: %(default)s)")
    parser.add_argument("--only", choices=("compare", "quiet", "reaction", "churn"), help="one measurement; the others' figures stay")
    parser.add_argument("--dry", action="store_true", help="publish nothing")
    parser.add_argument("--note", default="", help="what else ran on the machine, for the page")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as home, open_cluster(ClusterTestSettings(), say) as cluster:
        cluster.apply_crds(CRDS)
        cluster.install_kuberay_crds()
        folder, port = Path(home), free_port()
        (folder / "store").mkdir()
        with start_player(cluster.kubeconfig, folder, port) as player:
            result = measure(Bench(cluster, folder, player, port, arguments.per_namespace), arguments)
    if arguments.only:
        result = (figures("operator") or {}) | result
    table = render(result)
    print(table)
    if not arguments.dry:
        publish("operator", "The operator", table, result)


def measure(bench: Bench, arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything, or the one measurement that was asked for."""
    result: dict[str, Any] = {"machine": machine(), "note": arguments.note, "per_namespace": arguments.per_namespace}
    wanted = [arguments.only] if arguments.only else ["compare", "quiet", "reaction", "churn"]
    if {"compare", "churn"} & {*wanted}:
        recorded = record(bench)
        result["writes_per_model"] = count_kinds(recorded[0])
        say(f"writes per Model: {result['writes_per_model']}")
    if "churn" in wanted:
        result["churn"] = compare(bench, arguments.small, arguments.repeats, recorded, measure_churn)
    if "compare" in wanted:
        result["convergence"] = compare(bench, arguments.models, arguments.large_repeats, recorded, measure_convergence)
    if "quiet" in wanted:
        result["quiet"] = measure_quiet(bench, arguments.objects)
        say(f"quiet: {result['quiet']}")
    if "reaction" in wanted:
        result["reaction"] = measure_reaction(bench, arguments.objects, arguments.changes)
        say(f"reaction: {result['reaction']}")
    return result


if __name__ == "__main__":
    main()
