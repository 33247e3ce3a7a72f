"""The operator's webhook on this machine: its certificate, where it listens, and how the API server is told of it."""

import base64
import json
import socket
import ssl
import urllib.request
from pathlib import Path
from typing import Any

from harness.certificates import Authority
from harness.cluster import Cluster
from modelyard.operator.admission_manifests import build_webhook_configuration
from modelyard.operator.admission_server import PATH

ASKED = "modelyard.io/admission-of"
"""Label of the namespace that the API server asks a webhook about."""


class Webhook:
    """Where an operator that is started with `words` judges resources."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._authority = Authority(folder / "ca")
        pair = self._authority.server("webhook")
        for source, name in ((pair.certificate, "tls.crt"), (pair.key, "tls.key")):
            (folder / name).write_bytes(source.read_bytes())
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = int(taken.getsockname()[1])
        self.words = ("--admission-port", str(port), "--admission-certificates", str(folder))
        self.url = f"https://127.0.0.1:{port}{PATH}"

    def register(self, cluster: Cluster, namespace: str) -> str:
        """Have the API server ask about a namespace that is labelled with its own name; the name of the configuration."""
        bundle = base64.b64encode(self._authority.certificate.read_bytes()).decode()
        configuration = build_webhook_configuration(f"modelyard-{namespace}", {"url": self.url, "caBundle": bundle})
        for webhook in configuration["webhooks"]:
            webhook["namespaceSelector"] = {"matchLabels": {ASKED: namespace}}
        cluster.apply([configuration])
        return str(configuration["metadata"]["name"])

    def ask(self, namespace: str, document: dict[str, Any]) -> dict[str, Any]:
        """What it says about a new resource, asked without the API server."""
        request = {"uid": "r", "kind": {"kind": document["kind"]}, "namespace": namespace, "operation": "CREATE", "object": document}
        body = json.dumps({"request": request}).encode()
        context = ssl.create_default_context(cafile=str(self._authority.certificate))
        with urllib.request.urlopen(urllib.request.Request(self.url, body), timeout=20, context=context) as answer:
            return dict(json.load(answer)["response"])
