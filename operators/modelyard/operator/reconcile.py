"""Observe a resource, plan it, carry the plan out. Level-triggered; knows neither Ray nor Kubernetes.

A laptop passes over all resources again and again; a cluster reconciles one at a time, when something about it changed.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from modelyard.domain.base import digest_of
from modelyard.domain.errors import ModelyardError, UnavailableError
from modelyard.domain.evaluation import Evaluation
from modelyard.domain.knowledge_base import KnowledgeBase
from modelyard.domain.lifecycle import inputs_of, plan
from modelyard.domain.model import Model, ModelVersion
from modelyard.domain.model_plan import build_train_job
from modelyard.domain.names import job_name
from modelyard.domain.observed import (
    CreateVersion,
    DeleteVersion,
    JobSeen,
    Observed,
    Plan,
    Platform,
    RemoveIndex,
    RemoveResource,
    RunJob,
    SetStatus,
    SetVersionStatus,
    Step,
)
from modelyard.domain.resource import Condition, Metadata, OwnerReference, Resource
from modelyard.operator.ports import Inputs, Jobs, Key, Leftovers, Resources, Serving, ServingSeen

logger = logging.getLogger(__name__)

WARNING_REASONS = {
    "Aborted",
    "AdapterNotLoaded",
    "ApplicationFailed",
    "DoesNotFit",
    "GateRejected",
    "InputNotFound",
    "JobFailed",
    "JobRefused",
    "ProfileNotFound",
    "Retrying",
    "RolledBack",
    "Unschedulable",
}


@dataclass
class Reconciler:
    """Brings the world to what the resources ask for.

    Resources may be reconciled from several threads at once, but never the same one.
    """

    resources: Resources
    jobs: Jobs
    serving: Serving
    inputs: Inputs
    leftovers: Leftovers
    platform: Platform
    build_config: Callable[[list[Plan]], Mapping[str, Any]]
    now: Callable[[], str]
    patience: timedelta | None = None
    """How long a resource that is being deleted waits for what cannot be cleaned up; None: until it can."""
    plans: dict[Key, Plan] = field(default_factory=dict, init=False)
    """The last plan of each resource: what it stands on and what it wants served."""
    _applied: str = field(default="", init=False)
    """Digest of the Serve config that was accepted last."""

    def pass_once(self) -> None:
        """Reconcile every resource, then settle."""
        jobs, serving = self.jobs.observe(), self.serving.observe()
        for resource in self.resources.list():
            if not isinstance(resource, ModelVersion):
                self._reconcile(resource, jobs, serving)
        self.settle(serving)

    def reconcile(self, key: Key) -> Plan:
        """Plan one resource and carry the steps out; an empty plan if it is gone."""
        resource = self.resources.find(*key)
        if resource is None:
            self.plans.pop(key, None)
            return Plan()
        return self._reconcile(resource, self.jobs.observe(), self.serving.observe())

    def settle(self, serving: ServingSeen) -> None:
        """Carry out what all resources want together: end jobs that nobody wants, serve what is wanted.

        Does nothing until each resource was planned once: what is not known yet must not be taken for unwanted.
        """
        keys = {resource.key for resource in self.resources.list() if not isinstance(resource, ModelVersion)}
        for gone in self.plans.keys() - keys:
            self.plans.pop(gone, None)
        if keys - self.plans.keys():
            return
        plans = [self.plans[key] for key in sorted(keys)]
        wanted = frozenset().union(*(plan.jobs for plan in plans))
        running = frozenset().union(*(plan.jobs - plan.held for plan in plans))
        self.jobs.advance(wanted, wanted - running)
        self._serve(plans, serving)

    def _reconcile(self, resource: Resource, jobs: Mapping[str, JobSeen], serving: ServingSeen) -> Plan:
        wanted = plan(resource, self._observe(resource, jobs, serving))
        self.plans[resource.key] = wanted
        for step in wanted.steps:
            try:
                self._carry_out(step, resource)
            except ModelyardError as error:
                self.resources.record_event(resource.key, "Warning", type(step).__name__, str(error))
                if not (isinstance(step, RemoveIndex) and self._has_waited(resource)):
                    break
        return wanted

    def _has_waited(self, resource: Resource) -> bool:
        """Whether a resource has waited long enough for its clean-up: it must not stay for ever because a store is gone."""
        since = resource.metadata.deletion_timestamp
        if self.patience is None or not since:
            return False
        return datetime.fromisoformat(self.now()) - datetime.fromisoformat(since) > self.patience

    def _observe(self, resource: Resource, jobs: Mapping[str, JobSeen], serving: ServingSeen) -> Observed:
        namespace = resource.metadata.namespace
        model_name = resource.spec.model if isinstance(resource, Evaluation) else resource.metadata.name
        model = self.resources.find("Model", namespace, model_name)
        digests, problems = self._read_inputs(resource)
        return Observed(
            platform=self.platform,
            now=self.now(),
            jobs=jobs,
            digests=digests,
            problems=problems,
            apps=serving.apps,
            answering=serving.answering,
            serving_problems=serving.problems,
            serving_obstacle=serving.obstacle,
            figures=serving.figures,
            versions=tuple(self.resources.versions(namespace, model_name)),
            model=model if isinstance(model, Model) else None,
        )

    def _read_inputs(self, resource: Resource) -> tuple[dict[str, str], dict[str, str]]:
        digests, problems = {}, {}
        for uri, include in inputs_of(resource):
            try:
                digests[uri] = self.inputs.digest(uri, include)
            except ModelyardError as error:
                problems[uri] = str(error)
        return digests, problems

    def _carry_out(self, step: Step, resource: Resource) -> None:
        namespace = resource.metadata.namespace
        match step:
            case RunJob(job):
                name = job_name(job)
                self.jobs.submit(name, job, resource)
                self.resources.record_event(resource.key, "Normal", "JobQueued", f"{job.kind} job {name}")
            case CreateVersion(name, spec):
                owner = OwnerReference(kind=resource.kind, name=resource.metadata.name, uid=resource.metadata.uid)
                metadata = Metadata(name=name, namespace=namespace, owner_references=[owner])
                self.resources.create(ModelVersion(metadata=metadata, spec=spec))
                self.resources.record_event(resource.key, "Normal", "VersionCreated", f"ModelVersion {name}")
            case SetVersionStatus(name, status):
                self.resources.set_status(("ModelVersion", namespace, name), status)
            case DeleteVersion(name):
                self._delete_version(("ModelVersion", namespace, name), resource)
            case SetStatus(status):
                assert isinstance(resource, Model | KnowledgeBase | Evaluation)
                former = resource.status.conditions
                if self.resources.set_status(resource.key, status):
                    self._tell_transitions(resource.key, former, status.conditions)
            case RemoveIndex(alias):
                self.leftovers.remove_index(alias)
            case RemoveResource():
                self.resources.remove(resource.key)

    def _delete_version(self, key: Key, owner: Resource) -> None:
        """What a version has made goes first: once the version is gone, nobody knows of it any more."""
        version = self.resources.find(*key)
        if not isinstance(version, ModelVersion):
            return
        try:
            self._remove_products(version)
        except (ModelyardError, OSError) as error:
            if not self._has_waited(owner):
                raise UnavailableError(f"what {key[2]} has made was not removed: {error}", "it is tried again") from error
            self.resources.record_event(owner.key, "Warning", "LeftBehind", f"what {key[2]} has made stays where it is: {error}")
        self.resources.remove(key)

    def _remove_products(self, version: ModelVersion) -> None:
        """A version's run, and its weights unless another version has the same."""
        job = build_train_job(version.metadata.name, version.spec, self.platform.store)
        if job is not None:
            self.jobs.remove(job_name(job))
        digest = version.status.adapter_digest or version.status.weights_digest
        others = [other.status for other in self.resources.versions(None, None) if other.key != version.key]
        if digest and all(digest not in (other.adapter_digest, other.weights_digest) for other in others):
            self.leftovers.remove_artifact(digest)

    def _tell_transitions(self, key: Key, former: list[Condition], current: list[Condition]) -> None:
        """One event for each condition whose status or reason changed."""
        before = {condition.type: (condition.status, condition.reason) for condition in former}
        for condition in current:
            if before.get(condition.type) != (condition.status, condition.reason) and condition.type != "Ready":
                severity: Literal["Normal", "Warning"] = "Warning" if condition.reason in WARNING_REASONS else "Normal"
                self.resources.record_event(key, severity, condition.reason, f"{condition.type}: {condition.message}")

    def _serve(self, plans: list[Plan], serving: ServingSeen) -> None:
        try:
            config = self.build_config(plans)
        except ModelyardError as error:  # a profile was taken away on which something is served
            logger.warning("what is served stays as it is: %s", error)
            return
        digest = digest_of(config)
        missing = {app["name"] for app in config["applications"]} - serving.apps.keys()
        if digest == self._applied and not missing and not serving.edited:
            return
        try:
            self.serving.apply(config)
        except ModelyardError as error:
            logger.warning("the Serve config was not taken: %s", error)
            return
        self._applied = digest
