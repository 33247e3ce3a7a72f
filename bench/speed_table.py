"""The section of docs/benchmarks.md about the operator. Pure."""

import statistics
from typing import Any


def render(result: dict[str, Any]) -> str:
    """Markdown: what was measured, how, and beside each bar what came out."""
    machine = result["machine"]
    lines = [
        "Written by `make bench`. The operator is the real process against a real API server on the same machine; KubeRay, the jobs and "
        "the gateways are played by one other process. The bound is the same writes of as many Models, sent by the operator's client "
        "with as many threads while the same player plays. A Model is tuned, judged by a gate and served.",
        "",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; Python {machine['python']}; at most "
        f"{result['per_namespace']} Models in a namespace. {result['note']}".rstrip(),
        "",
        "The writes alone and the operator take turns; of several turns the median stands first, then the least and the greatest.",
        "",
        "| | bar | measured |",
        "|---|---|---|",
    ]
    if size := result.get("convergence"):
        lines += _convergence(size)
    if churn := result.get("churn"):
        lines += _churn(churn)
    if quiet := result.get("quiet"):
        told = f"{quiet['writes']} writes, {quiet['requests_per_object_and_resync']:.3f} requests per object and resync"
        lines.append(f"| {quiet['models']} Models, nothing happens | 0 writes, ≤ 1 request | {told} |")
    if reaction := result.get("reaction"):
        told = f"p50 {reaction['p50_s']:.2f} s, p99 {reaction['p99_s']:.2f} s, at most {reaction['max_s']:.2f} s"
        lines.append(f"| {reaction['models']} Models, {reaction['changes']} changes of a spec | p99 ≤ 1 s | {told} |")
    if writes := result.get("writes_per_model"):
        kinds = ", ".join(f"{count} × {kind}" for kind, count in writes.items())
        lines += ["", f"Writes of one Model: {sum(writes.values())} ({kinds}); the bound sends the same."]
    return "\n".join(lines) + "\n"


def _convergence(size: dict[str, Any]) -> list[str]:
    runs, name = size["runs"], f"{size['models']} Models"
    shares = [run["player_cpu_s"] / run["seconds"] for run in runs]
    operator = [run["operator_cpu_s"] / run["seconds"] for run in runs]
    memory = max(run["peak_rss_mib"] for run in runs)
    cpu_s = [run["operator_cpu_s"] / size["models"] * 1000 for run in runs]
    bound_cpu_s = [bound["cpu_s"] / size["models"] * 1000 for bound in size["bounds"]]
    return [
        f"| {name}: time to converge | ≤ 1.5 × the bound | {_ratio(size)} |",
        f"| {name}: memory of the operator, at most | ≤ 300 MiB | {memory:.0f} MiB |",
        f"| {name}: CPU of the operator per 1,000 Models | | {_spread(cpu_s)} s; of the writes' sender {_spread(bound_cpu_s)} s |",
        f"| {name}: cores taken by operator and player | | {_spread(operator, 2)} and {_spread(shares, 2)} |",
    ]


def _churn(size: dict[str, Any]) -> list[str]:
    """The bound is that of as many Models left alone, which is less than what churn asks for."""
    changes = ", ".join(f"{count} × {act}" for act, count in sorted(size["runs"][0]["changes"].items()))
    left = sum(len(names) for run in size["runs"] for names in run["orphans"].values())
    return [
        f"| {size['models']} Models with churn ({changes}): time to converge | ≤ 1.5 × the bound of as many left alone | {_ratio(size)} |",
        f"| what is left over after the churn | nothing | {left or 'nothing'} |",
    ]


def _ratio(size: dict[str, Any]) -> str:
    seconds, bound = ([entry["seconds"] for entry in entries] for entries in (size["runs"], size["bounds"]))
    return f"{_spread(size['ratios'], 2)} × ({_spread(seconds)} s; the writes alone {_spread(bound)} s)"


def _spread(values: list[float], digits: int = 1) -> str:
    """The median, and of several the least and the greatest."""
    middle, low, high = (f"{of(values):.{digits}f}" for of in (statistics.median, min, max))
    return middle if len(values) == 1 else f"{middle} [{low}, {high}]"
