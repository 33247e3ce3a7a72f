"""What retrieval reads from the environment."""

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class MilvusSettings(BaseSettings):
    """How to sign in to Milvus."""

    model_config = SettingsConfigDict(env_prefix="MODELYARD_MILVUS_", frozen=True)

    token: SecretStr = SecretStr("")
    """`user:password` or an API key of a Milvus with users; Milvus Lite has none."""
