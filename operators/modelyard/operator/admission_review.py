"""Answer one AdmissionReview by a ruling. Knows the envelope and the time there is, not the rules.

What goes wrong here lets the resource in, with a warning: the plan says the same things once more, in the status.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from modelyard.operator.admission import Ruling

logger = logging.getLogger(__name__)

DEADLINE_S = 4.0
"""A second less than the API server waits: see `admission_manifests`."""
MAX_WARNING = 256
"""Characters; the API server cuts what is longer."""

Document = Mapping[str, Any]
Rule = Callable[[Document], Ruling]
Count = Callable[[str, str], None]
"""(kind, `allowed`, `warned`, `refused` or `failed`)."""


def answer(review: Document, rule: Rule, count: Count, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
    """The AdmissionReview that answers one. Raises KeyError and TypeError for what is none."""
    request = review["request"]
    uid, kind = request["uid"], str((request.get("kind") or {}).get("kind", ""))
    try:
        ruling = _within(deadline_s, lambda: rule(request))
        result = "refused" if ruling.problems else "warned" if ruling.warnings else "allowed"
    except Exception as error:
        # A bug here must not keep people from their work.
        logger.exception("admission of %s %s/%s", kind, request.get("namespace"), request.get("name"))
        ruling, result = Ruling(warnings=[f"Modelyard could not check this: {type(error).__name__}; its status will tell"]), "failed"
    count(kind, result)
    response: dict[str, Any] = {"uid": uid, "allowed": not ruling.problems}
    if ruling.problems:
        response["status"] = {"code": 422, "reason": "Invalid", "message": "\n".join(ruling.problems)}
    if ruling.warnings:
        response["warnings"] = [warning[:MAX_WARNING] for warning in ruling.warnings]
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def _within(deadline_s: float, work: Callable[[], Ruling]) -> Ruling:
    """What the work returns or raises; TimeoutError when it takes too long. Then its thread is left behind."""
    done: queue.SimpleQueue[Ruling | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put(work())
        except Exception as error:
            done.put(error)

    threading.Thread(target=run, name="admission-rule", daemon=True).start()
    try:
        outcome = done.get(timeout=deadline_s)
    except queue.Empty:
        raise TimeoutError(f"no ruling within {deadline_s:g} s") from None
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
