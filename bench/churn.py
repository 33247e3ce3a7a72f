"""Edit, delete and make Models while others converge, and look for what is left over at the end."""

import random
import time
from collections import Counter
from typing import Any

from fleet import OURS, Fleet

SHARE = 0.2
PAUSE_S = 0.05
ORPHAN_PATIENCE_S = 30.0


def churn(fleet: Fleet, count: int, deadline_s: float) -> dict[str, Any]:
    """Change a fifth of the Models, one after the other, from the operator's first write on; then wait until all are ready.

    Raises TimeoutError where they never are.
    """
    draw = random.Random(0)
    fleet.wait(lambda: fleet.first_write_at > 0, deadline_s)
    alive, done = set(fleet.keys), Counter[str]()
    for number in range(int(count * SHARE)):
        act = draw.choice(("edit", "delete", "make"))
        key = draw.choice(sorted(alive)) if act != "make" else fleet.key(count + number, draw.choice(fleet.namespaces))
        if act == "edit":  # another version
            fleet.patch(key, {"spec": {"fineTune": {"hyperparameters": {"seed": 1 + number}}}})
        elif act == "delete":
            fleet.delete(key)
            alive.discard(key)
        else:
            fleet.make([key])
            alive.add(key)
        done[act] += 1
        time.sleep(PAUSE_S)
    ready = fleet.all_ready(len(alive))
    seconds = fleet.wait(lambda: ready() and set(fleet.seen) == alive, deadline_s) - fleet.first_write_at
    return {"models": count, "seconds": seconds, "changes": dict(done), "orphans": _await_orphans(fleet)}


def _await_orphans(fleet: Fleet) -> dict[str, list[str]]:
    """What is left over, once it had time to go."""
    until = time.monotonic() + ORPHAN_PATIENCE_S
    while any((found := find_orphans(fleet)).values()) and time.monotonic() < until:
        time.sleep(1)
    return found


def find_orphans(fleet: Fleet) -> dict[str, list[str]]:
    """Jobs that go on though every Model is ready, and versions whose Model is gone."""
    orphans: dict[str, list[str]] = {"jobs": [], "versions": []}
    for namespace in fleet.namespaces:
        models = {model["metadata"]["uid"] for model in fleet.items(f"{OURS}/namespaces/{namespace}/models")}
        for version in fleet.items(f"{OURS}/namespaces/{namespace}/modelversions"):
            if not {owner["uid"] for owner in version["metadata"].get("ownerReferences") or []} & models:
                orphans["versions"].append(version["metadata"]["name"])
        for job in fleet.items(f"/apis/ray.io/v1/namespaces/{namespace}/rayjobs"):
            if (job.get("status") or {}).get("jobStatus") != "SUCCEEDED":
                orphans["jobs"].append(job["metadata"]["name"])
    return orphans
