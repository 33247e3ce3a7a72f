"""Build what makes the API server ask the operator before it stores a resource. Pure: plain dicts, no I/O."""

from typing import Any

from modelyard.domain.resource import GROUP
from modelyard.operator.admission_server import PATH
from modelyard.operator.labels import managed_labels

NAME = "modelyard-admission"
TIMEOUT_S = 5
RESOURCES = ("evaluations", "knowledgebases", "models")


def build_webhook_configuration(name: str, client: dict[str, Any]) -> dict[str, Any]:
    """A ValidatingWebhookConfiguration. client: its `clientConfig`, with a `service` or a `url`, and with a `caBundle`.

    When nobody answers, resources are let in: the plan refuses the same things, in the status. Which namespaces are asked about
    (`namespaceSelector`) is for whoever installs it.
    """
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name, "labels": managed_labels()},
        "webhooks": [
            {
                "name": f"admission.{GROUP}",
                "clientConfig": client,
                "rules": [
                    {
                        "apiGroups": [GROUP],
                        "apiVersions": ["v1alpha1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": list(RESOURCES),
                        "scope": "Namespaced",
                    }
                ],
                "failurePolicy": "Ignore",
                "matchPolicy": "Equivalent",
                "sideEffects": "None",
                "timeoutSeconds": TIMEOUT_S,
                "admissionReviewVersions": ["v1"],
            }
        ],
    }


def build_admission_service(namespace: str, selector: dict[str, str], port: int) -> dict[str, Any]:
    """The Service through which the API server reaches the operator's replicas. port: of `--admission-port`."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": namespace, "labels": managed_labels()},
        "spec": {"selector": selector, "ports": [{"name": "admission", "port": 443, "targetPort": port, "protocol": "TCP"}]},
    }


def service_client(namespace: str, ca_bundle: str) -> dict[str, Any]:
    """The `clientConfig` that goes with `build_admission_service`. ca_bundle: PEM in base64."""
    return {"service": {"name": NAME, "namespace": namespace, "path": PATH, "port": 443}, "caBundle": ca_bundle}
