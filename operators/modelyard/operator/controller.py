"""Decide what to look at, and when: from a watch event to the resources it matters to. Knows the ports, not how kopf watches."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from modelyard.domain.durations import seconds_between
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.observed import Plan
from modelyard.operator.back_off import BackOff
from modelyard.operator.kubernetes import Api, RefusedError, RetryLaterError
from modelyard.operator.kubernetes_jobs import KubernetesJobs
from modelyard.operator.kubernetes_resources import KubernetesResources
from modelyard.operator.kubernetes_serving import KubernetesServing
from modelyard.operator.metrics import Metrics
from modelyard.operator.ports import Key
from modelyard.operator.reconcile import Reconciler
from modelyard.operator.serving_changes import find_changes, matters_to
from modelyard.operator.support import Support
from modelyard.operator.watch_cache import WatchCache, key_of
from modelyard.operator.work_queue import WorkQueue

logger = logging.getLogger(__name__)

PLANNED = ("Model", "Evaluation", "KnowledgeBase")
WATCHED = (*PLANNED, "ModelVersion", "RayJob", "RayService")

SETTLED_PHASES = {"Ready", "Rejected", "Passed", "Failed"}


@dataclass(frozen=True)
class Timing:
    """Seconds until something is looked at again to which nothing happens that a watch tells."""

    resync_s: float = 120.0
    """A resource that is as it should be: its inputs may have changed."""
    watched_s: float = 5.0
    """The first listing, until the watches have begun for sure: what went in between nobody tells, so all is listed once more."""
    running_s: float = 5.0
    """One whose job runs: its progress."""
    queued_s: float = 10.0
    """One that waits for its job to start."""
    deploying_s: float = 2.0
    """A namespace that waits for its gateway, a resource that waits for another attempt."""
    rollout_s: float = 2.0
    """One whose new version takes over by steps: each step has its time."""
    calm_s: float = 15.0
    """A namespace where all answers."""
    settle_s: float = 0.2
    """What many resources want together is carried out once for all that came in this time."""
    first_backoff_s: float = 0.2
    last_backoff_s: float = 30.0


SETTLE_PAUSE = 4.0
"""Before a namespace is settled again: so many times what it took last."""

Place = tuple[str, str | None]
"""A kind in a namespace, None: in all."""

LISTED, NAMESPACE = "*", ""
"""Instead of a kind in a key of the queue: list everything anew; settle a namespace."""


@dataclass
class Tenant:
    """One namespace: its own reconciler, its own Serve config."""

    reconciler: Reconciler
    resources: KubernetesResources
    jobs: KubernetesJobs
    serving: KubernetesServing
    support: Support


class Controller:
    """Feeds reconcilers, one for each namespace, from a queue of keys. Thread-safe."""

    def __init__(
        self,
        api: Api,
        cache: WatchCache,
        build_tenant: Callable[[str], Tenant],
        metrics: Metrics,
        namespaces: Iterable[str],
        timing: Timing,
    ) -> None:
        """namespaces: to look after; none: all."""
        self.api, self.cache, self.metrics, self.timing = api, cache, metrics, timing
        self.queue: WorkQueue[Key] = WorkQueue()
        self._build_tenant = build_tenant
        self._namespaces: list[str | None] = [*namespaces] or [None]
        self._tenants: dict[str, Tenant] = {}
        self._back_off: BackOff[Key] = BackOff(timing.first_backoff_s, timing.last_backoff_s)
        self._stepped: dict[Key, int] = {}
        """How often in a row each resource's plan had steps."""
        self._settled_in_s: dict[str, float] = {}
        """How long each namespace took to settle last."""
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()

    def start(self, workers: int) -> None:
        """Begin to work. Everything there is gets listed first, and until then nothing is settled: see Reconciler.settle."""
        self._list_until_it_works()
        self.queue.add((LISTED, "", ""), min(self.timing.watched_s, self.timing.resync_s))
        for number in range(workers):
            thread = threading.Thread(target=self._work, name=f"reconcile-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Finish what is being worked on, and nothing more."""
        self._stopping.set()
        self.queue.close()
        for thread in self._threads:
            thread.join()

    def on_event(self, event: str | None, document: dict[str, Any]) -> None:
        """Take a watch event over: type (`DELETED`, else anything) and object."""
        taken = self.cache.drop(document) if event == "DELETED" else self.cache.put(document)
        if taken:
            self._look_at_dependents(key_of(document), document)

    def list_everything(self) -> None:
        """Compare what is known with what there is: a broken watch loses deletions. Raises RetryLaterError."""
        failed = self._list(self._places())
        if failed:
            raise next(iter(failed.values()))

    def _places(self) -> list[Place]:
        return [(kind, namespace) for kind in WATCHED for namespace in self._namespaces]

    def _list(self, places: Iterable[Place]) -> dict[Place, RetryLaterError]:
        """List each place whatever happens to the others; those that failed, and why."""
        changed, failed = [], {}
        for kind, namespace in places:
            try:
                documents, version = self.api.list_at(kind, namespace)
            except RetryLaterError as error:
                failed[kind, namespace] = error
            else:
                changed += self.cache.replace(kind, documents, version, namespace)
        for key in changed:  # only now: a namespace is looked at as a whole
            self._look_at_dependents(key, self.cache.get(*key) or {})
        return failed

    def _list_until_it_works(self) -> None:
        """What was listed is not listed again: a server that fails now and then would keep it from ever coming to the end."""
        places: Iterable[Place] = self._places()
        while not self._stopping.is_set():
            failed = self._list(places)
            if not failed:
                return
            places, error = failed, next(iter(failed.values()))
            delay_s = self._back_off.fail((LISTED, "", ""), error.after_s)
            logger.warning("the API server does not answer yet (%s); it is asked again in %.1f s", error, delay_s)
            self._stopping.wait(delay_s)

    def _look_at_dependents(self, key: Key, document: dict[str, Any]) -> None:
        kind, namespace, name = key
        model = (document.get("spec") or {}).get("model", "")
        if kind in PLANNED:
            self.queue.add(key)
        if kind in ("Model", "ModelVersion"):
            model = name if kind == "Model" else model
            self.queue.add(("Model", namespace, model))
            for evaluation in self.cache.list_of_model("Evaluation", namespace, model):
                self.queue.add(key_of(evaluation))
        if kind == "ModelVersion" and not model:  # a listing misses it, and does not tell whose it was
            for found in self.cache.list("Model", namespace):
                self.queue.add(key_of(found))
        if kind == "RayJob":
            for user, plan in list(self.tenant(namespace).reconciler.plans.items()):
                if name in plan.jobs:
                    self.queue.add(user)
        self._settle_soon(namespace)

    def tenant(self, namespace: str) -> Tenant:
        """What looks after a namespace."""
        with self._lock:
            if namespace not in self._tenants:
                tenant = self._build_tenant(namespace)
                tenant.serving.refresh()  # a restart must not make what is served look as if it were not
                self._tenants[namespace] = tenant
            return self._tenants[namespace]

    def _work(self) -> None:
        while (key := self.queue.take()) is not None:
            if rest_s := self._back_off.rest_s(key):
                self.queue.done(key)
                self.queue.add(key, rest_s)
                continue
            try:
                with self.metrics.time_reconcile(key[0] or "Namespace"):
                    again_s = self._look_at(key)
                self._back_off.succeed(key)
            except RetryLaterError as error:
                again_s = self._back_off.fail(key, error.after_s)
                logger.info("%s is tried again in %.1f s: %s", "/".join(key), again_s, error)
            except RefusedError as error:  # of a namespace that is being deleted, for one
                again_s = self._back_off.fail(key)
                logger.warning("%s is tried again in %.1f s: %s", "/".join(key), again_s, error)
            except Exception:
                again_s = self._back_off.fail(key)
                self.metrics.count_error(key[0])
                logger.exception("%s failed; it is tried again in %.1f s", "/".join(key), again_s)
            self.queue.done(key)
            if again_s is not None:
                self.queue.add(key, again_s)

    def _look_at(self, key: Key) -> float | None:
        """Do what a key asks for; seconds until it has to be looked at again, None: not before something happens."""
        kind, namespace, _ = key
        if kind == LISTED:
            self.list_everything()
            return self.timing.resync_s
        tenant = self.tenant(namespace)
        if kind == NAMESPACE:
            began = time.monotonic()
            again_s = self._settle(tenant)
            self._settled_in_s[namespace] = time.monotonic() - began
            return again_s
        try:
            tenant.resources.hold(key)
            seen = tenant.serving.observe()
            plan = tenant.reconciler.reconcile(key)
            if matters_to(plan, find_changes(seen, tenant.serving.observe())):
                self.queue.add(key)  # it was planned on what was seen before
            resource = tenant.resources.find(*key)
        except InvalidInputError as error:
            tenant.resources.refuse(key, str(error))
            return None
        self._settle_soon(namespace)
        if resource is None:
            self._stepped.pop(key, None)
            self.metrics.forget(key)
            return None
        status = resource.status  # type: ignore[attr-defined]
        self.metrics.observe(key, status)
        return min(self._again_s(status), self._until_steps_show_s(key, plan))

    def _until_steps_show_s(self, key: Key, plan: Plan) -> float:
        """Seconds until what was just carried out is planned on: our own writes are no news when their events arrive.

        Less soon for a plan that asks for something again and again.
        """
        if not plan.steps:
            self._stepped.pop(key, None)
            return float("inf")
        self._stepped[key] = self._stepped.get(key, 0) + 1
        return min(self.timing.first_backoff_s * 2.0 ** (self._stepped[key] - 1), self.timing.last_backoff_s)

    def _settle_soon(self, namespace: str) -> None:
        """After a pause that grows with the namespace, so that settling takes a small share of the time."""
        pause_s = SETTLE_PAUSE * self._settled_in_s.get(namespace, 0.0)
        self.queue.add((NAMESPACE, namespace, ""), max(self.timing.settle_s, pause_s))

    def _settle(self, tenant: Tenant) -> float | None:
        unreadable = tenant.resources.served_and_unreadable()
        if unreadable:
            # Without their plans they would be taken out of the Serve config.
            logger.warning("nothing is deployed or removed until %s can be read", ", ".join(unreadable))
            return self.timing.calm_s
        if not tenant.reconciler.plans:
            tenant.reconciler.settle(tenant.serving.observe())  # the last one went: nothing is served any more
            if tenant.jobs.has_leftovers:
                return self.timing.deploying_s
            return self.timing.calm_s if tenant.jobs.has_succeeded else None
        tenant.support.ensure()
        changed = tenant.serving.refresh()
        for key, plan in list(tenant.reconciler.plans.items()) if changed else ():
            if matters_to(plan, changed):
                self.queue.add(key)
        tenant.reconciler.settle(tenant.serving.observe())
        return self.timing.calm_s if tenant.serving.complete and not tenant.jobs.has_leftovers else self.timing.deploying_s

    def _again_s(self, status: Any) -> float:
        """Spread, so that what came together does not go on together."""
        now = self.api.clock.now()
        if _is_rolling_out(status, now):
            delay_s = self.timing.rollout_s
        elif status.phase in SETTLED_PHASES:
            delay_s = self.timing.resync_s
        elif any(condition.reason == "Retrying" for condition in status.conditions):
            delay_s = self.timing.deploying_s
        else:
            delay_s = self.timing.running_s if status.progress else self.timing.queued_s
        return min(delay_s * random.uniform(0.8, 1.2), _until_tick_s(status, now))


def _until_tick_s(status: Any, now: str) -> float:
    """Seconds until a schedule ticks; infinite without one, and for a tick that came already and waits for something."""
    left_s = seconds_between(now, getattr(status, "next_schedule_time", ""))
    return left_s if left_s > 0 else float("inf")


def _is_rolling_out(status: Any, now: str) -> bool:
    """Also for a while after the end: the version that lost stays loaded for a moment."""
    rollout = getattr(status, "rollout", None)
    return rollout is not None and bool(rollout.beside(now))
