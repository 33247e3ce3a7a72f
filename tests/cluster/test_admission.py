"""The webhook before a real API server: what people read when a resource does not fit."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from harness.cluster import Cluster
from modelyard.artifacts.runs import RunFolder
from modelyard.domain.architecture import Architecture
from modelyard.domain.job import FetchJob, FetchResult
from modelyard.domain.model import Source
from modelyard.domain.names import job_name
from modelyard.operator.attempts import Attempt, record_attempt
from modelyard.operator.kubernetes_lease import LEASE_NAME
from operating import wait_until
from operator_process import OperatorProcess
from players import RayPlayer
from webhook import ASKED, Webhook
from world import World

LLAMA_7B = Architecture(
    parameters=6_738_415_616,
    layers=32,
    hidden_size=4096,
    heads=32,
    kv_heads=32,
    head_dim=128,
    feed_forward_size=11008,
    gated=True,
    vocabulary=32000,
)
KNOWN = {"uri": "hf://org/known"}
"""Fetched before: its shape is that of Llama 2 7B."""
WEIGHTS = "an engine wants 14.1 GiB (weights 12.6, key-value cache 1.0, runtime 0.5) and profile cpu has 8 GiB"
ADVICE = "no profile of this cluster holds it, the largest has 8 GiB; use a smaller base or add a profile"


@dataclass
class Admission:
    """A namespace whose Models are judged, and the operator that judges them."""

    world: World
    operator: OperatorProcess

    def apply(self, document: dict[str, Any], *words: str) -> tuple[int, str]:
        """`kubectl apply`: its exit code, and what a person reads beside the result."""
        command = ("apply", "-n", self.world.namespace, *words, "-f", "-")
        done = self.world.cluster.kubectl(*command, stdin=yaml.safe_dump(document))
        return done.returncode, done.stderr

    def model(self, name: str, **spec: Any) -> dict[str, Any]:
        """A Model that is served and nothing else."""
        return self.world.model(name, **{"fineTune": None, "evaluation": None} | spec)


def keep_fetch(world: World) -> None:
    """The run of a fetch that has succeeded."""
    job = FetchJob(store=world.settings.store_uri, source=Source.model_validate(KNOWN), role="causal-lm")
    run = RunFolder(f"{world.settings.runs_uri}/{world.namespace}/{job_name(job)}")
    record_attempt(run, Attempt(queued_at=0.0, count=1))
    run.write("result.json", FetchResult(digest="b" * 64, weights_bytes=1, architecture=LLAMA_7B).model_dump_json())


def ask(admission: Admission) -> None:
    """Have the API server ask about the namespace, and wait until it does: it takes changes up by and by."""
    namespace = admission.world.namespace
    assert admission.world.cluster.kubectl("label", "namespace", namespace, f"{ASKED}={namespace}").returncode == 0
    probe = admission.model("probe", serving={"profile": "none"})
    wait_until(lambda: admission.apply(probe, "--dry-run=server")[0] != 0, told=admission.operator.log)


@pytest.fixture(scope="module")
def admission(cluster: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Admission]:
    folder, namespace = tmp_path_factory.mktemp("admission"), cluster.namespace("admission")
    webhook = Webhook(folder / "tls")
    with RayPlayer(cluster.client(), namespace) as player:
        world = World(cluster, namespace, folder, player)
        keep_fetch(world)
        with OperatorProcess(cluster.kubeconfig, world.settings, folder, *webhook.words, gateway_url=player.gateway_url) as operator:
            wait_until(lambda: operator.health("/readyz") == 200, told=operator.log)
            configuration = webhook.register(cluster, namespace)
            found = Admission(world, operator)
            ask(found)
            yield found
            cluster.kubectl("delete", "validatingwebhookconfiguration", configuration)
    cluster.delete_namespace(namespace)


def test_a_model_that_does_not_fit_is_refused_with_the_numbers(admission: Admission) -> None:
    code, told = admission.apply(admission.model("large", source=KNOWN))
    assert code == 1
    denied = 'admission webhook "admission.modelyard.io" denied the request'
    assert told.strip() == f'The request is invalid: error when creating "STDIN": {denied}: {WEIGHTS}; {ADVICE}'
    assert admission.world.get(name="large") is None


def test_a_profile_that_there_is_not_is_refused_with_the_one_that_was_meant(admission: Admission) -> None:
    code, told = admission.apply(admission.model("typing", serving={"profile": "cpus"}))
    assert code == 1
    assert "spec.serving.profile: there is no profile 'cpus' on this cluster; did you mean cpu? there is cpu" in told


def test_a_name_that_says_too_much_is_a_warning(admission: Admission) -> None:
    code, told = admission.apply(admission.model("named", source={"uri": "hf://org/some-70B"}), "--dry-run=server")
    assert code == 0
    assert told.startswith("Warning: by its name the source wants 130.4 GiB for the weights of an engine alone, and profile cpu has 8 GiB;")


def test_what_no_quota_allows_is_refused_with_the_workers_that_it_does(admission: Admission) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team"}, "spec": {"hard": {"limits.cpu": "7"}}}
    admission.world.apply(quota)
    try:
        tune = {
            "dataset": {"uri": "s3://rows"},
            "workers": {"count": 8},
            "hyperparameters": {"batchSize": 8, "microBatchSize": 1},
        }
        code, told = admission.apply(admission.model("wide", fineTune=tune))
        assert code == 1
        # Two workers a pod of two CPUs, and a head of two: ten in all.
        assert "the training job wants 10 limits.cpu and ResourceQuota team allows 7; set spec.fineTune.workers.count to 4" in told
        tune["workers"] = {"count": 4}
        assert admission.apply(admission.model("wide", fineTune=tune), "--dry-run=server") == (0, "")
    finally:
        admission.world.cluster.kubectl("delete", "resourcequota", "team", "-n", admission.world.namespace)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        pytest.param("Evaluation", {"model": "bot", "suites": [{"name": "s", "uri": "s3://s"}]}, id="an evaluation"),
        pytest.param("KnowledgeBase", {"sources": [{"uri": "s3://docs"}]}, id="a knowledge base"),
    ],
)
def test_the_other_kinds_are_let_in_without_a_word(admission: Admission, kind: str, spec: dict[str, Any]) -> None:
    document = {"apiVersion": "modelyard.io/v1alpha1", "kind": kind, "metadata": {"name": "other"}, "spec": spec}
    assert admission.apply(document, "--dry-run=server") == (0, "")


def test_what_is_stored_may_be_marked_and_deleted_however_wrong_it_is(admission: Admission) -> None:
    """Stored by way of a namespace that nobody is asked about: a profile may be taken away later, too."""
    world = admission.world
    unasked = ("label", "namespace", world.namespace, f"{ASKED}-")
    assert world.cluster.kubectl(*unasked).returncode == 0
    wait_until(lambda: admission.apply(admission.model("kept", serving={"profile": "gone"}))[0] == 0, told=admission.operator.log)
    ask(admission)
    annotated = world.cluster.kubectl("annotate", "mdl", "kept", "note=1", "-n", world.namespace)
    assert annotated.returncode == 0, annotated.stderr
    patch = json.dumps({"spec": {"serving": {"profile": "gone-too"}}})
    patched = world.cluster.kubectl("patch", "mdl", "kept", "-n", world.namespace, "--type=merge", "-p", patch)
    assert patched.returncode == 1 and "there is no profile 'gone-too'" in patched.stderr
    world.delete(name="kept")
    world.await_gone(name="kept")


def test_what_was_said_is_counted_and_nothing_failed(admission: Admission) -> None:
    metrics = admission.operator.metrics()
    assert 'modelyard_admission_reviews_total{kind="Model",result="refused"}' in metrics
    assert 'result="failed"' not in metrics
    assert "Traceback" not in admission.operator.log()


def test_a_replica_that_waits_for_the_lease_answers_too(world: World) -> None:
    spec = {"holderIdentity": "elsewhere", "leaseDurationSeconds": 3600, "renewTime": "2026-01-01T00:00:00.000000Z"}
    world.apply({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": LEASE_NAME}, "spec": spec})
    webhook = Webhook(world.folder / "tls")
    words = ("--lease-namespace", world.namespace, *webhook.words)
    with OperatorProcess(world.cluster.kubeconfig, world.settings, world.folder, *words, gateway_url="http://127.0.0.1:1") as operator:
        wait_until(lambda: operator.health("/readyz") == 200, told=operator.log)
        said = webhook.ask(world.namespace, world.model(serving={"profile": "none"}))
        assert "modelyard_leader 0.0" in operator.metrics()
    assert said["allowed"] is False and "there is no profile 'none'" in said["status"]["message"]


def test_a_folder_without_a_certificate_ends_the_operator(world: World) -> None:
    words = ("--admission-certificates", str(world.folder))
    with OperatorProcess(world.cluster.kubeconfig, world.settings, world.folder, *words, gateway_url="http://127.0.0.1:1") as operator:
        wait_until(lambda: operator.ended() is not None, told=operator.log)
        assert operator.ended() == 1
    assert "tls.crt cannot be read with its key: No such file or directory; mount a Secret" in operator.log()


def test_when_the_webhook_is_down_the_status_says_the_same(admission: Admission) -> None:
    """The last test: it ends the operator that answers."""
    world = admission.world
    assert admission.operator.stop() == 0
    assert admission.apply(admission.model("large", source=KNOWN)) == (0, "")
    with world.operator():
        world.await_phase("Failed", name="large")
    condition = world.condition("Serving", name="large")
    assert (condition["reason"], condition["message"]) == ("DoesNotFit", f"{WEIGHTS}; {ADVICE}")
    assert world.condition("Ready", name="large")["reason"] == "DoesNotFit"
    assert world.ray_services() == []
    events = {(event.type, event.reason) for event in world.events() if event.involved_object.name == "large"}
    assert ("Warning", "DoesNotFit") in events
