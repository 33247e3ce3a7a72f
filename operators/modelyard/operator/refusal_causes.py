"""Why the API server refuses a pod or a claim gets no volume, from the words of conditions and events. Pure."""

import re

from modelyard.operator.cause import Cause, Document, name_of, shortened

QUOTA = re.compile(r"exceeded quota: ([^,]+), requested: (.*?), used: (.*?), limited: ([^\s;]+)")
AMOUNT = re.compile(r"([^=,\s]+)=([^,\s]+)")


def find_refusal(document: Document, message: str) -> Cause | None:
    """Of an object whose pods cannot be created; None for words that say nothing of the kind. message: the API server's."""
    text = " ".join(message.split())
    place = name_of(document)
    quota = QUOTA.search(text)
    if quota:
        return Cause("QuotaExceeded", f"{_say_quota(quota)}; ask for less, wait, or have the quota raised", True, place)
    unspecified = re.search(r"failed quota: ([^:]+): must specify ([^\s;]+)", text)
    if unspecified:
        words = f"the ResourceQuota {unspecified[1]!r} wants pods to state {unspecified[2]}"
        return Cause("QuotaExceeded", f"{words}; add it to the profile's limits and to headLimits", False, place)
    account = re.search(r'serviceaccount "([^"]+)" not found', text)
    if account:
        words = f"pods of {place} run as ServiceAccount {account[1]!r}, which is not there"
        return Cause("InvalidServiceAccount", f"{words}; create it, or correct serviceAccount in the operator's settings", False, place)
    return _find_admission(text, place)


def _find_admission(text: str, place: str) -> Cause | None:
    unreachable = re.search(r'failed calling webhook "([^"]+)": (.*)', text)
    if unreachable:
        words = f"the admission webhook {unreachable[1]!r} does not answer: {shortened(unreachable[2])}"
        return Cause("AdmissionUnavailable", f"{words}; see why its pods do not run", True, place)
    for pattern, who in (
        (r'admission webhook "([^"]+)" denied the request:? ?(.*)', "the admission webhook"),
        (r"ValidatingAdmissionPolicy '([^']+)' .*?denied request: (.*)", "the ValidatingAdmissionPolicy"),
        (r'violates PodSecurity "([^"]+)": (.*)', "the Pod Security Standard"),
    ):
        denied = re.search(pattern, text)
        if denied:
            words = f"{who} {denied[1]!r} refuses pods of {place}: {shortened(denied[2]) or 'no reason given'}"
            return Cause("AdmissionRefused", f"{words}; change what it asks for in the profile, or have the policy changed", False, place)
    ranged = re.search(r"is forbidden: ((?:maximum|minimum) .*)", text)
    if ranged:
        words = f"a LimitRange refuses pods of {place}: {shortened(ranged[1])}"
        return Cause("AdmissionRefused", f"{words}; change the profile's limits, or have the LimitRange changed", False, place)
    forbidden = re.search(r"is forbidden: (.*)", text)
    if forbidden:
        words = f"the API server refuses pods of {place}: {shortened(forbidden[1])}"
        return Cause("AdmissionRefused", f"{words}; give what it asks for", False, place)
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
