"""Read what a request to the API server asks for, as the server's own audit log would tell it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True)
class Call:
    """One request. `resource` is the plural; names that a request does not give are empty."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    dry_run: bool = False

    @property
    def is_write(self) -> bool:
        """Does it change the cluster?"""
        return self.verb in WRITES and not self.dry_run

    @property
    def is_watch(self) -> bool:
        """Is it answered by a stream of events?"""
        return self.verb == "watch"

    @property
    def is_read(self) -> bool:
        """Is it a get or a list?"""
        return self.verb in {"get", "list"}


def read_call(method: str, path: str, query: Mapping[str, str]) -> Call:
    """What a request asks for. A path outside `/api` and `/apis`, and discovery, is a get without a resource."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, rest = "", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return Call(verb="get" if method in {"GET", "HEAD"} else method.lower())
    namespace = ""
    # `/namespaces/x` is the namespace itself, and so are its status and its finalizers.
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in {"status", "finalize"}):
        namespace, rest = rest[1], rest[2:]
    resource, name, subresource = [*rest, "", "", ""][:3]
    verb = _verb(method, bool(name), query.get("watch", "") in {"1", "true", "True"})
    return Call(verb, group, resource, subresource, namespace, name, dry_run="dryRun" in query)


def _verb(method: str, named: bool, watch: bool) -> str:
    if method == "DELETE":
        return "delete" if named else "deletecollection"
    if method in {"GET", "HEAD"}:
        return "watch" if watch else "get" if named else "list"
    return {"POST": "create", "PUT": "update", "PATCH": "patch"}[method]
