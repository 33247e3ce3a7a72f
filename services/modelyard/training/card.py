"""The README.md of what was trained, as the Hugging Face hub reads it. Knows no store; reads no weights."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from modelyard.training.history import History

CARD_FILE = "README.md"
SHOWN_STEPS = 10
"""Rows of the table of losses."""


def write_card(path: Path, lineage: Mapping[str, Any], base_digest: str, history: History) -> None:
    """Write the card of one run."""
    path.write_text(build_card(lineage, base_digest, history), encoding="utf-8")


def build_card(lineage: Mapping[str, Any], base_digest: str, history: History) -> str:
    """The card: the hub's metadata, what was trained on what and how, the losses, where it comes from."""
    fine_tune = lineage["fineTune"]
    adapter, quantization = fine_tune["adapter"], fine_tune["quantization"]["type"]
    whole = adapter["type"] == "none" or "merged" in lineage
    tags = [
        "modelyard",
        fine_tune["method"],
        *([] if adapter["type"] == "none" else ["lora"]),
        *([] if quantization == "none" else [quantization]),
    ]
    head = {"base_model": base_digest, "library_name": "transformers" if whole else "peft", "pipeline_tag": "text-generation", "tags": tags}
    rows = ", ".join(f"{count} {name}" for name, count in lineage["rows"].items())
    kind = "An adapter merged into" if "merged" in lineage else "All weights of" if whole else "An adapter for"
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---",
        f"# {lineage['version']}",
        f"{kind} base `{base_digest}`, trained by `{fine_tune['method']}` over {lineage['steps']} steps and {lineage['tokens']} learned"
        f" tokens.{_merge(lineage)}",
        "## Data",
        f"`{fine_tune['dataset']['uri']}`, sha256 `{lineage['datasetDigest']}`. Rows: {rows}.{_found(lineage)}",
        "## Losses",
        _table(history),
        "The curve is in `curve.png`, every step in `history.json`.",
        "## Configuration",
        f"```json\n{json.dumps(fine_tune, indent=2, ensure_ascii=False)}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _found(lineage: Mapping[str, Any]) -> str:
    data = lineage.get("data")
    return f" What was found in it:\n\n```json\n{json.dumps(data, indent=2, ensure_ascii=False)}\n```" if data else ""


def _merge(lineage: Mapping[str, Any]) -> str:
    if "merged" not in lineage:
        return ""
    merged, parity = lineage["merged"], lineage["merged"]["parity"]
    source = "" if merged["dequantizedFrom"] == "none" else f" The base was de-quantized from {merged['dequantizedFrom']}, as trained."
    return (
        f" Merged in {merged['dtype']}: logits on {parity['prompts']} fixed prompts differ by {parity['difference']:.2g} (the bar is"
        f" {parity['bar']:.2g}), and {parity['agreement']:.1%} of the likeliest tokens are the same.{source}"
    )


def _table(history: History) -> str:
    every = max(1, -(-len(history.points) // SHOWN_STEPS))
    shown = [point for point in history.points if point.step % every == 0 or point is history.points[-1]]
    lines: Sequence[str] = [
        f"| {point.step} | {point.loss:.4f} | {'' if point.validation_loss is None else f'{point.validation_loss:.4f}'} |"
        for point in shown
    ]
    return "\n".join(["| step | training loss | validation loss |", "|---:|---:|---:|", *lines])
