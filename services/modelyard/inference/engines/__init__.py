"""Engines behind one protocol, and the choice between them."""

import importlib.util
import logging
from pathlib import Path

from modelyard.domain.errors import InvalidInputError
from modelyard.domain.serving import EngineArgs
from modelyard.inference.engines.base import Engine

logger = logging.getLogger(__name__)


def build_engine(args: EngineArgs, folder: Path) -> Engine:
    """The engine that `args.engine` asks for, not yet started. `folder`: the base weights.

    `auto` takes vLLM where it is installed, else transformers. Raises InvalidInputError when `vllm` is asked for and missing.
    """
    installed = importlib.util.find_spec("vllm") is not None
    if args.engine == "vllm" and not installed:
        raise InvalidInputError("engine 'vllm' is asked for and vLLM is not installed here", "set serving.engine to auto or transformers")
    chosen = args.engine if args.engine != "auto" else "vllm" if installed else "transformers"
    reason = "the spec asks for it" if args.engine != "auto" else "vLLM is installed" if installed else "vLLM is not installed"
    logger.info("engine=%s reason=%r base=%s", chosen, reason, args.base_digest[:12])
    # Imported here, because each takes seconds and hundreds of megabytes, and only one is needed.
    if chosen == "vllm":
        from modelyard.inference.engines.vllm import VllmEngine

        return VllmEngine(args, folder)
    from modelyard.inference.engines.transformers import TransformersEngine

    return TransformersEngine(args, folder)
