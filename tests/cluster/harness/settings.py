"""What the environment says of the cluster tests. Read once, here only."""

from pathlib import Path
from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict


class ClusterTestSettings(BaseSettings):
    """`MODELYARD_TEST_KUBECONFIG` and `MODELYARD_TEST_ANY_CLUSTER`; `KUBECONFIG` and `~/.kube/config` are never read."""

    model_config = SettingsConfigDict(env_prefix="MODELYARD_TEST_", frozen=True)

    kubeconfig: Path | None = None
    """Test against the cluster of this file rather than one that the session makes."""

    any_cluster: Literal["yes"] | None = None
    """Says that the cluster of `kubeconfig` may be written to, though these tests did not make it."""
