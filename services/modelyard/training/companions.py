"""What whole weights need beside them, taken from the base that they came from. Light: loads no model code."""

from pathlib import Path

from modelyard.artifacts.formats import is_wanted


def companions(base: Path, taken: set[str]) -> list[Path]:
    """The files of base weights that whole weights need beside them: tokenizer, template, licence; no weights, no model card."""
    files = [file for file in sorted(base.iterdir()) if file.is_file() and is_wanted(file.name)]
    others = ("model.safetensors.index.json", "README.md", *taken)
    return [file for file in files if file.suffix not in (".safetensors", ".gguf") and file.name not in others]
