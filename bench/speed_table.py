"""The section of docs/benchmarks.md about the operator. Pure."""

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
        "| | bar | measured |",
        "|---|---|---|",
    ]
    for size in result.get("convergence", []):
        lines += _convergence(size)
    if quiet := result.get("quiet"):
        told = f"{quiet['writes']} writes, {quiet['requests_per_object_and_resync']:.3f} requests per object and resync"
        lines.append(f"| {quiet['models']} Models, nothing happens | 0 writes, ≤ 1 request | {told} |")
    if reaction := result.get("reaction"):
        told = f"p50 {reaction['p50_s']:.2f} s, p99 {reaction['p99_s']:.2f} s, at most {reaction['max_s']:.2f} s"
        lines.append(f"| {reaction['models']} Models, {reaction['changes']} changes of a spec | p99 ≤ 1 s | {told} |")
    if churn := result.get("churn"):
        changes = ", ".join(f"{count} × {act}" for act, count in sorted(churn["changes"].items()))
        left = sum(map(len, churn["orphans"].values()))
        told = f"{churn['seconds']:.0f} s; {left} left over"
        lines.append(f"| {churn['models']} Models with churn ({changes}) | converges, nothing left over | {told} |")
    if writes := result.get("writes_per_model"):
        kinds = ", ".join(f"{count} × {kind}" for kind, count in writes.items())
        lines += ["", f"Writes of one Model: {sum(writes.values())} ({kinds}); the bound sends the same."]
    return "\n".join(lines) + "\n"


def _convergence(size: dict[str, Any]) -> list[str]:
    runs, bounds = size["runs"], size["bounds"]
    seconds, bound = ([entry["seconds"] for entry in entries] for entries in (runs, bounds))
    ratio = f"{size['ratio']:.2f} × ({_span(seconds)} s; the writes alone {_span(bound)} s)"
    shares = [run["player_cpu_s"] / run["seconds"] for run in runs]
    operator = [run["operator_cpu_s"] / run["seconds"] for run in runs]
    memory = max(run["peak_rss_mib"] for run in runs)
    name = f"{size['models']} Models" + (f", median of {len(runs)}" if len(runs) > 1 else "")
    return [
        f"| {name}: time to converge | ≤ 1.5 × the bound | {ratio} |",
        f"| {name}: memory of the operator, at most | ≤ 300 MiB | {memory:.0f} MiB |",
        f"| {name}: cores taken by operator and player | | {_span(operator, 2)} and {_span(shares, 2)} |",
    ]


def _span(values: list[float], digits: int = 1) -> str:
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low}–{high}"
