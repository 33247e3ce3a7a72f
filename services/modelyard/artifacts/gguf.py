"""Turn a GGUF file into a plain folder of bf16 safetensors with tokenizer and chat template."""

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelyard.domain.errors import InvalidInputError
from modelyard.domain.resource import Progress

BITS = re.compile(r"(?:^|[-_.])(?:i?q|tq|bf|f|mxfp)(\d{1,2})", re.IGNORECASE)
WORST_CASE_BITS = 2


def converted_bytes(name: str, size_bytes: int) -> int:
    """An upper bound for the bf16 folder made from a GGUF file, by the quantization that its name tells."""
    match = BITS.search(name)
    bits = int(match[1]) if match else WORST_CASE_BITS
    return int(size_bytes * 16 / max(bits, 1)) + (32 << 20)


def convert(file: Path, target: Path, uri: str, report: Callable[[Progress], None]) -> None:
    """Write what a GGUF file holds as config, bf16 weights, tokenizer and generation settings; reports each tensor that is done.

    Needs memory for the weights twice. Raises InvalidInputError for an architecture that transformers cannot read.
    """
    # Only this job needs torch and transformers, and they take seconds to import.
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        with _counted(report):
            loaded = AutoModelForCausalLM.from_pretrained(
                file.parent, gguf_file=file.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
            )
    except (ValueError, KeyError, NotImplementedError) as error:
        raise InvalidInputError(f"{uri} cannot be converted: {error}", "use the safetensors weights of this model") from error
    plain = _without_quantizer(loaded)
    end_ids = _end_ids(loaded, tokenizer)
    plain.generation_config.eos_token_id = end_ids if len(end_ids) > 1 else end_ids[0]
    plain.config.eos_token_id = tokenizer.eos_token_id
    tokenizer.model_max_length = min(
        tokenizer.model_max_length, getattr(plain.config, "max_position_embeddings", tokenizer.model_max_length)
    )
    plain.save_pretrained(target)
    tokenizer.save_pretrained(target)


def licence_in(file: Path) -> str:
    """The licence that a GGUF file states, or nothing."""
    from gguf import GGUFReader

    field = GGUFReader(file).get_field("general.license")
    return str(field.contents()) if field else ""


@contextmanager
def _counted(report: Callable[[Progress], None]) -> Iterator[None]:
    """Report the tensors that transformers converts; it tells of them by a progress bar alone, so this stands in for the bar."""
    from transformers import modeling_gguf_pytorch_utils as reader

    def counted(tensors: Sequence[Any], **_: Any) -> Iterator[Any]:
        for done, tensor in enumerate(tensors, start=1):
            yield tensor
            report(Progress(stage="converting", step=done, total_steps=len(tensors), percent=round(100 * done / len(tensors), 1)))

    bar = reader.tqdm
    reader.tqdm = counted
    try:
        yield
    finally:
        reader.tqdm = bar


def _without_quantizer(loaded: Any) -> Any:
    """The same model without what makes transformers refuse to save it."""
    import torch

    config = copy.deepcopy(loaded.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.name_or_path = ""
    config.dtype = torch.bfloat16
    with torch.device("meta"):
        plain = type(loaded)(config)
    plain.load_state_dict(loaded.state_dict(), assign=True)
    plain.tie_weights()
    plain.generation_config = copy.deepcopy(loaded.generation_config)
    return plain


def _end_ids(loaded: Any, tokenizer: Any) -> list[int]:
    """Every token that ends an answer; a chat model that never meets one goes on talking to itself."""
    stated = loaded.generation_config.eos_token_id
    stated = stated if isinstance(stated, list) else [stated]
    return sorted({int(token) for token in [*stated, tokenizer.eos_token_id] if token is not None})
