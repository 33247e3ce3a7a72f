"""The settings of a local platform, read once from `MODELYARD_*` and passed in."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where a local platform lives and listens."""

    model_config = SettingsConfigDict(env_prefix="MODELYARD_", frozen=True)

    home: Path = Path(".modelyard")
    """The folder that holds everything: resources, artifacts, runs, vectors, logs."""
    port: int = Field(default=8000, ge=1, le=65535)
    """The OpenAI-compatible endpoint, on 127.0.0.1."""
    dashboard_port: int = Field(default=8265, ge=1, le=65535)
    """The Ray dashboard, on 127.0.0.1."""
    milvus_port: int = Field(default=19530, ge=1, le=65535)
    """The Milvus Lite server, on 127.0.0.1."""

    @property
    def root(self) -> Path:
        """`home` as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def database(self) -> Path:
        """Resources and events (SQLite)."""
        return self.root / "platform.db"

    @property
    def artifacts_uri(self) -> str:
        """Root of the artifact store."""
        return f"file://{self.root}/artifacts"  # not as_uri(): fsspec takes paths as they are, without %20

    @property
    def runs_uri(self) -> str:
        """Parent of all run folders."""
        return f"file://{self.root}/runs"

    @property
    def milvus_uri(self) -> str:
        """What pymilvus connects to."""
        return f"http://127.0.0.1:{self.milvus_port}"

    @property
    def endpoint(self) -> str:
        """What clients use as `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"
