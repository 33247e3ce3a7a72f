"""Give the test session its cluster: one of its own, or, only when told so twice, an existing one."""

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from harness import binaries, marker
from harness.clients import connect, disconnect
from harness.cluster import Cluster
from harness.control_plane import PROGRAMS, ControlPlane
from harness.settings import ClusterTestSettings

PREFIX = "modelyard-k8s-"
ALIVE = "alive.lock"


class RefusedError(Exception):
    """The settings name a cluster without saying that it may be written to."""


@contextlib.contextmanager
def open_cluster(settings: ClusterTestSettings, say: binaries.Say) -> Iterator[Cluster]:
    """The cluster of a session; afterwards nothing of it is left. Raises RefusedError, BuildFailedError, NotReadyError."""
    sweep()
    # The name is short: paths of Unix sockets end at 107 bytes.
    home = Path(tempfile.mkdtemp(prefix=PREFIX))
    with FileLock(home / ALIVE):
        try:
            with _existing(settings, home, say) if settings.kubeconfig else _own(home, say) as cluster:
                yield cluster
        finally:
            shutil.rmtree(home, ignore_errors=True)


def sweep() -> None:
    """Remove the folders of sessions that were killed: nobody holds their lock any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if not (folder / ALIVE).exists():
            continue
        with contextlib.suppress(Timeout, OSError), FileLock(folder / ALIVE, blocking=False):
            shutil.rmtree(folder, ignore_errors=True)


def check(settings: ClusterTestSettings) -> None:
    """Raises RefusedError where the settings name a cluster but do not allow it."""
    if settings.kubeconfig and settings.any_cluster != "yes":
        raise RefusedError(
            f"MODELYARD_TEST_KUBECONFIG is {settings.kubeconfig}, a cluster that these tests did not make: "
            "they write to it and delete from it. Set MODELYARD_TEST_ANY_CLUSTER=yes too if that is meant, or unset it"
        )


@contextlib.contextmanager
def _own(home: Path, say: binaries.Say) -> Iterator[Cluster]:
    plane = ControlPlane(home, binaries.ensure(PROGRAMS, say))
    identity = secrets.token_hex(16)
    try:
        plane.start()
        _plant(plane.kubeconfig, identity)
        cluster = Cluster(plane.kubeconfig, home, identity, plane, say)
        try:
            yield cluster
        finally:
            cluster.close()
    finally:
        plane.stop()


def _plant(kubeconfig: Path, identity: str) -> None:
    api = connect(kubeconfig)
    try:
        marker.plant(api, identity)
    finally:
        disconnect(api)


@contextlib.contextmanager
def _existing(settings: ClusterTestSettings, home: Path, say: binaries.Say) -> Iterator[Cluster]:
    check(settings)
    kubeconfig = home / "given.kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_bytes(Path(settings.kubeconfig or "").read_bytes())
    cluster = Cluster(kubeconfig, home, None, None, say)
    try:
        yield cluster
    finally:
        cluster.close()
