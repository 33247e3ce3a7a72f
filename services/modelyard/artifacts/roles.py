"""Whether a folder of weights is what a job asks for, judged by its configuration. Loads no weights."""

import json
from pathlib import Path
from typing import Any, Literal

from modelyard.domain.errors import IntegrityError, InvalidInputError

Role = Literal["causal-lm", "embedding"]
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "tekken.json")


def check_role(folder: Path, role: Role, uri: str) -> None:
    """Raise InvalidInputError if the configuration in a folder is not that of a causal language model or of an encoder."""
    if role == "causal-lm":
        _check_causal_lm(folder, uri)
    else:
        _check_embedding(folder, uri)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise InvalidInputError(f"{uri} has no tokenizer ({', '.join(TOKENIZER_FILES[:3])})", "use a source that carries its tokenizer")


def check_weights(folder: Path, uri: str) -> None:
    """Raise IntegrityError that names the first file of weights which the index lists and the folder lacks."""
    for index in sorted(folder.rglob("*.safetensors.index.json")):
        for name in sorted(set(_read(index, uri).get("weight_map", {}).values())):
            if not (index.parent / name).is_file():
                raise IntegrityError(f"{uri} lacks {name}, which {index.name} lists", "complete the source")


def _check_causal_lm(folder: Path, uri: str) -> None:
    # transformers is wanted in jobs only and takes seconds to import; this reads its tables, no model.
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    known = _names(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    architecture = _architecture(folder, uri)
    if architecture not in known:
        what = _described(folder, architecture)
        raise InvalidInputError(f"{uri} is {what}, not a causal language model", "set source.uri to a model that generates text")


def _check_embedding(folder: Path, uri: str) -> None:
    if (folder / "modules.json").is_file():
        _check_modules(folder, uri)
        return
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES,
        MODEL_MAPPING_NAMES,
    )

    bases = {kind: MODEL_MAPPING_NAMES[kind] for kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES if kind in MODEL_MAPPING_NAMES}
    known = _names(MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES) | _names(MODEL_FOR_MASKED_LM_MAPPING_NAMES) | _names(bases)
    architecture = _architecture(folder, uri)
    if architecture not in known:
        what = _described(folder, architecture)
        raise InvalidInputError(f"{uri} is {what}, not an embedding model", "use a sentence-transformers folder or a plain encoder")


def _check_modules(folder: Path, uri: str) -> None:
    modules = _read(folder / "modules.json", uri)
    for module in modules if isinstance(modules, list) else []:
        path = folder / str(module.get("path", ""))
        if str(module.get("type", "")).endswith(".Pooling") and not (path / "config.json").is_file():
            raise IntegrityError(f"{uri} lacks {module['path']}/config.json, which modules.json lists", "complete the source")


def _names(mapping: Any) -> set[str]:
    """The class names in a table of transformers; some entries are tuples of them."""
    return {name for entry in mapping.values() for name in (entry if isinstance(entry, tuple | list) else (entry,))}


def _architecture(folder: Path, uri: str) -> str:
    if not (folder / "config.json").is_file():
        raise InvalidInputError(f"{uri} has no config.json", "use a folder in the transformers layout")
    config = _read(folder / "config.json", uri)
    return str(next(iter(config.get("architectures") or []), "")) if isinstance(config, dict) else ""


def _described(folder: Path, architecture: str) -> str:
    if architecture:
        return f"{'an' if architecture[0] in 'AEIOU' else 'a'} {architecture}"
    return "a model whose config.json names no architecture"


def _read(path: Path, uri: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise IntegrityError(f"{uri}: {path.name} is not JSON: {error}", "complete the source") from None
