"""What training reads from the environment."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class TrackingSettings(BaseSettings):
    """Where MLflow keeps the figures of runs; MLflow's own variables, so that its credentials go the same way."""

    model_config = SettingsConfigDict(env_prefix="MLFLOW_", frozen=True)

    tracking_uri: str = ""
    """Of a tracking server or a database, such as `http://mlflow:5000` or `sqlite:///runs.db`; empty: nothing is sent."""
    experiment_name: str = "modelyard"
    """The experiment that the runs belong to."""
