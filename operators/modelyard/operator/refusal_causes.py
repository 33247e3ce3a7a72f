"""Why the API server refuses a pod or a claim gets no volume, from the words of conditions and events. Pure."""

import re
from dataclasses import dataclass

from modelyard.operator.cause import Cause, Document, name_of, shortened

QUOTA = re.compile(r"exceeded quota: ([^,]+), requested: (.*?), used: (.*?), limited: ([^\s;]+)")
AMOUNT = re.compile(r"([^=,\s]+)=([^,\s]+)")


@dataclass(frozen=True)
class Refusal:
    """Words of the API server and how they are told: `{0}`, `{1}` are the groups of the pattern, `{place}` is what was refused."""

    pattern: str
    reason: str
    words: str
    remedy: str
    retryable: bool = False


REFUSALS = (
    Refusal(
        r"failed quota: ([^:]+): must specify ([^\s;]+)",
        "QuotaExceeded",
        "the ResourceQuota {0!r} wants pods to state {1}",
        "add it to the profile's limits and to headLimits",
    ),
    Refusal(
        r'serviceaccount "([^"]+)" not found',
        "InvalidServiceAccount",
        "pods of {place} run as ServiceAccount {0!r}, which is not there",
        "create it, or correct serviceAccount in the operator's settings",
    ),
    Refusal(
        r'failed calling webhook "([^"]+)": (.*)',
        "AdmissionUnavailable",
        "the admission webhook {0!r} does not answer: {1}",
        "see why its pods do not run",
        retryable=True,
    ),
    Refusal(
        r'admission webhook "([^"]+)" denied the request:? ?(.*)',
        "AdmissionRefused",
        "the admission webhook {0!r} refuses pods of {place}: {1}",
        "change what it asks for in the profile, or have the policy changed",
    ),
    Refusal(
        r"ValidatingAdmissionPolicy '([^']+)' .*?denied request: (.*)",
        "AdmissionRefused",
        "the ValidatingAdmissionPolicy {0!r} refuses pods of {place}: {1}",
        "change what it asks for in the profile, or have the policy changed",
    ),
    Refusal(
        r'violates PodSecurity "([^"]+)": (.*)',
        "AdmissionRefused",
        "the Pod Security Standard {0!r} refuses pods of {place}: {1}",
        "change what it asks for in the profile, or have the policy changed",
    ),
    Refusal(
        r"is forbidden: ((?:maximum|minimum) .*)",
        "AdmissionRefused",
        "a LimitRange refuses pods of {place}: {0}",
        "change the profile's limits, or have the LimitRange changed",
    ),
    Refusal(
        r"is forbidden: (.*)",
        "AdmissionRefused",
        "the API server refuses pods of {place}: {0}",
        "give what it asks for",
    ),
)
"""The first one that fits counts."""


def find_refusal(document: Document, message: str) -> Cause | None:
    """Of an object whose pods cannot be created; None for words that say nothing of the kind. message: the API server's."""
    text = " ".join(message.split())
    place = name_of(document)
    quota = QUOTA.search(text)
    if quota:
        return Cause("QuotaExceeded", f"{_say_quota(quota)}; ask for less, wait, or have the quota raised", True, place)
    for refusal in REFUSALS:
        found = re.search(refusal.pattern, text)
        if found:
            groups = (shortened(group) or "no reason given" for group in found.groups())
            return Cause(refusal.reason, f"{refusal.words.format(*groups, place=place)}; {refusal.remedy}", refusal.retryable, place)
    return None


def _say_quota(quota: re.Match[str]) -> str:
    """Name the resources that are short: used + requested > limited is the API server's sum, so all it lists are."""
    requested, used, limited = (dict(AMOUNT.findall(quota[group])) for group in (2, 3, 4))
    amounts = [
        f"{requested.get(name, '?')} {name.removeprefix('requests.')} more than the {used.get(name, '?')} of {limit} in use"
        for name, limit in limited.items()
    ]
    return f"the ResourceQuota {quota[1]!r} has no room for {', and '.join(amounts)}"


def find_claim_cause(claim: Document, message: str) -> Cause | None:
    """Of a PersistentVolumeClaim; None for one that is bound. message: of its newest warning, else empty."""
    phase = (claim.get("status") or {}).get("phase", "Pending")
    place = name_of(claim)
    if phase == "Lost":
        return Cause("VolumeNotFound", f"the volume of {place} was deleted; restore it, or create the claim anew", False, place)
    if phase != "Pending":
        return None
    missing = re.search(r'storageclass(?:\.storage\.k8s\.io)? "([^"]+)" not found', message)
    if missing:
        words = f"{place} asks for the StorageClass {missing[1]!r}, which is not there"
        return Cause("StorageClassNotFound", f"{words}; take one of `kubectl get storageclass`", False, place)
    if "no storage class is set" in message:
        words = f"{place} names no StorageClass and the cluster has no default one"
        return Cause("StorageClassNotFound", f"{words}; set volumeClaim.storageClass", False, place)
    if message:
        return Cause("VolumePending", f"{place} gets no volume: {shortened(message)}; see its provisioner", True, place)
    return None
