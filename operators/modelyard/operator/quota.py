"""Compare what a job asks of a namespace with the namespace's ResourceQuotas. Pure; knows neither jobs nor the API."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SUFFIXES = {
    "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip
NUMBER = re.compile(r"^([0-9.]+(?:[eE][-+]?[0-9]+)?)([a-zA-Z]*)$")
ROUNDING = 1e-9


@dataclass(frozen=True)
class Quota:
    """One ResourceQuota."""

    name: str
    hard: Mapping[str, float]
    """Resource as quotas name it (`requests.cpu`, `limits.memory`, `pods`) → the most that there may be."""
    used: Mapping[str, float]


@dataclass(frozen=True)
class Excess:
    """What a job asks for above what a quota allows."""

    quota: str
    resource: str
    wanted: float
    allowed: float

    def __str__(self) -> str:
        wanted, allowed = _told(self.resource, self.wanted), _told(self.resource, self.allowed)
        return f"{wanted} {self.resource} and ResourceQuota {self.quota} allows {allowed}"


def read_quotas(documents: Iterable[Mapping[str, Any]]) -> list[Quota]:
    """The quotas that count for every pod of a namespace; those with scopes count for some pods only, and are left out."""
    quotas = []
    for document in documents:
        spec, status = document.get("spec") or {}, document.get("status") or {}
        if spec.get("scopes") or spec.get("scopeSelector"):
            continue
        hard = {name: parse_quantity(amount) for name, amount in (spec.get("hard") or {}).items()}
        used = {name: parse_quantity(amount) for name, amount in (status.get("used") or {}).items()}
        quotas.append(Quota(document["metadata"]["name"], hard, used))
    return quotas


def parse_quantity(text: str) -> float:
    """A Kubernetes quantity as a number: `500m`, `4`, `16Gi`, `1e3`. Raises ValueError."""
    match = NUMBER.match(str(text))
    if match is None or match[2] not in SUFFIXES:
        raise ValueError(f"{text!r} is no Kubernetes quantity")
    return float(match[1]) * SUFFIXES[match[2]]


def count_job(document: Mapping[str, Any]) -> Counter[str]:
    """All that the pods of a RayJob ask for together, by the names that quotas have for it."""
    cluster = document["spec"]["rayClusterSpec"]
    groups = [(1, cluster["headGroupSpec"]), *((group["replicas"], group) for group in cluster.get("workerGroupSpecs") or [])]
    total: Counter[str] = Counter()
    for replicas, group in groups:
        for container in group["template"]["spec"]["containers"]:
            limits = container["resources"]["limits"]
            # Kubernetes requests as much as is allowed where a request is not stated.
            for name, amount in (limits | container["resources"]["requests"]).items():
                total[f"requests.{name}"] += replicas * parse_quantity(amount)
            for name, amount in limits.items():
                total[f"limits.{name}"] += replicas * parse_quantity(amount)
        total["pods"] += replicas
    for name in ("cpu", "memory"):  # what quotas call a request for short
        total[name] = total[f"requests.{name}"]
    return total


def find_excess(wanted: Mapping[str, float], quotas: Iterable[Quota], *, beside_others: bool = False) -> Excess | None:
    """The first resource of which more is wanted than a quota allows. beside_others: than it leaves now."""
    for quota in quotas:
        for resource, hard in quota.hard.items():
            allowed = max(0.0, hard - quota.used.get(resource, 0.0)) if beside_others else hard
            if resource in wanted and wanted[resource] > allowed * (1 + ROUNDING):
                return Excess(quota.name, resource, wanted[resource], allowed)
    return None


def _told(resource: str, amount: float) -> str:
    if resource.rpartition(".")[2] in ("memory", "ephemeral-storage") and amount:
        exponent = min(4, max(0, int(math.log2(amount)) // 10))
        return f"{amount / 2 ** (10 * exponent):.4g}{('', 'Ki', 'Mi', 'Gi', 'Ti')[exponent]}"
    return f"{amount:.6g}"
