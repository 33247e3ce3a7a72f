"""The SQLite file that resources and events live in: tables, transactions, versions. Knows no kind of resource."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.exc import DatabaseError, OperationalError

from modelyard.domain.errors import ConflictError, IntegrityError, UnavailableError

SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 30.0
"""How long a process waits for another one's write."""

METADATA = MetaData()
PLATFORM = Table(
    "platform",
    METADATA,
    Column("schema_version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
)
RESOURCES = Table(
    "resources",
    METADATA,
    Column("kind", String, primary_key=True),
    Column("namespace", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("document", Text, nullable=False),
)
EVENTS = Table(
    "events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("namespace", String, nullable=False),
    Column("name", String, nullable=False),
    Column("type", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("message", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("first_seen", String, nullable=False),
    Column("last_seen", String, nullable=False),
    Index("events_of_a_resource", "kind", "namespace", "name"),
)


class Database:
    """Transactions on one SQLite file that several processes share."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(f"{path.parent} cannot be made: {error.strerror}", "choose another home") from error
        self.engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_S})
        event.listen(self.engine, "connect", _configure)
        event.listen(self.engine, "begin", _begin)
        self._prepare()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state throughout."""
        with self._transaction(self.engine) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is the only writer from its first statement on. It commits at the end, whole."""
        with self._transaction(self.engine.execution_options(modelyard_writes=True)) as connection:
            yield connection

    def revision(self) -> int:
        """Grows with every committed change."""
        with self.read() as connection:
            return int(connection.execute(select(PLATFORM.c.revision)).scalar_one())

    @staticmethod
    def touch(connection: Connection) -> None:
        """Note in a write transaction that it changes something."""
        connection.execute(update(PLATFORM).values(revision=PLATFORM.c.revision + 1))

    def close(self) -> None:
        """Let the file go."""
        self.engine.dispose()

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        try:
            with engine.begin() as connection:
                yield connection
        except OperationalError as error:
            raise UnavailableError(
                f"{self.path} cannot be used: {error.orig}", "check that it can be written to and that the disk has space, then try again"
            ) from error
        except DatabaseError as error:
            raise IntegrityError(
                f"{self.path} is not a readable database: {error.orig}",
                "put a copy in its place, or move it away and apply the manifests again",
            ) from error

    def _prepare(self) -> None:
        with self.read() as connection:
            made = inspect(connection).has_table(PLATFORM.name)
        if not made:
            with self.write() as connection:
                # Another process may have been first.
                if not inspect(connection).has_table(PLATFORM.name):
                    METADATA.create_all(connection)
                    connection.execute(insert(PLATFORM).values(schema_version=SCHEMA_VERSION, revision=0))
        with self.read() as connection:
            version = connection.execute(select(PLATFORM.c.schema_version)).scalar_one()
        if version > SCHEMA_VERSION:
            raise ConflictError(
                f"{self.path} was written by a newer Modelyard (schema {version}; this one knows {SCHEMA_VERSION})",
                "upgrade this Modelyard, or use another home",
            )


def _configure(connection: sqlite3.Connection, record: Any) -> None:
    # The driver must not begin transactions by itself: `_begin` decides which kind.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin(connection: Connection) -> None:
    # A read that turns into a write fails at once when another process wrote in between; IMMEDIATE waits instead.
    writes = connection.get_execution_options().get("modelyard_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
