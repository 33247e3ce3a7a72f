import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import save_file

from modelyard.artifacts.store import ArtifactStore

COMMIT = "c0ffee" + "0" * 34
Files = dict[str, bytes]


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder that looks like a model, without one that could answer."""

    def make(name: str = "model", architecture: str = "LlamaForCausalLM", values: int = 64) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
        (folder / "tokenizer.json").write_text("{}")
        (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
        save_file({"w": numpy.arange(values, dtype=numpy.float32)}, folder / "model.safetensors")
        return folder

    return make


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore((tmp_path / "store").as_uri())


class FakeHub:
    """Answers what huggingface_hub asks of a hub: one repository, its commit, its files, ranges."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.repository = "org/tiny"
        self.cut: dict[str, list[int]] = {}
        """File → after how many bytes each of the next answers breaks off."""
        self.requests: list[tuple[str, str]] = []
        """(path, Range header) in order."""
        self.broken = False
        self.gated = False
        self.served: Files = {}
        """Bytes that are sent instead of the right ones."""
        self.stall: set[str] = set()
        """Files whose answer stops after its headers, until `released`."""
        self.stalled, self.released = threading.Event(), threading.Event()
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.requests.append((self.path, self.headers.get("Range", "")))
                hub.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def downloads(self, file: str) -> list[str]:
        """The Range headers with which a file was asked for."""
        return [range_ for path, range_ in self.requests if path.endswith(f"/{file}")]

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        if self.broken:
            return self._send(request, 503, b"busy")
        if self.gated:
            return self._send(request, 403, b"{}", {"X-Error-Code": "GatedRepo"})
        if match := re.match(rf"/api/models/{self.repository}/revision/([^?]+)", request.path):
            if match[1] not in ("main", COMMIT):
                return self._send(request, 404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return self._send(request, 200, json.dumps(self._info()).encode(), {"Content-Type": "application/json"})
        if match := re.match(rf"/{self.repository}/resolve/{COMMIT}/(.+)", request.path):
            return self._send_file(request, match[1])
        return self._send(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _info(self) -> dict[str, object]:
        siblings = []
        for name, content in self.files.items():
            entry: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": sha256(content).hexdigest()[:40]}
            if name.endswith(".safetensors"):
                entry["lfs"] = {"sha256": sha256(content).hexdigest(), "size": len(content), "pointerSize": 128}
            siblings.append(entry)
        return {"id": self.repository, "modelId": self.repository, "sha": COMMIT, "tags": ["license:mit"], "siblings": siblings}

    def _send_file(self, request: http.server.BaseHTTPRequestHandler, name: str) -> None:
        content = self.served.get(name, self.files[name])
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        limits = self.cut.get(name, [])
        stall = name in self.stall
        self._send(request, 206 if start else 200, content[start:], headers, 0 if stall else limits.pop(0) if limits else None)
        if stall:
            self.stalled.set()
            self.released.wait(60)

    def _send(
        self,
        request: http.server.BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        limit: int | None = None,
    ) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body[:limit])
        if limit is not None:
            request.close_connection = True


@pytest.fixture
def start_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Files], FakeHub]]:
    # Whoever runs the tests may have forbidden the real hub.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    hubs: list[FakeHub] = []

    def start(files: Files) -> FakeHub:
        hub = FakeHub(files)
        threading.Thread(target=hub.server.serve_forever, args=(0.01,), daemon=True).start()
        hubs.append(hub)
        return hub

    yield start
    for hub in hubs:
        hub.server.shutdown()
        hub.server.server_close()
