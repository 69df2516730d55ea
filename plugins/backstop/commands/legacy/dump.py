"""A plain dump restored: into scratch, to prove it, or into a new database of a real server."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.commands.legacy.check import opened, require_same
from backstop.commands.legacy.gunzip import buffered
from backstop.errors import RestoreError, ToolError
from backstop.postgres.plain_dump import PlainDump
from backstop.postgres.plain_load import load_plain_dump

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from backstop.commands.legacy.check import CheckedDump
    from backstop.commands.legacy.places import Place
    from backstop.commands.progress import Progress
    from backstop.model.legacy import LegacyBackup
    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.isolation import Isolation
    from backstop.postgres.tools import PostgresTools

_DATABASE = "legacy"
_SUPERUSER = "postgres"
_NEWER_MAJORS = 6
# PostgreSQL docs, 23.3.1, and the names that SET client_encoding takes for them, too.
_OF_CLIENTS_ONLY = frozenset({
    "SJIS", "SHIFTJIS", "SHIFT_JIS", "MSKANJI", "WIN932", "WINDOWS932", "SHIFT_JIS_2004", "BIG5", "WIN950",
    "WINDOWS950", "GBK", "WIN936", "WINDOWS936", "UHC", "WIN949", "WINDOWS949", "GB18030", "JOHAB",
})  # fmt: skip
NAME = "backstop:legacy"


@dataclass(slots=True)
class LegacyDump:
    """One plain dump that was checked.

    :param notes: what a restore left out, one sentence each.
    """

    place: Place
    backup: LegacyBackup
    checked: CheckedDump
    progress: Progress
    notes: list[str] = field(default_factory=list)

    def load(self, database: ClusterConnection) -> None:
        """Into an empty database, whole or not at all.

        :raises BackstopError: as :func:`load_plain_dump`, and when the file is no longer what was checked.
        """
        with (
            opened(self.place, self.backup, self.progress) as content,
            database.connect(application_name=NAME) as session,
        ):
            session.execute("BEGIN")
            self.notes += load_plain_dump(session, PlainDump(buffered(content), self.backup.location))
            require_same(content, self.checked, self.backup)
            session.execute("COMMIT")

    def differences(self, database: ClusterConnection) -> list[str]:
        """Every table whose number of rows is not that of the dump, one sentence each."""
        from psycopg import Error

        wrong = []
        with self._explained(), database.connect(application_name=NAME) as session:
            session.execute("SET row_security = off")
            # Names of tables are bytes of the dump.
            session.execute(
                "SELECT pg_catalog.set_config('client_encoding', %s, false)", [self.checked.encoding]
            )
            for table, rows in self.checked.facts.rows.items():
                name = table.decode("utf-8", "replace")
                try:
                    found = _count(session, table)
                except Error as error:
                    wrong.append(f"table {name} cannot be read: {error.diag.message_primary or error}")
                    continue
                if found != rows:
                    wrong.append(f"table {name}: {rows} rows in the dump, {found} restored")
        return wrong

    def tools(self) -> PostgresTools:
        """A server that can take the dump: of its own major version, else the next newer one.

        :raises ToolError: this machine has none.
        """
        from backstop.postgres.tools import PostgresTools

        wanted = max(self.checked.facts.server_major, self.checked.facts.pg_dump_major)
        failure: ToolError | None = None
        for major in range(wanted, wanted + _NEWER_MAJORS):
            try:
                return PostgresTools.find(major, server=True)
            except ToolError as error:
                failure = failure or error
        raise failure or ToolError("no PostgreSQL on this machine", hint="install its server programs")

    @contextmanager
    def in_scratch(
        self, folder: Path, *, isolation: Isolation, hide: Sequence[Path]
    ) -> Iterator[ClusterConnection]:
        """A database in a server of its own; pg_dump brings no roles, so those it names are made."""
        from psycopg import sql

        from backstop.postgres.scratch import ScratchCluster

        tools = self.tools()
        with ScratchCluster(
            tools.major,
            bin_dir=tools.bin_dir,
            parent=folder,
            isolation=isolation,
            superuser=_SUPERUSER,
            hide=hide,
        ) as cluster:
            database = cluster.connection(_DATABASE)
            with self._explained(), cluster.connection("template1").connect(application_name=NAME) as session:
                for role in sorted(self.checked.roles.all - {_SUPERUSER}):
                    session.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
                session.execute(
                    sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LOCALE 'C'").format(
                        sql.Identifier(_DATABASE), sql.Literal(database_encoding(self.checked.encoding))
                    )
                )
                owner = self.checked.roles.owner
                if owner is not None:
                    # Whoever owned everything could create in it, too.
                    session.execute(
                        sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                            sql.Identifier(_DATABASE), sql.Identifier(owner)
                        )
                    )
            self.load(database)
            yield database

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What the server has against roles, encodings and tables that the dump names is the dump's fault."""
        from psycopg import Error, OperationalError

        try:
            yield
        except OperationalError:
            raise
        except Error as error:
            raise RestoreError(
                f"{self.backup.location} cannot be restored as what it says it is: "
                f"{error.diag.message_primary or error}",
                hint="look at the roles and the encoding that it names; other backups may restore",
            ) from error


def database_encoding(dumped: str) -> str:
    """Of a database for a dump in that encoding: some are of clients only."""
    return "UTF8" if dumped.upper() in _OF_CLIENTS_ONLY else dumped


def _count(session: Any, table: bytes) -> int:
    row = session.execute(b"SELECT count(*) FROM " + table, binary=True).fetchone()
    return int(row[0])
