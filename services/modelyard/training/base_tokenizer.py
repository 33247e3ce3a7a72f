"""The tokenizer of base weights wherever they are, without the weights themselves where that can be."""

import re
import tempfile
from pathlib import Path

from pydantic import ValidationError
from transformers import PreTrainedTokenizerBase

from modelyard.artifacts.fetch import open_supply
from modelyard.artifacts.store import DIGEST, ArtifactStore
from modelyard.domain.errors import InvalidInputError, NotFoundError
from modelyard.domain.model import Source
from modelyard.training.tokens import load_tokenizer

SHORT_DIGEST = re.compile(r"[0-9a-f]{12}")
HEAVY = (".safetensors", ".gguf")


def open_tokenizer(base: str, store: ArtifactStore) -> PreTrainedTokenizerBase:
    """The tokenizer of a base.

    base: a local folder, the digest of an artifact in the store (64 digits, or the first 12), or a URI as `source.uri` has
    it. A GGUF file is read whole, as its tokenizer is inside. Raises NotFoundError and InvalidInputError for what is none.
    """
    if Path(base).is_dir():
        return _load(Path(base), base)
    with tempfile.TemporaryDirectory() as folder:
        if DIGEST.fullmatch(base) or SHORT_DIGEST.fullmatch(base):
            _take_from_store(store, base, Path(folder))
        else:
            _take_from_source(base, Path(folder))
        return _load(Path(folder), base)


def _take_from_store(store: ArtifactStore, digest: str, folder: Path) -> None:
    if not DIGEST.fullmatch(digest):
        names = [str(place).rstrip("/").rpartition("/")[2] for place in store.filesystem.glob(f"{store.root}/{digest}*")]
        if len(names) != 1:
            raise NotFoundError(f"{len(names)} artifacts in {store.root_uri} begin with {digest}", "write all 64 digits of one")
        digest = names[0]
    for entry in store.manifest(digest).files:
        if not entry.path.endswith(HEAVY):
            target = folder / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(store.read(digest, entry.path))


def _take_from_source(uri: str, folder: Path) -> None:
    try:
        source = Source(uri=uri)
    except ValidationError:
        raise NotFoundError(
            f"{uri} is neither a folder nor a digest nor the URI of weights",
            "write a folder, package://NAME/FILE, hf://ORG/NAME or a digest",
        ) from None
    supply = open_supply(source)
    names = {file.path.rpartition("/")[2] for file in supply.files}
    for file in supply.files:
        if not file.path.endswith(HEAVY) or (file.path.endswith(".gguf") and "tokenizer.json" not in names):
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            supply.copy(file, target, lambda _: None)


def _load(folder: Path, base: str) -> PreTrainedTokenizerBase:
    gguf = None if (folder / "tokenizer.json").exists() else next((path.name for path in sorted(folder.glob("*.gguf"))), None)
    try:
        tokenizer = load_tokenizer(folder, gguf)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInputError(
            f"{base} has no tokenizer that can be read: {str(error).splitlines()[0]}", "name the base of the model"
        ) from None
    tokenizer.name_or_path = base
    return tokenizer
