"""A door to the API server that keeps what was written through it, so that the same writes can be sent again."""

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

from harness.calls import read_call
from harness.control_plane import ControlPlane
from harness.proxy import Proxy

JOB_NAME = re.compile(r"\b(fetch|train|evaluate)-[0-9a-f]{10}\b")


@dataclass(frozen=True)
class Write:
    """One request that changes something."""

    method: str
    path: str
    query: list[tuple[str, str]]
    content_type: str
    body: str
    kind: str
    """What it does, for people: `patch models/status`."""

    def wire(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


class Recorder(Proxy):
    """Keeps the writes beside counting all requests."""

    def __init__(self, plane: ControlPlane) -> None:
        self.writes: list[Write] = []
        super().__init__(plane)

    def __enter__(self) -> "Recorder":
        return self

    def _ask(self, request: web.BaseRequest, body: bytes) -> Any:
        call = read_call(request.method, request.path, request.query)
        if call.is_write:
            resource = "/".join(part for part in (call.resource, call.subresource) if part)
            content_type = request.headers.get("Content-Type", "")
            query = list(request.query.items())
            self.writes.append(Write(request.method, request.path, query, content_type, body.decode(), f"{call.verb} {resource}"))
        return super()._ask(request, body)


def writes_of(writes: list[Write], model: str) -> list[Write]:
    """The writes that belong to one Model alone. model: a name that is part of no other text."""
    shared = ("rayservices", "/fetch-")
    return [write for write in writes if (model in write.path or model in write.body) and not any(place in write.path for place in shared)]


def count_kinds(writes: list[Write]) -> dict[str, int]:
    """Kind of write → how many."""
    return dict(sorted(Counter(write.kind for write in writes).items()))


def repeat_for(writes: list[Write], former: tuple[str, str, str], new: tuple[str, str, str]) -> list[Write]:
    """The same writes about another Model. former, new: (namespace, name, uid).

    What ties a write to one version of an object is left out: nobody else writes to it here.
    """
    repeated = []
    for write in writes:
        body = json.loads(write.body)
        metadata = body.get("metadata") or {}
        metadata.pop("resourceVersion", None)
        if metadata.get("uid") != former[2]:
            metadata.pop("uid", None)
        path, text = (_about(part, former, new) for part in (write.path, json.dumps(body)))
        repeated.append(Write(write.method, path, write.query, write.content_type, text, write.kind))
    return repeated


def _about(text: str, former: tuple[str, str, str], new: tuple[str, str, str]) -> str:
    for old, name in zip(former, new, strict=True):
        text = text.replace(old, name)
    return JOB_NAME.sub(lambda found: f"{found.group()[:-6]}{new[1][-6:]}", text)
