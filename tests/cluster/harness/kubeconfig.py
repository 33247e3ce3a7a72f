"""Build kubeconfig files: which server, which authority, who asks."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from harness.certificates import Pair


def certificate_user(pair: Pair) -> dict[str, str]:
    """The user entry of a client certificate."""
    return {"client-certificate-data": _encoded(pair.certificate), "client-key-data": _encoded(pair.key)}


def token_user(token: str) -> dict[str, str]:
    """The user entry of a bearer token."""
    return {"token": token}


def build_kubeconfig(server: str, authority: Path, user: Mapping[str, str], namespace: str = "default") -> dict[str, Any]:
    """A kubeconfig of one context; everything is in it, so the file can be moved."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority-data": _encoded(authority)}}],
        "users": [{"name": "test", "user": dict(user)}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
        "current-context": "test",
    }


def with_user(document: Mapping[str, Any], user: Mapping[str, str]) -> dict[str, Any]:
    """The same servers, asked by another user."""
    users = [{"name": known["name"], "user": dict(user)} for known in document["users"]]
    return {**document, "users": users}


def with_server(document: Mapping[str, Any], server: str) -> dict[str, Any]:
    """The same user, asking another address."""
    clusters = [{"name": known["name"], "cluster": {**known["cluster"], "server": server}} for known in document["clusters"]]
    return {**document, "clusters": clusters}


def write_kubeconfig(path: Path, document: Mapping[str, Any]) -> Path:
    """Write it so that only its owner reads it."""
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(dict(document), sort_keys=False))
    return path


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
