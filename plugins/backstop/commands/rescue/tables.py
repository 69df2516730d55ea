"""``rescue-tables``: one or more tables out of a backup or a clone, beside what is live, never over it.

Into a new schema of the live database: the tables are put together without rows in a temporary database,
moved to the new schema there, and made in the live database in one transaction that also loads the rows and
compares them; it commits only when they are equal. Into a new database: the temporary one, renamed at last.
Either way what was asked for appears whole or not at all.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg import sql

from backstop.commands.rescue.plan import Destination, RescuePlan
from backstop.commands.rescue.rows import contents_of, copy_in, refuse_differences
from backstop.commands.rescue.session import execute_all, loading_session, refusals
from backstop.commands.rescue.workshop import Needed, Workshop
from backstop.commands.stopwatch import Stopwatch
from backstop.errors import ConfigurationError, RestoreError
from backstop.model.backup import BackupKind, BackupLabel
from backstop.model.table_patterns import find_tables
from backstop.postgres import databases
from backstop.postgres.names import qualified_name
from backstop.postgres.restore_role import check_restore_role
from backstop.postgres.table_entries import TableEntries
from backstop.postgres.toc import read_entries
from backstop.postgres.tools import PostgresTools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    import psycopg

    from backstop.commands.progress import Progress
    from backstop.commands.rescue.sources import OpenSource, TableSource
    from backstop.model.fingerprint import SequenceValue, TableContent
    from backstop.model.table_patterns import TableName
    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.table_entries import TableChoice


@dataclass(slots=True)
class TableRescue:
    """Tables on their way back.

    :param source: a backup or a running server.
    :param server: the restore role's connection: not a superuser, CREATEDB, member of the owner.
    :param database: the live one's name.
    :param tables: names and patterns, see :mod:`backstop.model.table_patterns`.
    :param triggers: with triggers and rules; they are code, and run whenever somebody writes.
    :param functions: functions that the live database lacks, or has otherwise, may come into the new schema:
        they run there, as the database's owner, while rows and indexes are made.
    """

    source: TableSource
    server: ClusterConnection
    database: str
    tables: Sequence[str]
    into: Destination
    clock: Callable[[], datetime]
    progress: Progress
    triggers: bool = False
    functions: bool = False
    allow_superuser: bool = False
    label: BackupLabel | None = None
    watch: Stopwatch = field(default_factory=Stopwatch)

    def plan(self) -> RescuePlan:
        """Look at everything that could stop the rescue, change nothing.

        :raises NotFoundError: there is no such table; :raises RestoreError: it cannot work, and why.
        """
        with self._session() as session, self._opened(session) as opened:
            choice = self._choose(opened, session)
            self._check(session, opened)
            return self._planned(opened, choice)

    def run(self) -> dict[str, Any]:
        """Rescue the tables; on any failure nothing of them is left on the server.

        :returns: the plan's fields, rows by new name, seconds by phase.
        :raises VerificationError: what arrived is not what the backup holds.
        """
        with self._session() as session, self._opened(session) as opened:
            choice = self._choose(opened, session)
            owner = self._check(session, opened)
            plan = self._planned(opened, choice)
            with self._workshop(session, opened, owner) as workshop:
                if self.into.kind == "schema":
                    found = self._into_schema(opened, choice, workshop)
                else:
                    found = self._into_database(session, opened, choice, workshop)
        rows = {name: content.rows for name, content in sorted(found.items())}
        return {**plan.to_dict(), "rows": rows, "seconds": self.watch.seconds()}

    def _into_schema(
        self, opened: OpenSource, choice: TableChoice, workshop: Workshop
    ) -> dict[str, TableContent]:
        live = self.server.with_database(self.database)
        with self.watch.phase("define"):
            self.progress.phase("define")
            workshop.define(choice)
            workshop.complete(choice)
            values = self._sequence_values(opened, choice, workshop)
            moved = workshop.lacking(choice.tables, live)
            self._refuse_code(moved)
            workshop.move(choice.tables, self.into.name, moved, comment=self._comment(opened))
            before, after = workshop.script(self.into.name)
        with loading_session(live, workshop.owner) as session:
            execute_all(session, before)
            found = self._load(session, opened, choice, values)
            execute_all(session, after)
        self._analyze(live, choice)
        return found

    def _into_database(
        self, session: psycopg.Connection[Any], opened: OpenSource, choice: TableChoice, workshop: Workshop
    ) -> dict[str, TableContent]:
        with self.watch.phase("define"):
            self.progress.phase("define")
            workshop.define(choice)
            values = self._sequence_values(opened, choice, workshop)
        with loading_session(workshop.database, workshop.owner) as loading:
            found = self._load(loading, opened, choice, values)
        with self.watch.phase("index"):
            self.progress.phase("index")
            workshop.complete(choice)
        self._analyze(workshop.database, choice)
        ours, final = workshop.database.dbname, self.into.name
        with refusals(f"database {final}"):
            comment = sql.Literal(self._comment(opened))
            session.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(ours), comment))
            # Last: under its final name it is whole.
            session.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(ours), sql.Identifier(final))
            )
        return found

    def _refuse_code(self, moved: Sequence[Needed]) -> None:
        code = [one.identity for one in moved if one.is_code]
        if code and not self.functions:
            raise RestoreError(
                f"the tables need functions that {self.database} lacks or has otherwise: {', '.join(code)}",
                hint="rescue into a new database, where they can do no harm; or, when you trust them, "
                "let them run in the live one (--with-functions)",
            )

    def _load(
        self,
        session: psycopg.Connection[Any],
        opened: OpenSource,
        choice: TableChoice,
        values: Mapping[TableName, SequenceValue],
    ) -> dict[str, TableContent]:
        """Rows and sequence values into the session's transaction, compared before it may commit."""
        with self.watch.phase("fetch"):
            rows = opened.rows(choice)
            expected = opened.contents(choice)
        self.progress.phase("load")
        with self.watch.phase("load"):
            encoding = str(opened.properties["encoding"])
            copy_in(session, rows, place=self.into.place, encoding=encoding, progress=self.progress)
            for name, value in values.items():
                session.execute(
                    "SELECT pg_catalog.setval(%s::regclass, %s, %s)",
                    [qualified_name(*name), value.last_value, value.is_called],
                )
        self.progress.phase("compare")
        with self.watch.phase("compare"):
            placed = {self.into.place(table): table for table in choice.tables}
            counts_only = any(content.content is None for content in expected.values())
            found = contents_of(session, placed.keys(), counts_only=counts_only)
            back = {qualified_name(*new): qualified_name(*old) for new, old in placed.items()}
            refuse_differences(opened.described, {name: expected.get(back[name]) for name in found}, found)
        return found

    def _sequence_values(
        self, opened: OpenSource, choice: TableChoice, workshop: Workshop
    ) -> dict[TableName, SequenceValue]:
        """By the name that each sequence will have."""
        known = opened.sequence_values()
        return {
            self.into.place(name): known[qualified_name(*name)]
            for name in workshop.sequences(choice.tables)
            if qualified_name(*name) in known
        }

    def _choose(self, opened: OpenSource, session: psycopg.Connection[Any]) -> TableChoice:
        listed, texts = read_entries(opened.dump, self._tools(opened, session))
        entries = TableEntries(texts, listed)
        asked = find_tables(self.tables, entries.names, shown=lambda name: qualified_name(*name))
        choice = entries.choose(asked, triggers=self.triggers)
        placed: dict[TableName, TableName] = {}
        for table in choice.tables:
            other = placed.setdefault(self.into.place(table), table)
            if other != table:
                raise ConfigurationError(
                    f"{qualified_name(*other)} and {qualified_name(*table)} cannot both be in one schema",
                    hint="rescue them one at a time, or into a new database",
                )
        return choice

    def _check(self, session: psycopg.Connection[Any], opened: OpenSource) -> str:
        """Nothing is there yet, and this role may; returns the owner of what will be."""
        row = session.execute(
            "SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = %s",
            [self.database],
        ).fetchone()
        owner = str(row[0] if row else opened.properties["owner"])
        facts = check_restore_role(session, owner=owner, allow_superuser=self.allow_superuser)
        if facts.server_major < opened.major:
            raise RestoreError(
                f"{opened.described} is of PostgreSQL {opened.major}, and {self.server.location} runs "
                f"{facts.server_major}",
                hint="rescue into a server of the same or a newer major version",
            )
        if self.into.kind == "database":
            taken = databases.exists(session, self.into.name)
        elif row is None:
            raise RestoreError(
                f"there is no database {self.database} on {self.server.location}",
                hint="rescue into a new database, or restore the whole",
            )
        else:
            with self.server.with_database(self.database).connect(application_name="backstop:rescue") as live:
                question = "SELECT FROM pg_catalog.pg_namespace WHERE nspname = %s"
                taken = live.execute(question, [self.into.name]).fetchone() is not None
        if taken:
            raise RestoreError(
                f"{self.into.kind} {self.into.name} exists already, and nothing is ever overwritten",
                hint="name another one",
            )
        return owner

    def _planned(self, opened: OpenSource, choice: TableChoice) -> RescuePlan:
        names = {qualified_name(*name): qualified_name(*self.into.place(name)) for name in choice.tables}
        return RescuePlan(
            source=opened.described,
            into=f"{self.into.kind} {self.into.name}",
            tables=names,
            rows=opened.row_count(choice),
            left_out=choice.left_out,
            notes=choice.notes,
        )

    @contextmanager
    def _workshop(
        self, session: psycopg.Connection[Any], opened: OpenSource, owner: str
    ) -> Iterator[Workshop]:
        label = self.label or BackupLabel.at(self.clock(), BackupKind.DUMP)
        name = databases.beside_name(f"{self.database}_rescue", label)
        # Its name is the backup's, so that what a killed run has left is found; so two must not run at once.
        (alone,) = session.execute(
            "SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended(%s, 0))", [name]
        ).fetchone() or (False,)
        if not alone:
            raise RestoreError(
                f"somebody is rescuing tables of {opened.described} on {self.server.location} now",
                hint="try again when that has ended",
            )
        databases.drop_database(session, name)
        databases.create_like(session, name, opened.properties, owner=owner)
        try:
            yield Workshop(
                database=self.server.with_database(name),
                owner=owner,
                tools=self._tools(opened, session),
                dump=opened.dump,
            )
        finally:
            databases.drop_database(session, name)

    def _comment(self, opened: OpenSource) -> str:
        return f"tables of {opened.described}, rescued by Backstop at {self.clock():%Y-%m-%d %H:%M:%SZ}"

    def _analyze(self, database: ClusterConnection, choice: TableChoice) -> None:
        with database.connect(application_name="backstop:rescue") as session, refusals(database.dbname):
            session.execute("SET default_transaction_read_only = off")
            names = [sql.Identifier(*self.into.place(table)) for table in choice.tables]
            session.execute(sql.SQL("ANALYZE (SKIP_LOCKED) {}").format(sql.SQL(", ").join(names)))

    @contextmanager
    def _opened(self, session: psycopg.Connection[Any]) -> Iterator[OpenSource]:
        self.progress.phase("fetch")
        with self.source.open(session.info.server_version // 10000) as opened:
            yield opened

    def _session(self) -> psycopg.Connection[Any]:
        return self.server.connect(dbname="postgres", application_name="backstop:rescue")

    def _tools(self, opened: OpenSource, session: psycopg.Connection[Any]) -> PostgresTools:
        return PostgresTools.find(max(opened.major, session.info.server_version // 10000))
