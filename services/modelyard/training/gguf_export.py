"""Whole weights as one GGUF file, by llama.cpp's own converter where that is installed. Knows no store."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

from modelyard.domain.errors import IntegrityError, InvalidInputError, NotFoundError

OutType = Literal["f32", "f16", "bf16", "q8_0", "auto"]
OUT_TYPES: tuple[OutType, ...] = get_args(OutType)
TOOLS = ("convert_hf_to_gguf.py", "convert-hf-to-gguf.py", "convert_hf_to_gguf")
"""What llama.cpp's converter is called, where it came from a checkout, a package or a distribution."""

Run = Callable[[Sequence[str]], tuple[int, str]]
"""Runs a command; returns its exit status and what it wrote."""


def run_command(command: Sequence[str]) -> tuple[int, str]:
    """Run a command to its end."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def parse_out_type(word: str) -> OutType:
    """A number format by its name. Raises InvalidInputError for one that the converter does not know."""
    for known in OUT_TYPES:
        if word == known:
            return known
    raise InvalidInputError(f"GGUF type {word!r} is unknown", f"give one of {', '.join(OUT_TYPES)}")


def find_tool(which: Callable[[str], str | None] = shutil.which) -> str:
    """The path of the converter. Raises NotFoundError where none is installed."""
    found = next((path for path in map(which, TOOLS) if path), None)
    if found is None:
        raise NotFoundError(
            f"none of {', '.join(TOOLS)} is on the PATH", "put a checkout of llama.cpp on the PATH; its converter makes GGUF files"
        )
    return found


def build_command(tool: str, weights: Path, target: Path, out_type: OutType) -> list[str]:
    """The command that converts a folder of whole weights."""
    runner = [sys.executable] if tool.endswith(".py") else []
    return [*runner, tool, str(weights), "--outfile", str(target), "--outtype", out_type]


def export_gguf(weights: Path, target: Path, out_type: OutType, *, tool: str, run: Run = run_command) -> None:
    """Write a GGUF file. Raises IntegrityError with the converter's last line if it fails, or if it leaves no GGUF file."""
    status, output = run(build_command(tool, weights, target, out_type))
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if status != 0:
        target.unlink(missing_ok=True)
        raise IntegrityError(f"{tool} ended with status {status}: {lines[-1] if lines else 'it said nothing'}", "see its own documentation")
    if not _is_gguf(target):
        raise IntegrityError(f"{tool} left no GGUF file at {target}", "look at what it wrote")


def _is_gguf(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return stream.read(4) == b"GGUF"
