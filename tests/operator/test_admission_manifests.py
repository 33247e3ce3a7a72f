from modelyard.operator.admission_manifests import TIMEOUT_S, build_admission_service, build_webhook_configuration, service_client
from modelyard.operator.admission_review import DEADLINE_S

LABELS = {"app.kubernetes.io/managed-by": "modelyard"}


def test_the_webhook_configuration_is_whole() -> None:
    assert build_webhook_configuration("modelyard", service_client("yard", "Q0E=")) == {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "modelyard", "labels": LABELS},
        "webhooks": [
            {
                "name": "admission.modelyard.io",
                "clientConfig": {
                    "service": {"name": "modelyard-admission", "namespace": "yard", "path": "/admission", "port": 443},
                    "caBundle": "Q0E=",
                },
                "rules": [
                    {
                        "apiGroups": ["modelyard.io"],
                        "apiVersions": ["v1alpha1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["evaluations", "knowledgebases", "models"],
                        "scope": "Namespaced",
                    }
                ],
                "failurePolicy": "Ignore",
                "matchPolicy": "Equivalent",
                "sideEffects": "None",
                "timeoutSeconds": 5,
                "admissionReviewVersions": ["v1"],
            }
        ],
    }


def test_the_service_leads_to_the_port_of_the_operator() -> None:
    assert build_admission_service("yard", {"app": "operator"}, 8443) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "modelyard-admission", "namespace": "yard", "labels": LABELS},
        "spec": {"selector": {"app": "operator"}, "ports": [{"name": "admission", "port": 443, "targetPort": 8443, "protocol": "TCP"}]},
    }


def test_an_answer_is_there_before_the_api_server_gives_up() -> None:
    assert DEADLINE_S < TIMEOUT_S
