"""Keep docs/benchmarks.md and docs/benchmarks.json: each benchmark owns one section and one key, and touches no other."""

import json
import platform
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
FIGURES = ROOT / "docs" / "benchmarks.json"
TITLE = "# Benchmarks\n"


def publish(key: str, heading: str, text: str, measured: dict[str, Any]) -> None:
    """Replace one benchmark's section and its figures. text: Markdown below the heading."""
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    before = PAGE.read_text() if PAGE.exists() else TITLE
    PAGE.write_text(replace_section(before, heading, text))
    FIGURES.write_text(json.dumps(known | {key: measured}, indent=2) + "\n")


def figures(key: str) -> dict[str, Any] | None:
    """What a benchmark has published last."""
    found: dict[str, Any] | None = json.loads(FIGURES.read_text()).get(key) if FIGURES.exists() else None
    return found


def replace_section(page: str, heading: str, text: str) -> str:
    """The page with one section new, at the place where it was, else at the end."""
    head, *sections = ("\n" + page).split("\n## ")
    new = f"{heading}\n\n{text.strip()}\n"
    names = [section.partition("\n")[0].strip() for section in sections]
    if heading in names:
        sections[names.index(heading)] = new
    else:
        sections.append(new)
    return "\n\n## ".join(part.strip() for part in [head, *sections]) + "\n"


def machine() -> dict[str, Any]:
    """What it was measured on."""
    memory_gib = round(psutil.virtual_memory().total / 2**30, 1)
    return {"cpu": cpu(), "cores": psutil.cpu_count(), "memory_gib": memory_gib, "python": platform.python_version()}


def cpu() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
