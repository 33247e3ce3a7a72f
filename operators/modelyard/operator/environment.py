"""The environment that the platform's own processes start in. The only reader of the caller's."""

import os
import secrets
from pathlib import Path

from modelyard.operator.settings import Settings

MARK = "MODELYARD_PLATFORM"
"""Every process of a platform carries this variable with the platform's home, so that it can be found again."""


def ray_token_file(settings: Settings) -> Path:
    """The file with the token that Ray's job and dashboard API ask for; made on first use, readable by its owner only."""
    path = settings.root / "secrets" / "ray-token"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
    return path


def platform_environment(settings: Settings) -> dict[str, str]:
    """The caller's environment (it may hold credentials for hubs and stores) with the platform's own variables."""
    return {
        **os.environ,  # noqa: TID251 (child processes inherit it)
        MARK: str(settings.root),
        "MODELYARD_HOME": str(settings.root),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(ray_token_file(settings)),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Keeps the node at 127.0.0.1, and with it every port that Ray opens; else Ray takes the machine's outward address.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def use_token(settings: Settings) -> None:
    """Let the Ray client libraries of this process present the token."""
    os.environ["RAY_AUTH_MODE"] = "token"  # noqa: TID251 (Ray reads nothing else)
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(ray_token_file(settings))  # noqa: TID251
