"""Which files may come in, judged by name and by their first bytes. Nothing here is ever executed."""

import json
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

from safetensors import SafetensorError, safe_open

from modelyard.domain.errors import IntegrityError

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
WANTED = (
    "*.safetensors", "*.gguf", "*.json", "*.jinja", "*.model", "*.spm", "*.tiktoken",
    "*vocab*", "*merges*", "README.md", "LICENSE*", "NOTICE*",
)  # fmt: skip
"""Weights, configuration, tokenizers, chat templates and the words that must travel with them."""
UNWANTED = ("manifest.json", ".*", "*/.*", "original/*", "consolidated*.safetensors", "onnx/*", "openvino/*")
"""The same weights once more in another layout, what version control needs, and the name of our own manifest."""
MAGIC = {
    b"PK\x03\x04": "a zip archive as PyTorch's pickles are",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
}
"""How files begin that can run code when they are read."""
REMEDY = "use the safetensors weights of this model"


def is_wanted(path: str) -> bool:
    """Whether a file of a model folder is taken along; pickles never are."""
    if path.endswith(PICKLE_SUFFIXES) or any(fnmatch(path, pattern) for pattern in UNWANTED):
        return False
    return any(fnmatch(path.rpartition("/")[2], pattern) for pattern in WANTED)


def refuse_pickles(paths: Iterable[str]) -> None:
    """Raise IntegrityError for a file whose format can run code when it is read."""
    for path in paths:
        if path.endswith(PICKLE_SUFFIXES):
            raise IntegrityError(f"{path} is a pickle, which can run code when it is read", REMEDY)


def check_formats(folder: Path, paths: Iterable[str]) -> None:
    """Raise IntegrityError that names the first file which is not what its name says.

    paths: relative to the folder.
    """
    for path in paths:
        check_format(folder / path, path)


def check_format(file: Path, name: str) -> None:
    """Raise IntegrityError if a file can run code, or is not the safetensors, GGUF or JSON that its name says."""
    refuse_pickles([name])
    with file.open("rb") as stream:
        head = stream.read(8)
    for magic, words in MAGIC.items():
        if head.startswith(magic):
            raise IntegrityError(f"{name} is {words} by its content, which can run code when it is read", REMEDY)
    if name.endswith(".safetensors"):
        _check_safetensors(file, name)
    elif name.endswith(".gguf") and not head.startswith(b"GGUF"):
        raise IntegrityError(f"{name} is not GGUF: it begins with {head[:4]!r}", "fetch it anew from its publisher")
    elif name.endswith(".json"):
        _check_json(file, name)


def _check_safetensors(file: Path, name: str) -> None:
    try:
        # Reads the header alone and compares it with the size of the file.
        with safe_open(file, framework="numpy"):
            pass
    except SafetensorError as error:
        raise IntegrityError(f"{name} is truncated or not safetensors: {error}", "fetch it anew from its publisher") from None


def _check_json(file: Path, name: str) -> None:
    try:
        json.loads(file.read_bytes())
    except ValueError as error:
        raise IntegrityError(f"{name} is not JSON: {error}", "fetch it anew from its publisher") from None
