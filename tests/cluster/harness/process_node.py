"""A node whose pods are processes of this machine: plays the kubelet where no container can run.

A pod's first container becomes one process with the pod's command and environment, in this machine's own file system and
network. Pods share its ports, so one runs at a time and the others wait. No image, no isolation, no volume, no probe.
"""

import base64
import os
import shlex
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from modelyard.operator import processes
from modelyard.operator.environment import MARK
from modelyard.operator.settings import Settings

LOOK_S = 0.2
HEARTBEAT_S = 10.0


class NoAddressError(Exception):
    """This machine has no address but loopback, to which an API server does not pass requests on."""


@dataclass
class _Running:
    """One pod's process, and the home that marks it and all that it starts."""

    process: subprocess.Popen[bytes]
    home: tempfile.TemporaryDirectory[str]

    def end(self) -> None:
        """End it with all that it started, wherever that went."""
        processes.end(processes.find(Settings(home=Path(self.home.name))))
        self.process.wait()
        self.home.cleanup()


class ProcessNode:
    """A node for the pods of one namespace, which it also binds to itself."""

    def __init__(self, api: client.ApiClient, namespace: str, folder: Path, path: Path) -> None:
        """folder: for the pods' output. path: of the programs that pods may call, before the system's own."""
        self.core, self.namespace, self.folder, self.path = client.CoreV1Api(api), namespace, folder, path
        self.name = f"processes-{namespace}"
        self.address = machine_address()
        self._pods: dict[str, _Running] = {}
        self._beaten_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="process-node", daemon=True)

    def __enter__(self) -> "ProcessNode":
        self.core.create_node({"metadata": {"name": self.name}})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for running in self._pods.values():
            running.end()
        self.core.delete_node(self.name)

    def log(self, pod: str) -> Path:
        """Where a pod writes."""
        return self.folder / f"{pod}.log"

    def _work(self) -> None:
        while not self._stop.wait(LOOK_S):
            try:
                self._beat()
                for pod in self.core.list_namespaced_pod(self.namespace).items:
                    self._look_at(pod)
            except ApiException as error:  # somebody was faster; the next look sees it
                if error.status not in (404, 409):
                    raise

    def _beat(self) -> None:
        """Say that the node is there, as a kubelet does, or its pods would be moved away."""
        if time.monotonic() - self._beaten_at < HEARTBEAT_S:
            return
        self._beaten_at = time.monotonic()
        ready = {"type": "Ready", "status": "True", "reason": "Plays", "lastHeartbeatTime": _now()}
        room = {"cpu": "64", "memory": "256Gi", "pods": "110"}
        self.core.patch_node_status(self.name, {"status": {"conditions": [ready], "capacity": room, "allocatable": room}})

    def _look_at(self, pod: Any) -> None:
        name, uid = pod.metadata.name, pod.metadata.uid
        if pod.metadata.deletion_timestamp:
            if uid in self._pods:
                self._pods.pop(uid).end()
            self.core.delete_namespaced_pod(name, self.namespace, grace_period_seconds=0)
        elif not pod.spec.node_name:
            if self._pods:
                return
            target = {"apiVersion": "v1", "kind": "Node", "name": self.name}
            binding = {"metadata": {"name": name}, "target": target}
            self.core.create_namespaced_binding(self.namespace, binding, _preload_content=False)
        elif pod.status.phase == "Pending" and uid not in self._pods:
            self._pods[uid] = self._start(pod)
            self._tell(pod, "Running", {"running": {"startedAt": _now()}})
        elif pod.status.phase == "Running" and (code := self._pods[uid].process.poll()) is not None:
            self._pods.pop(uid).end()
            reason = "Error" if code else "Completed"
            self._tell(pod, "Failed" if code else "Succeeded", {"terminated": {"exitCode": code & 0xFF, "reason": reason}})

    def _start(self, pod: Any) -> _Running:
        container = pod.spec.containers[0]
        # Short: Ray makes Unix sockets in it, whose paths end at 107 bytes.
        home = tempfile.TemporaryDirectory(prefix="yard-", ignore_cleanup_errors=True)
        environment = {variable.name: self._value(pod, variable) for variable in container.env or []}
        own = {"PATH": f"{self.path}{os.pathsep}/usr/bin:/bin", "HOME": home.name, "RAY_TMPDIR": home.name, MARK: home.name}
        with self.log(pod.metadata.name).open("ab") as output:
            command = [*(container.command or []), *(container.args or [])]
            output.write(f"$ {shlex.join(command)}\n".encode())
            process = subprocess.Popen(
                command,
                env={**environment, **own},
                cwd=home.name,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return _Running(process, home)

    def _value(self, pod: Any, variable: Any) -> str:
        """What a variable of a container is; of the references, those that KubeRay makes."""
        source = variable.value_from
        if source is None:
            return str(variable.value or "")
        if source.secret_key_ref:
            secret = self.core.read_namespaced_secret(source.secret_key_ref.name, self.namespace)
            return base64.b64decode(secret.data[source.secret_key_ref.key]).decode()
        if source.field_ref:
            fields = {"status.podIP": self.address, "metadata.name": pod.metadata.name, "metadata.namespace": self.namespace}
            path = source.field_ref.field_path
            if path.startswith("metadata.labels['"):
                return str(pod.metadata.labels[path.removeprefix("metadata.labels['").removesuffix("']")])
            return str(fields[path])
        raise NotImplementedError(f"variable {variable.name} of pod {pod.metadata.name}: {source}")

    def _tell(self, pod: Any, phase: str, state: Mapping[str, Any]) -> None:
        ready = phase == "Running"
        container = pod.spec.containers[0]
        told = {"name": container.name, "image": container.image, "imageID": "", "restartCount": 0, "ready": ready, "state": state}
        conditions = [{"type": kind, "status": str(ready)} for kind in ("Initialized", "ContainersReady", "Ready", "PodScheduled")]
        status = {
            "phase": phase,
            "conditions": conditions,
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "hostIP": self.address,
            "startTime": _now(),
            "containerStatuses": [told],
        }
        self.core.patch_namespaced_pod_status(pod.metadata.name, self.namespace, {"status": status})


def machine_address() -> str:
    """An IPv4 address of this machine that is not loopback. Raises NoAddressError."""
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family.name == "AF_INET" and not address.address.startswith(("127.", "169.254.")):
                return address.address
    raise NoAddressError("this machine has no address but loopback, to which an API server does not pass requests on")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
