"""The only place where inference touches the environment: what vLLM reads while it is imported."""

import os

VLLM_ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    # Run the model inside the engine-core process. Without it, vLLM on CPU starts one process more
    # (0.7 GB and 17 s of imports) in order to bind threads to cores, which fights with jobs on the same cores.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}


def prepare_vllm_environment() -> None:
    """Set what vLLM must find before its import; what is already set stays."""
    for name, value in VLLM_ENVIRONMENT.items():
        os.environ.setdefault(name, value)  # noqa: TID251 -- this is the settings module; vLLM has no other way in
