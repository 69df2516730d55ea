"""Where tables are rescued from: a dump in a repository, or a running PostgreSQL such as a clone.

Both give the same: definitions as a dump without rows, each table's rows as COPY writes them, and the account
that the rescued rows must equal.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from backstop.commands.database.compare import expected_fingerprint
from backstop.commands.database.fetch import fetch_object
from backstop.commands.database.objects import FINGERPRINT
from backstop.commands.fetch_files import fetch_files
from backstop.commands.rescue.rows import BLOCK_BYTES, contents_of, copy_statement, read_copy_targets
from backstop.commands.staging import staging_directory, sweep_staging
from backstop.errors import ConfigurationError
from backstop.model.backup import BackupKind
from backstop.postgres.catalog import list_tables, read_database_properties, read_sequences
from backstop.postgres.connection import source_errors
from backstop.postgres.dump_directory import TOC
from backstop.postgres.names import qualified_name
from backstop.postgres.process import run_tool
from backstop.postgres.toc import read_sequence_values
from backstop.postgres.tools import PostgresTools, pg_dump_argv
from backstop.repository.pins import pin
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    import psycopg

    from backstop.commands.progress import Progress
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import BackupLabel
    from backstop.model.fingerprint import SequenceValue, TableContent
    from backstop.model.table_patterns import TableName
    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.table_entries import TableChoice
    from backstop.repository.catalog import Repository

_STAMP = "rescue"


@dataclass(frozen=True, slots=True)
class TableRows:
    """A table's rows as COPY's text format has them.

    :param into: the table to copy into: another one where rows go through their partitioned table.
    :param blocks: opens them.
    """

    table: TableName
    into: TableName
    columns: tuple[str, ...]
    blocks: Callable[[], AbstractContextManager[Iterator[bytes | bytearray | memoryview]]] = field(repr=False)


class OpenSource(Protocol):
    """A source that is being read."""

    described: str
    """For people: ``backup 20261123T010000Z-dump``."""
    major: int
    properties: Mapping[str, Any]
    """Of the database, as include/sql/catalog/database_properties.sql answers."""
    dump: Path
    """A dump's directory; at first its table of contents alone."""

    def rows(self, choice: TableChoice) -> list[TableRows]:
        """The rows of all chosen tables; for a backup, what holds them is fetched now."""
        ...

    def sequence_values(self) -> Mapping[str, SequenceValue]:
        """By quoted, qualified name; more than are rescued."""
        ...

    def contents(self, choice: TableChoice) -> Mapping[str, TableContent]:
        """What the tables hold, by quoted, qualified name; more than are rescued."""
        ...

    def row_count(self, choice: TableChoice) -> int | None:
        """How many rows the tables have; None where that is known only by reading them."""
        ...


class TableSource(Protocol):
    """A place to rescue tables from."""

    def open(self, tools_for: int) -> AbstractContextManager[OpenSource]:
        """:param tools_for: major version of the server to rescue into."""
        ...


@dataclass(frozen=True, slots=True)
class BackupSource:
    """A dump in a repository.

    :param scratch: folder for what is fetched.
    """

    repository: Repository
    label: BackupLabel
    keyring: Keyring
    scratch: Path
    clock: Callable[[], datetime]
    progress: Progress

    @contextmanager
    def open(self, tools_for: int) -> Iterator[OpenSource]:
        manifest = self.repository.catalog.backup(self.label).manifest
        if manifest.kind is not BackupKind.DUMP:
            raise ConfigurationError(
                f"backup {self.label} is physical: it holds no single tables",
                hint="recover it into a clone, then rescue from that; or choose a dump",
            )
        sweep_staging(self.scratch)
        with (
            pin(self.repository.storage, manifest.target, self.label, holder="rescue", clock=self.clock),
            staging_directory(self.scratch, f"{_STAMP}-{secrets.token_hex(4)}") as folder,
        ):
            dump = folder / "dump"
            dump.mkdir(mode=0o700)
            for name in (TOC, FINGERPRINT):
                fetch_object(
                    self.repository,
                    manifest,
                    manifest.object_named(name),
                    keyring=self.keyring,
                    destination=dump / name,
                    progress=self.progress,
                )
            yield _OpenBackup(self, dump, PostgresTools.find(max(manifest.server_major, tools_for)))


class _OpenBackup:
    def __init__(self, source: BackupSource, dump: Path, tools: PostgresTools) -> None:
        self._source = source
        self._manifest = source.repository.catalog.backup(source.label).manifest
        self._tools = tools
        self._expected = expected_fingerprint(dump)
        self.dump = dump
        self.described = f"backup {source.label}"
        self.major = self._manifest.server_major
        self.properties = self._expected.database

    def rows(self, choice: TableChoice) -> list[TableRows]:
        names = [f"{dump_id}.dat" for dump_id in choice.data.values()]
        fetch_files(
            self._source.repository,
            self._manifest,
            names,
            keyring=self._source.keyring,
            folder=self.dump,
            progress=self._source.progress,
        )
        targets = read_copy_targets(self.dump, list(choice.data.values()), self._tools)
        rows = []
        for table, dump_id in choice.data.items():
            into, columns = targets[dump_id]
            # A partition without its partitioned table takes its own rows.
            into = into if into in choice.tables else table
            rows.append(TableRows(table, into, columns, _reader(self.dump / f"{dump_id}.dat")))
        return rows

    def sequence_values(self) -> Mapping[str, SequenceValue]:
        return {value.name: value for value in read_sequence_values(self.dump, self._tools)}

    def contents(self, choice: TableChoice) -> Mapping[str, TableContent]:
        return {content.name: content for content in self._expected.tables}

    def row_count(self, choice: TableChoice) -> int | None:
        names = {qualified_name(*table) for table in choice.tables}
        return sum(content.rows for content in self._expected.tables if content.name in names)


@dataclass(frozen=True, slots=True)
class RunningSource:
    """A running PostgreSQL, such as a clone recovered to a point in time; it is only read.

    :param connection: of a role that may read everything there.
    :param scratch: folder for the definitions.
    """

    connection: ClusterConnection
    scratch: Path

    @contextmanager
    def open(self, tools_for: int) -> Iterator[OpenSource]:
        sweep_staging(self.scratch)
        connection = self.connection
        with (
            staging_directory(self.scratch, f"{_STAMP}-{secrets.token_hex(4)}") as folder,
            connection.connect(application_name="backstop:rescue") as session,
        ):
            with source_errors(connection.location):
                session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                # What hides rows, and what the text of a value depends on: as pg_dump has them.
                session.execute("SET LOCAL row_security = off")
                session.execute("SET LOCAL IntervalStyle = postgres")
                session.execute("SET LOCAL extra_float_digits = 3")
                (snapshot,) = session.execute("SELECT pg_catalog.pg_export_snapshot()").fetchone() or ("",)
            tools = PostgresTools.find(max(session.info.server_version // 10000, tools_for))
            dump = folder / "dump"
            with connection.child_environment(folder, application_name="backstop:rescue") as environment:
                argv = pg_dump_argv(tools, directory=dump, snapshot_id=snapshot, schema_only=True)
                run_tool(argv, env=environment)
            yield _OpenServer(self, session, snapshot, dump)


class _OpenServer:
    def __init__(
        self, source: RunningSource, session: psycopg.Connection[Any], snapshot: str, dump: Path
    ) -> None:
        self._source, self._session, self._snapshot = source, session, snapshot
        self.dump = dump
        self.described = source.connection.location
        self.major = session.info.server_version // 10000
        with source_errors(self.described):
            self.properties = read_database_properties(session)
            self._tables = {(one.schema, one.table): one for one in list_tables(session)}

    def rows(self, choice: TableChoice) -> list[TableRows]:
        rows = []
        for name in choice.tables:
            table = self._tables[name]
            if table.kind != "r":
                continue
            with source_errors(self.described):
                found = self._session.execute(load_sql("rescue/columns"), {"table": table.oid}).fetchall()
            columns = tuple(column for (column,) in found)
            rows.append(TableRows(name, name, columns, self._copy_out(name, columns)))
        return rows

    def sequence_values(self) -> Mapping[str, SequenceValue]:
        with source_errors(self.described):
            return {value.name: value for value in read_sequences(self._session)}

    def contents(self, choice: TableChoice) -> Mapping[str, TableContent]:
        # Undone at once: the settings that make hashes equal everywhere would change how money is copied.
        with source_errors(self.described), self._session.transaction(force_rollback=True):
            return contents_of(self._session, choice.tables, counts_only=False)

    def row_count(self, choice: TableChoice) -> int | None:
        return None

    def _copy_out(
        self, name: TableName, columns: tuple[str, ...]
    ) -> Callable[[], AbstractContextManager[Iterator[bytes | bytearray | memoryview]]]:
        statement = copy_statement(name, columns, "TO STDOUT", encoding=str(self.properties["encoding"]))

        @contextmanager
        def opened() -> Iterator[Iterator[bytes | bytearray | memoryview]]:
            with self._session.cursor() as cursor, cursor.copy(statement) as copy:
                yield self._blocks(copy)

        return opened

    def _blocks(self, copy: psycopg.Copy) -> Iterator[bytes | bytearray | memoryview]:
        with source_errors(self.described):
            yield from copy


def _reader(path: Path) -> Callable[[], AbstractContextManager[Iterator[bytes | bytearray | memoryview]]]:
    @contextmanager
    def opened() -> Iterator[Iterator[bytes | bytearray | memoryview]]:
        with path.open("rb") as stream:
            yield iter(lambda: stream.read(BLOCK_BYTES), b"")

    return opened
