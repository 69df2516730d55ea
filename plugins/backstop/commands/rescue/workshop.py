"""A temporary database in which rescued tables are put together, and given their new schema.

PostgreSQL itself moves them (ALTER … SET SCHEMA): no SQL of the dump is ever edited.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from backstop.commands.database.load import explain_load_failure
from backstop.errors import RestoreError, ToolError
from backstop.postgres.names import qualified_name, quote_identifier
from backstop.postgres.process import run_tool
from backstop.postgres.toc import list_section, read_entries
from backstop.postgres.tools import pg_dump_argv, pg_restore_argv
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from backstop.model.table_patterns import TableName
    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.table_entries import TableChoice
    from backstop.postgres.tools import PostgresTools

    _Definitions = Mapping[tuple[str, str], str]

# Not grants, owners or policies: a rescued copy belongs to the database's owner alone.
_LEFT_OUT = (
    "--no-owner", "--no-privileges", "--no-tablespaces", "--no-security-labels", "--no-publications",
    "--no-subscriptions",
)  # fmt: skip
_NAME = "backstop:rescue"
_TRIED_ALL = "errors ignored on restore"
_SHOWN_FAILURES = 8

# What pg_identify_object calls it, and what ALTER … SET SCHEMA calls it (PostgreSQL docs, SQL commands).
_MOVABLE = {
    "aggregate": "ROUTINE", "collation": "COLLATION", "function": "ROUTINE", "operator": "OPERATOR",
    "operator class": "OPERATOR CLASS", "operator family": "OPERATOR FAMILY", "procedure": "ROUTINE",
    "sequence": "SEQUENCE", "text search configuration": "TEXT SEARCH CONFIGURATION",
    "text search dictionary": "TEXT SEARCH DICTIONARY", "type": "TYPE",
}  # fmt: skip
_COMPARED = {"type": "types", "function": "functions", "procedure": "functions", "collation": "collations"}


@dataclass(frozen=True, slots=True)
class Needed:
    """Something in the workshop that tables need: a type, a function, a sequence.

    :param kind: as pg_identify_object calls it, and :param identity: how.
    :param follows: it is a part of something else, and goes wherever that goes.
    :param needs: keys of what it needs in turn.
    """

    kind: str
    identity: str
    follows: bool
    needs: list[str]

    @property
    def is_code(self) -> bool:
        return self.kind in ("aggregate", "function", "procedure")


@dataclass(slots=True)
class Workshop:
    """An empty database of our own, and the dump whose tables are put together in it.

    :param database: as the restore role; :param owner: whom everything in it belongs to.
    """

    database: ClusterConnection
    owner: str
    tools: PostgresTools
    dump: Path
    _failures: list[str] = field(default_factory=list)

    def define(self, choice: TableChoice) -> None:
        """The tables, their defaults and sequences; types and functions before them.

        :raises RestoreError: a table does not restore, and what it may have lacked.
        """
        if choice.surroundings:
            self._restore(choice.surroundings, "surroundings", "pre-data", tolerant=True)
        self._restore(choice.own, "tables", "pre-data")

    def complete(self, choice: TableChoice) -> None:
        """Indexes and constraints."""
        self._restore(choice.own, "constraints", "post-data")

    def lacking(self, tables: Sequence[TableName], live: ClusterConnection) -> list[Needed]:
        """What the tables need and the live database lacks, or has otherwise.

        What is equal there, but needs something that is not, counts too; and sequences always do.
        """
        with self._session() as session:
            rows = session.execute(load_sql("rescue/needed"), {"tables": self._oids(session, tables)})
            needed = {key: Needed(*rest) for key, *rest in rows}
            asked: dict[str, Any] = {"types": [], "functions": [], "collations": [], "owner": self.owner}
            for one in needed.values():
                if not one.follows and one.kind in _COMPARED:
                    asked[_COMPARED[one.kind]].append(one.identity)
            with live.connect(application_name=_NAME) as there:
                ours, theirs = _definitions(session, asked), _definitions(there, asked)
        changed = {key for key, one in needed.items() if not one.follows and not _equal(ours, theirs, one)}
        # An array type or the like is nothing by itself, but passes on what it is made for.
        while more := {key for key, one in needed.items() if key not in changed and changed & set(one.needs)}:
            changed |= more
        chosen = [needed[key] for key in sorted(changed) if not needed[key].follows]
        return [one for one in chosen if one.kind in _MOVABLE]

    def move(
        self, tables: Sequence[TableName], schema: str, needed: Sequence[Needed], *, comment: str
    ) -> None:
        """Into a new schema, with what they need.

        :raises RestoreError: two things of one name meet, or one cannot be moved.
        """
        with self._session() as session:
            moves = [_set_schema(_MOVABLE[one.kind], one.identity, schema) for one in needed]
            types = {"types": [one.identity for one in needed if one.kind == "type"]}
            ranges = session.execute(load_sql("rescue/multiranges"), types).fetchall()
            moves += [_set_schema("TYPE", identity, schema) for (identity,) in ranges]
            moves += [_set_schema("TABLE", qualified_name(*table), schema) for table in tables]
            # Indexes, constraints and owned sequences go with their table; statistics do not.
            oids = {"tables": self._oids(session, tables)}
            found = session.execute(load_sql("rescue/statistics"), oids).fetchall()
            moves += [_set_schema("STATISTICS", qualified_name(*name), schema) for name in found]
            target = sql.Identifier(schema)
            with _explained(f"schema {schema}"), session.transaction():
                session.execute(sql.SQL("CREATE SCHEMA {}").format(target))
                session.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(target, sql.Literal(comment)))
                for move in moves:
                    session.execute(move)

    def sequences(self, tables: Sequence[TableName]) -> list[TableName]:
        """Those that come with the tables, where they are now."""
        with self._session() as session:
            oids = self._oids(session, tables)
            rows = session.execute(load_sql("rescue/sequences"), {"tables": oids})
            return [(schema, name) for schema, name in rows]

    def script(self, schema: str) -> tuple[list[str], list[str]]:
        """What makes everything in that schema, elsewhere: before rows are there, and after."""
        folder = self.dump.parent
        moved = folder / "moved"
        pattern = '"' + schema.replace('"', '""') + '"'
        options = [f"--schema={pattern}", "--strict-names", f"--role={self.owner}", "--no-privileges"]
        with self.database.child_environment(folder, application_name=_NAME) as environment:
            run_tool(
                pg_dump_argv(self.tools, directory=moved, schema_only=True, options=options), env=environment
            )
        late = {entry.dump_id for entry in list_section(moved, self.tools, "post-data")}
        texts: tuple[list[str], list[str]] = ([], [])
        for entry, text in read_entries(moved, self.tools)[1]:
            texts[entry.dump_id in late].append(text.sql)
        return texts

    def _restore(self, entries: Sequence[int], name: str, section: str, *, tolerant: bool = False) -> None:
        chosen = self.dump.parent / f"{name}.list"
        chosen.write_text("".join(f"{dump_id};\n" for dump_id in entries), encoding="ascii")
        argv = pg_restore_argv(
            self.tools,
            directory=self.dump,
            dbname=self.database.dbname,
            entries=chosen,
            options=[*_LEFT_OUT, f"--section={section}", f"--role={self.owner}"],
            exit_on_error=not tolerant,
        )
        lines: list[str] = []
        with self.database.child_environment(self.dump.parent, application_name=_NAME) as environment:
            try:
                run_tool(argv, env=environment, on_line=lines.append)
            except ToolError as error:
                if tolerant and _TRIED_ALL in error.message:
                    found = [line.partition("ERROR:")[2].strip() for line in lines if "ERROR:" in line]
                    self._failures += found[:_SHOWN_FAILURES]
                    return
                explained = explain_load_failure(error, self.database, self.tools)
                if self._failures:
                    # Most of these no table needs; the one that this table needs is among them.
                    explained.message += "; not restored before: " + "; ".join(self._failures)
                    explained.hint = (
                        "what is missing may be among what was not restored: see why each was not"
                    )
                raise explained from error

    def _oids(self, session: psycopg.Connection[Any], tables: Sequence[TableName]) -> list[int]:
        names = [qualified_name(*table) for table in tables]
        rows = session.execute("SELECT unnest(%s::text[])::regclass::oid", [names]).fetchall()
        return [oid for (oid,) in rows]

    def _session(self) -> psycopg.Connection[Any]:
        session = self.database.connect(application_name=_NAME)
        session.execute("SELECT pg_catalog.set_config('role', %s, false)", [self.owner])
        return session


def _set_schema(kind: str, identity: str, schema: str) -> bytes:
    """:param identity: as PostgreSQL writes it, quoted, with a function's arguments."""
    return f"ALTER {kind} {identity} SET SCHEMA {quote_identifier(schema)}".encode()


def _definitions(session: psycopg.Connection[Any], asked: Mapping[str, Any]) -> _Definitions:
    rows = session.execute(load_sql("rescue/definitions"), asked)
    return {(kind, name): text for kind, name, text in rows}


def _equal(ours: _Definitions, theirs: _Definitions, one: Needed) -> bool:
    key = ("function" if one.kind == "procedure" else one.kind, one.identity)
    return key in ours and ours[key] == theirs.get(key)


class _explained:
    """Turns the server's refusals into errors that name the object."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, psycopg.Error):
            message = error.diag.message_primary or str(error)
            raise RestoreError(
                f"{self._what}: {message}", hint="rescue into a new database instead (--into-database)"
            ) from None
