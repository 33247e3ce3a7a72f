"""What the demo saw, as a file and as a summary."""

import json
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.evaluation import Score
from modelyard.domain.model import Model, ModelVersion
from modelyard.operator.settings import Settings
from modelyard.operator.store import ResourceStore


def build_report(settings: Settings, model: Model, answers: dict[str, Any], seconds: dict[str, float]) -> dict[str, Any]:
    """The report as it is written: base, tuned, gate, extraction, question, answer, citations, seconds, urls."""
    version = ResourceStore(settings.database).get("ModelVersion", "default", model.status.version)
    assert isinstance(version, ModelVersion) and version.status.verdict is not None
    grounded = answers["grounded"]
    citations = grounded.get("citations") or []
    answer = grounded["choices"][0]["message"]["content"]
    return {
        "base": _scores(version.status.base_scores),
        "tuned": _scores(version.status.scores),
        "gate": version.status.verdict.wire(),
        "version": version.metadata.name,
        "adapter_digest": version.status.adapter_digest,
        "extraction": answers["extraction"],
        "question": answers["question"],
        "answer": answer,
        "citations": citations,
        "grounded": bool(grounded.get("grounded")) and bool(citations),
        "seconds": {key: round(value, 1) for key, value in seconds.items()},
        "urls": {
            "endpoint": settings.endpoint,
            "dashboard": f"http://127.0.0.1:{settings.dashboard_port}",
            "metrics": f"http://127.0.0.1:{settings.port}/metrics",
        },
    }


def write_report(settings: Settings, report: dict[str, Any]) -> Path:
    """Write report.json and the loss curve; returns their folder."""
    folder = settings.root / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    curve = ArtifactStore(settings.artifacts_uri).open(report["adapter_digest"]) / "curve.png"
    shutil.copyfile(curve, folder / "loss.png")
    return folder


def show_report(console: Console, report: dict[str, Any], folder: Path, keep: bool) -> None:
    """Print the summary."""
    table = Table("metric (held-out modules)", "base", "tuned", title="Scores, with 95 % intervals")
    for metric, tuned in report["tuned"].items():
        base = report["base"].get(metric)
        table.add_row(metric, _interval(base) if base else "–", _interval(tuned))
    console.print(table)
    verdict = "[green]promoted[/green]" if report["gate"]["passed"] else "[red]rejected[/red]"
    console.print(f"Gate: {verdict}: " + "; ".join(check["reason"] for check in report["gate"]["checks"]), highlight=False)
    extraction = report["extraction"]
    sides = Table("asked", "base", "tuned", "expected", title="One held-out function", show_lines=True)
    sides.add_row(*(extraction[key] for key in ("input", "base", "tuned", "expected")))
    console.print(sides, markup=False)
    passages = "\n\n".join(f"[{c['index']}] {c['file']}: {c['text']}" for c in report["citations"])
    console.print(
        Panel(f"{report['question']}\n\n{report['answer']}\n\n{passages}", title="One question, answered from the documents"), markup=False
    )
    console.print("Seconds: " + ", ".join(f"{key} {value:.0f}" for key, value in report["seconds"].items()))
    console.print(f"Report and loss curve: {folder}")
    if keep:
        _show_next(console, report["urls"])
    else:
        console.print("Nothing is left running. `KEEP=1 make demo` leaves the endpoint up to try.")


def _show_next(console: Console, urls: dict[str, str]) -> None:
    console.print(
        f"Endpoint {urls['endpoint']} · dashboard {urls['dashboard']} (token: .modelyard/secrets/ray-token) · metrics {urls['metrics']}\n"
        "Go on:\n"
        '  .venv/bin/modelyard chat python-helper "…"\n'
        '  .venv/bin/modelyard chat python-helper:base --kb python-docs "What is a lambda expression?"\n'
        "  .venv/bin/modelyard get all; .venv/bin/modelyard describe model python-helper\n"
        "  .venv/bin/modelyard down",
        markup=False,
    )


def _scores(scores: list[Score]) -> dict[str, dict[str, float]]:
    return {score.metric: {"value": score.value, "low": score.low, "high": score.high, "rows": score.rows} for score in scores}


def _interval(score: dict[str, float]) -> str:
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"
