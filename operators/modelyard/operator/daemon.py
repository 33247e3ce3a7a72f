"""The process that is a local platform: holds Ray and Milvus Lite, restarts them, and runs the reconcile loop.

Started by `modelyard up` as `python -m modelyard.operator.daemon`; ended by SIGTERM.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from types import FrameType

from ray.dashboard.modules.serve.sdk import ServeSubmissionClient
from ray.job_submission import JobSubmissionClient

from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import ModelyardError, UnavailableError
from modelyard.domain.observed import Plan, Platform
from modelyard.operator import processes
from modelyard.operator.environment import platform_environment, use_token
from modelyard.operator.jobs import LocalJobs
from modelyard.operator.local import LocalInputs, LocalLeftovers, local_place
from modelyard.operator.manifests import build_serve_config
from modelyard.operator.reconcile import Reconciler
from modelyard.operator.serving import LocalServing
from modelyard.operator.settings import Settings
from modelyard.operator.state import PlatformState, hold_lock, write_state
from modelyard.operator.store import ResourceStore

logger = logging.getLogger(__name__)

PASS_INTERVAL_S = 1.0
LOOK_INTERVAL_S = 0.1
"""How soon a change by a user is noticed."""


class Daemon:
    """One local platform."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.environment = platform_environment(settings)
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.stopping = False

    def run(self) -> None:
        """Start everything, reconcile until SIGTERM, stop everything."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        use_token(self.settings)
        processes.end(processes.find(self.settings))  # left by a platform that was killed
        try:
            self._start_children()
            resources = ResourceStore(self.settings.database)
            reconciler = self._build_reconciler(resources)
            self._pass(reconciler)
            self._say("running")
            self._loop(reconciler, resources)
        except ModelyardError as error:
            self._say("failed", str(error))
            raise
        finally:
            for child in reversed(self.children.values()):
                processes.end_child(child)
            processes.end(processes.find(self.settings))

    def _loop(self, reconciler: Reconciler, resources: ResourceStore) -> None:
        revision = resources.revision()
        passed_at = time.monotonic()
        while not self.stopping:
            if resources.revision() != revision or time.monotonic() - passed_at >= PASS_INTERVAL_S:
                self._pass(reconciler)
                revision, passed_at = resources.revision(), time.monotonic()
            time.sleep(LOOK_INTERVAL_S)

    def _pass(self, reconciler: Reconciler) -> None:
        """One pass. What cannot be done or written down now is tried again: a full disk must not end the platform."""
        try:
            self._revive()
            reconciler.pass_once()
        except (UnavailableError, OSError) as error:
            logger.warning("%s", error)

    def _start_children(self) -> None:
        for name in ("milvus", "ray"):
            self._start_child(name)

    def _start_child(self, name: str) -> None:
        settings, log = self.settings, self.settings.root / "logs" / f"{name}.log"
        if name == "milvus":
            command, port = processes.milvus_command(settings), settings.milvus_port
        else:
            command, port = processes.ray_command(settings, processes.free_port()), settings.dashboard_port
        self._say("starting", f"starting {name}")
        self.children[name] = processes.start(command, self.environment, log)
        processes.wait_for_port(port, self.children[name], name, log)

    def _revive(self) -> None:
        for name, child in list(self.children.items()):
            if child.poll() is not None:
                logger.warning("%s ended with %s; starting it again", name, child.returncode)
                if name == "ray":
                    processes.end(processes.find(self.settings, but=[c.pid for c in self.children.values()]))
                self._start_child(name)
                self._say("running")

    def _build_reconciler(self, resources: ResourceStore) -> Reconciler:
        settings, cores = self.settings, processes.cores()
        address = f"http://127.0.0.1:{settings.dashboard_port}"
        store = ArtifactStore(settings.artifacts_uri)
        platform = Platform(
            store=settings.artifacts_uri,
            milvus_uri=settings.milvus_uri,
            capacity={"CPU": cores, "GPU": processes.gpus()},
            machines=processes.machines(),
        )
        threads = {"OMP_NUM_THREADS": str(cores)}

        def build_config(plans: list[Plan]) -> dict[str, object]:
            return build_serve_config(plans, local_place(settings.artifacts_uri, settings.milvus_uri, settings.port, cores))

        return Reconciler(
            resources=resources,
            jobs=LocalJobs(settings.runs_uri, store, JobSubmissionClient(address), threads),
            serving=LocalServing(ServeSubmissionClient(address), f"http://127.0.0.1:{settings.port}"),
            inputs=LocalInputs(),
            leftovers=LocalLeftovers(store, settings.milvus_uri, self.environment),
            platform=platform,
            build_config=build_config,
            now=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    def _say(self, phase: str, message: str = "") -> None:
        settings = self.settings
        state = PlatformState(
            pid=os.getpid(),
            phase=phase,
            message=message,
            port=settings.port,
            dashboard_port=settings.dashboard_port,
            milvus_port=settings.milvus_port,
        )
        write_state(settings, state)

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        self.stopping = True


def main() -> int:
    """Be the platform until told to end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = Settings()
    try:
        with hold_lock(settings):
            Daemon(settings).run()
    except ModelyardError as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
