"""Keep resources, their status and their events, as a Kubernetes API server would. Knows nothing of what they mean."""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from sqlalchemy import Connection, RowMapping, Select, Table, and_, delete, func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from modelyard.domain.base import Spec
from modelyard.domain.documents import KINDS
from modelyard.domain.errors import ConflictError, IntegrityError, NotFoundError
from modelyard.domain.model import ModelVersion
from modelyard.domain.resource import Resource
from modelyard.domain.wording import listed, suggest
from modelyard.operator.database import EVENTS, RESOURCES, Database

Key = tuple[str, str, str]
"""(kind, namespace, name)."""
Outcome = Literal["created", "configured", "unchanged"]

EVENTS_KEPT = 200
"""Of each resource; older ones go."""
NAMES_LISTED = 10


class Event(Spec):
    """Something that happened to a resource."""

    kind: str
    namespace: str
    name: str
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    count: int
    """How often the very same happened."""
    first_seen: str
    last_seen: str


Events = list[Event]
"""An alias, since `list` means something else inside ResourceStore."""


def utc_now() -> datetime:
    """The time that resources and events are stamped with."""
    return datetime.now(UTC)


def outcome_of(resource: Resource, stored: Resource | None) -> Outcome:
    """What applying a resource over the stored one changes. Raises ConflictError if that one is being deleted."""
    if stored is None:
        return "created"
    kind, _, name = stored.key
    if stored.metadata.deletion_timestamp:
        raise ConflictError(
            f"{kind}/{name} is being deleted since {stored.metadata.deletion_timestamp}",
            f"wait until it is gone (`modelyard wait {kind.lower()}/{name} --for delete`) and apply it again",
        )
    return "unchanged" if _declared(resource) == _declared(stored) else "configured"


class ResourceStore:
    """The resources of one platform; several processes may use the same file at once.

    Every method may raise UnavailableError (the file cannot be used now) or IntegrityError (it is broken).
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = utc_now) -> None:
        """Open the database, and make it where there is none. Raises ConflictError if a newer Modelyard wrote it."""
        self.path = path
        self._clock = clock
        self._database = Database(path)

    def close(self) -> None:
        """Let the file go."""
        self._database.close()

    def revision(self) -> int:
        """Grows with every committed change of a resource or an event."""
        return self._database.revision()

    def apply(self, resource: Resource) -> Outcome:
        """Store what a person declares. Status and server-set metadata stay. Raises ConflictError if it is being deleted."""
        with self._database.write() as connection:
            stored = self._find(connection, resource.key)
            outcome = outcome_of(resource, stored)
            if stored is None:
                self._insert(connection, resource)
            elif outcome == "configured":
                self._update(connection, stored, _merge(resource, stored))
            return outcome

    def create(self, resource: Resource) -> Resource:
        """Store a new resource with its owners and status, and return it as stored. Raises ConflictError if there is one."""
        with self._database.write() as connection:
            if self._find(connection, resource.key):
                raise ConflictError(f"{_label(resource.key)} exists already", "use it, or delete it first")
            return self._insert(connection, resource)

    def get(self, kind: str, namespace: str, name: str) -> Resource:
        """A resource. Raises NotFoundError that names what there is instead."""
        with self._database.read() as connection:
            found = self._find(connection, (kind, namespace, name))
            if found is None:
                raise self._not_found(connection, (kind, namespace, name))
            return found

    def find(self, kind: str, namespace: str, name: str) -> Resource | None:
        """A resource, or None."""
        with self._database.read() as connection:
            return self._find(connection, (kind, namespace, name))

    def list(self, kind: str | None = None, namespace: str | None = None) -> list[Resource]:
        """The resources of a kind and a namespace (None: of all), ordered by kind, namespace and name."""
        with self._database.read() as connection:
            query = _filtered(select(RESOURCES), kind, namespace)
            rows = connection.execute(query.order_by(RESOURCES.c.kind, RESOURCES.c.namespace, RESOURCES.c.name))
            return [self._parse(row) for row in rows.mappings()]

    def versions(self, namespace: str | None, model: str | None) -> Iterable[ModelVersion]:
        """The versions of a model; None: of all namespaces, of all models."""
        found = (resource for resource in self.list("ModelVersion", namespace) if isinstance(resource, ModelVersion))
        return [version for version in found if model in (None, version.spec.model)]

    def set_status(self, key: Key, status: Spec) -> bool:
        """Replace the status. False, and nothing written, when it is so already or the resource is gone."""
        with self._database.write() as connection:
            stored = self._find(connection, key)
            if stored is None:
                return False
            document = stored.wire()
            if document.get("status") == status.wire():
                return False
            self._update(connection, stored, document | {"status": status.wire()})
            return True

    def request_deletion(self, key: Key) -> None:
        """Ask the operator to clean up and remove a resource; asking again changes nothing. Raises NotFoundError."""
        with self._database.write() as connection:
            stored = self._find(connection, key)
            if stored is None:
                raise self._not_found(connection, key)
            if not stored.metadata.deletion_timestamp:
                document = stored.wire()
                document["metadata"]["deletionTimestamp"] = self._now()
                self._update(connection, stored, document)

    def remove(self, key: Key) -> None:
        """Remove a resource, all that it owns and their events. Nothing happens when it is gone already."""
        with self._database.write() as connection:
            stored = self._find(connection, key)
            if stored is not None:
                self._remove(connection, stored)
                self._database.touch(connection)

    def record_event(self, key: Key, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:  # noqa: A002
        """Note that something happened; the very same again is counted. Nothing is kept of a resource that is gone."""
        same = _of(EVENTS, key) & (EVENTS.c.type == type) & (EVENTS.c.reason == reason) & (EVENTS.c.message == message)
        with self._database.write() as connection:
            if self._find(connection, key) is None:
                return
            again = connection.execute(update(EVENTS).where(same).values(count=EVENTS.c.count + 1, last_seen=self._now()))
            if not again.rowcount:
                self._insert_event(connection, key, {"type": type, "reason": reason, "message": message})
            self._database.touch(connection)

    def events(self, key: Key | None = None) -> Events:
        """The events of a resource, or of all; the latest come last."""
        query = select(EVENTS).order_by(EVENTS.c.last_seen, EVENTS.c.id)
        with self._database.read() as connection:
            rows = connection.execute(query if key is None else query.where(_of(EVENTS, key))).mappings()
            return [Event.model_validate({name: value for name, value in row.items() if name != "id"}) for row in rows]

    def _now(self) -> str:
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _find(self, connection: Connection, key: Key) -> Resource | None:
        row = connection.execute(select(RESOURCES).where(_of(RESOURCES, key))).mappings().one_or_none()
        return None if row is None else self._parse(row)

    def _parse(self, row: RowMapping) -> Resource:
        try:
            return KINDS[row["kind"]].model_validate_json(row["document"])
        except (KeyError, ValidationError) as error:
            raise IntegrityError(
                f"{row['kind']}/{row['name']} in {self.path} was not written by this Modelyard: {' '.join(str(error).split())}",
                "use the release that wrote it, or another home",
            ) from error

    def _insert(self, connection: Connection, resource: Resource) -> Resource:
        document = resource.wire()
        document["metadata"] |= {
            "uid": str(uuid.uuid4()),
            "generation": 1,
            "resourceVersion": 1,
            "creationTimestamp": self._now(),
        }
        kind, namespace, name = resource.key
        row = {"kind": kind, "namespace": namespace, "name": name, "document": json.dumps(document)}
        connection.execute(insert(RESOURCES).values(row))
        self._database.touch(connection)
        return type(resource).model_validate(document)

    def _update(self, connection: Connection, stored: Resource, document: dict[str, Any]) -> None:
        document["metadata"]["resourceVersion"] = stored.metadata.resource_version + 1
        connection.execute(update(RESOURCES).where(_of(RESOURCES, stored.key)).values(document=json.dumps(document)))
        self._database.touch(connection)

    def _remove(self, connection: Connection, resource: Resource) -> None:
        for table in (RESOURCES, EVENTS):
            connection.execute(delete(table).where(_of(table, resource.key)))
        # The text holds the uid wherever an owner has it; the parsed owners decide.
        rows = connection.execute(select(RESOURCES).where(RESOURCES.c.document.contains(resource.metadata.uid))).mappings().all()
        for child in (self._parse(row) for row in rows):
            if any(owner.uid == resource.metadata.uid for owner in child.metadata.owner_references):
                self._remove(connection, child)

    def _insert_event(self, connection: Connection, key: Key, words: Mapping[str, str]) -> None:
        kind, namespace, name = key
        now = self._now()
        row = {"kind": kind, "namespace": namespace, "name": name, "count": 1, "first_seen": now, "last_seen": now, **words}
        connection.execute(insert(EVENTS).values(row))
        newest = select(EVENTS.c.id).where(_of(EVENTS, key)).order_by(EVENTS.c.last_seen.desc(), EVENTS.c.id.desc()).limit(EVENTS_KEPT)
        connection.execute(delete(EVENTS).where(_of(EVENTS, key) & EVENTS.c.id.not_in(newest)))

    def _not_found(self, connection: Connection, key: Key) -> NotFoundError:
        kind, namespace, name = key
        problem = f"there is no {kind} {name!r} in namespace {namespace!r}"
        places = connection.execute(_filtered(select(RESOURCES.c.namespace), kind).where(RESOURCES.c.name == name)).scalars().all()
        if places:
            return NotFoundError(problem, f"there is one in namespace {listed(places)}: add -n {places[0]}")
        query = _filtered(select(RESOURCES.c.name), kind, namespace)
        names = list(connection.execute(query.order_by(RESOURCES.c.name).limit(NAMES_LISTED)).scalars())
        count = connection.execute(_filtered(select(func.count()).select_from(RESOURCES), kind, namespace)).scalar_one()
        if not names:
            return NotFoundError(problem, "there is none at all; make one with `modelyard apply -f FILE`")
        more = f" and {count - len(names)} more" if count > len(names) else ""
        return NotFoundError(problem, f"{suggest(name, names)}there {'is' if count == 1 else 'are'} {listed(names)}{more}")


def _of(table: Table, key: Key) -> ColumnElement[bool]:
    kind, namespace, name = key
    return and_(table.c.kind == kind, table.c.namespace == namespace, table.c.name == name)


def _filtered(query: Select[Any], kind: str | None = None, namespace: str | None = None) -> Select[Any]:
    if kind is not None:
        query = query.where(RESOURCES.c.kind == kind)
    return query if namespace is None else query.where(RESOURCES.c.namespace == namespace)


def _label(key: Key) -> str:
    return f"{key[0]}/{key[2]} in namespace {key[1]!r}"


def _declared(resource: Resource) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """The part of a resource that people write."""
    return resource.spec_document(), resource.metadata.labels, resource.metadata.annotations


def _merge(resource: Resource, stored: Resource) -> dict[str, Any]:
    """The stored document with what a person declares anew."""
    document = stored.wire()
    spec = resource.spec_document()
    document["metadata"] |= {"labels": resource.metadata.labels, "annotations": resource.metadata.annotations}
    document["metadata"]["generation"] += int(spec != stored.spec_document())
    return document | {"spec": spec}
