"""A dataset for people: its figures as a table, its rows in colour. Builds text; reads nothing and prints nothing."""

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from modelyard.cli.tables import plain_table
from modelyard.domain.dataset_statistics import DatasetStatistics

if TYPE_CHECKING:
    from modelyard.training.preview import Preview

LEARNED, MASKED = "bold green", "dim"
OPEN, CLOSE = "⟦", "⟧"


def statistics_table(found: DatasetStatistics, max_length: int | None) -> Table:
    """The figures, one a line. max_length: None where tokens were not counted."""
    lines = [
        ("format", found.format),
        ("files", f"{found.files:,}"),
        ("rows", f"{found.rows:,}"),
        ("duplicates", f"{found.duplicates:,}"),
        *((f"asked by {suite}", f"{count:,}") for suite, count in sorted(found.contaminated.items())),
    ]
    if max_length is not None:
        lengths = found.lengths
        lines += [
            ("tokens a row", f"p50 {lengths.p50:,}, p95 {lengths.p95:,}, max {lengths.max:,}"),
            (f"over {max_length:,} tokens", f"{found.overlong:,}"),
            ("truncated", f"{found.truncated:,}"),
            ("nothing to learn", f"{found.masked:,}"),
            ("train", f"{found.train:,}"),
            ("validation", f"{found.validation:,}"),
            ("tokens", f"{found.tokens:,}"),
            ("learned", f"{found.learned_tokens:,}"),
            ("masked share", f"{found.masked_share:.1%}"),
        ]
    return plain_table(["WHAT", "FOUND"], lines)


def preview_text(shown: "Preview", *, marked: bool) -> Text:
    """One example. marked: with signs around what is learned, for where there is no colour."""
    tokens = f"{len(shown.ids):,} tokens, {sum(shown.learned):,} learned{', truncated' if shown.truncated else ''}"
    text = Text(f"── {shown.source} line {shown.line}: {tokens}\n", style="cyan")
    for run, learned in shown.runs:
        text.append(f"{OPEN}{run}{CLOSE}" if marked and learned else run, style=LEARNED if learned else MASKED)
    return text.append("\n")
