"""Learn what there is to know around a Model that is about to be stored: the shape of its base, the namespace's quotas."""

import logging

from modelyard.artifacts.runs import RunFolder
from modelyard.domain.architecture import Architecture
from modelyard.domain.errors import ModelyardError
from modelyard.domain.job import FetchJob, FetchResult
from modelyard.domain.model import Model
from modelyard.domain.names import job_name
from modelyard.operator.admission import Known
from modelyard.operator.cluster_settings import ClusterSettings
from modelyard.operator.kubernetes import Api, RetryLaterError
from modelyard.operator.quota import Quota, read_quotas

logger = logging.getLogger(__name__)


class AdmissionLook:
    """Reads when it is asked, so that it works in every replica, whichever one leads."""

    def __init__(self, api: Api, settings: ClusterSettings) -> None:
        self._api, self._settings = api, settings

    def __call__(self, model: Model) -> Known:
        """What is known; what cannot be read is a warning."""
        warnings: list[str] = []
        return Known(self._find_architecture(model, warnings), self._list_quotas(model.metadata.namespace, warnings), warnings)

    def _find_architecture(self, model: Model, warnings: list[str]) -> Architecture | None:
        """From the result of the fetch that this Model would share, if somebody in its namespace has made it."""
        settings = self._settings
        name = job_name(FetchJob(store=settings.store_uri, source=model.spec.source, role="causal-lm"))
        try:
            result = RunFolder(f"{settings.runs_uri}/{model.metadata.namespace}/{name}").read("result.json")
            return FetchResult.model_validate_json(result).architecture if result is not None else None
        except (OSError, ValueError, ModelyardError) as error:
            _give_up(warnings, "whether it fits into memory", error)
            return None

    def _list_quotas(self, namespace: str, warnings: list[str]) -> list[Quota]:
        try:
            return read_quotas(self._api.list("ResourceQuota", namespace))
        except (RetryLaterError, ValueError) as error:
            _give_up(warnings, "whether the namespace's quotas allow it", error)
            return []


def _give_up(warnings: list[str], what: str, error: Exception) -> None:
    logger.warning("admission: %s is not known: %s", what, error)
    warnings.append(f"Modelyard could not see {what}: {type(error).__name__}")
