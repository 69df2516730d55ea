"""Definitions and sequence values out of a dump, read with pg_restore: ``toc.dat`` alone is enough.

Its binary format is documented nowhere but in PostgreSQL's source, and changes; what pg_restore prints is
SQL. One call prints all entries; when a text inside one of them imitates pg_restore's own comments, the
entries are asked for in halves until each is beyond doubt, so the result is exact whatever a dump holds.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.canonical import sha256_hex
from backstop.model.fingerprint import SchemaEntry, SequenceValue
from backstop.postgres.connection import server_encoding
from backstop.postgres.encodings import decode_script
from backstop.postgres.process import run_tool
from backstop.postgres.toc_entries import (
    EntryText,
    ListedEntry,
    name_entries,
    parse_list,
    parse_sequence_values,
    split_entries,
)
from backstop.postgres.tools import pg_dump_argv, pg_restore_argv, pg_restore_list_argv
from backstop.sql import load_sql

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    import psycopg

    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.tools import PostgresTools

_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Toc:
    """What a dump defines.

    :param texts: normalised SQL by identity (``TABLE public.equipment``), owners and grants included.
    :param sequences: the values a restore sets; empty for a dump of the schema only.
    :param table_data: the table's OID in the source by dump id; ``<dump id>.dat`` holds its rows.
    """

    texts: Mapping[str, str] = field(repr=False)
    sequences: tuple[SequenceValue, ...]
    table_data: Mapping[int, int]

    @property
    def schema(self) -> tuple[SchemaEntry, ...]:
        """A hash of each definition, sorted by identity."""
        return tuple(
            SchemaEntry(identity, sha256_hex(sql.encode("utf-8", errors="surrogateescape")))
            for identity, sql in sorted(self.texts.items())
        )

    def with_texts(self, further: Mapping[str, str]) -> Toc:
        """With definitions that are not in the dump, such as :func:`large_object_owners`."""
        return replace(self, texts={**self.texts, **further})


def read_toc(dump_directory: Path, tools: PostgresTools) -> Toc:
    """Read ``toc.dat`` of a directory-format dump; no data file is needed.

    :raises ToolError: pg_restore cannot read it; :raises IntegrityError: it is not whole.
    """
    listed = parse_list(run_tool(pg_restore_list_argv(tools, directory=dump_directory), env=_ENVIRONMENT))
    with tempfile.TemporaryDirectory(prefix="toc-", dir=dump_directory.parent) as scratch:
        printer = _Printer(dump_directory, tools, Path(scratch) / "list")
        texts = printer.entries([entry for entry in listed if entry.is_schema])
        sequences = [entry for entry in listed if entry.is_sequence_set]
        values = parse_sequence_values(printer.script(sequences), sequences) if sequences else ()
    return Toc(
        texts=name_entries(texts),
        sequences=values,
        table_data={entry.dump_id: entry.oid for entry in listed if entry.is_table_data},
    )


def read_definitions(dump_directory: Path, tools: PostgresTools) -> list[EntryText]:
    """Each definition with its kind and owner, in the dump's order; errors as :func:`read_toc`."""
    listed = parse_list(run_tool(pg_restore_list_argv(tools, directory=dump_directory), env=_ENVIRONMENT))
    with tempfile.TemporaryDirectory(prefix="toc-", dir=dump_directory.parent) as scratch:
        printer = _Printer(dump_directory, tools, Path(scratch) / "list")
        return printer.entries([entry for entry in listed if entry.is_schema])


def read_entries(
    dump_directory: Path, tools: PostgresTools
) -> tuple[list[ListedEntry], list[tuple[ListedEntry, EntryText]]]:
    """Every entry of the list, and each definition but grants with its SQL, in the dump's order.

    :raises ToolError: pg_restore cannot read it; :raises IntegrityError: it is not whole.
    """
    listed = parse_list(run_tool(pg_restore_list_argv(tools, directory=dump_directory), env=_ENVIRONMENT))
    # pg_restore prints grants and event triggers after everything else, whatever the list says.
    wanted = [entry for entry in listed if entry.is_schema and not entry.is_printed_late]
    with tempfile.TemporaryDirectory(prefix="toc-", dir=dump_directory.parent) as scratch:
        texts = _Printer(dump_directory, tools, Path(scratch) / "list").entries(wanted)
    for entry, text in zip(wanted, texts, strict=True):
        if not entry.description.startswith(f"{text.kind} "):
            raise IntegrityError(
                f"pg_restore prints {text.kind} {text.tag} for entry {entry.dump_id}",
                hint="report this with the versions of server and pg_restore",
            )
    return listed, list(zip(wanted, texts, strict=True))


def list_section(dump_directory: Path, tools: PostgresTools, section: str) -> list[ListedEntry]:
    """The entries of ``pre-data``, ``data`` or ``post-data``; errors as :func:`read_toc`."""
    argv = [*pg_restore_list_argv(tools, directory=dump_directory), f"--section={section}"]
    return parse_list(run_tool(argv, env=_ENVIRONMENT))


def read_sequence_values(dump_directory: Path, tools: PostgresTools) -> tuple[SequenceValue, ...]:
    """The values that a restore sets; errors as :func:`read_toc`."""
    listed = parse_list(run_tool(pg_restore_list_argv(tools, directory=dump_directory), env=_ENVIRONMENT))
    sequences = [entry for entry in listed if entry.is_sequence_set]
    if not sequences:
        return ()
    with tempfile.TemporaryDirectory(prefix="toc-", dir=dump_directory.parent) as scratch:
        printer = _Printer(dump_directory, tools, Path(scratch) / "list")
        return parse_sequence_values(printer.script(sequences), sequences)


def large_object_grants(dump_directory: Path, tools: PostgresTools) -> str:
    """The SQL that grants something on large objects; no definition, so :func:`read_toc` lacks it."""
    listed = parse_list(run_tool(pg_restore_list_argv(tools, directory=dump_directory), env=_ENVIRONMENT))
    chosen = [entry for entry in listed if entry.is_large_object_grant]
    if not chosen:
        return ""
    with tempfile.TemporaryDirectory(prefix="toc-", dir=dump_directory.parent) as scratch:
        return _Printer(dump_directory, tools, Path(scratch) / "list").script(chosen)


def schemas_apart(dump_directory: Path, tools: PostgresTools) -> tuple[str, str]:
    """Two lists for ``pg_restore --use-list``: the schemas with their grants, and everything else."""
    listed = parse_list(run_tool(pg_restore_list_argv(tools, directory=dump_directory), env=_ENVIRONMENT))
    lists = [
        "".join(f"{entry.dump_id};\n" for entry in listed if entry.is_schema_itself is wanted)
        for wanted in (True, False)
    ]
    return lists[0], lists[1]


def forces_row_security(dump_directory: Path, tools: PostgresTools) -> bool:
    """Whether row-level security holds for the owner of some table; may err towards yes."""
    argv = pg_restore_argv(tools, directory=dump_directory, options=["--section=pre-data"])
    return "FORCE ROW LEVEL SECURITY" in run_tool(argv, env=_ENVIRONMENT)


def refers_from_partitions(dump_directory: Path, tools: PostgresTools) -> bool:
    """Whether a partitioned table may have a foreign key; errs towards yes."""
    listed = parse_list(run_tool(pg_restore_list_argv(tools, directory=dump_directory), env=_ENVIRONMENT))
    kinds = ("TABLE ATTACH ", "FK CONSTRAINT ")
    return all(any(entry.description.startswith(kind) for entry in listed) for kind in kinds)


def schema_of(
    connection: ClusterConnection,
    tools: PostgresTools,
    *,
    folder: Path | None = None,
    application_name: str = "backstop",
    stop: threading.Event | None = None,
) -> Toc:
    """What a live database defines, as :func:`read_toc` would read it from its dump; without sequences.

    Owners of large objects are included, which a dump of the schema lacks.

    :param folder: for a moment it holds the definitions and a password file; one that is swept when we are
        killed.
    """
    with connection.connect(application_name=application_name) as session:
        owners = large_object_owners(session)
        encoding = server_encoding(session)
    with tempfile.TemporaryDirectory(prefix="backstop-schema-", dir=folder) as scratch:
        directory = Path(scratch) / "dump"
        with connection.child_environment(
            Path(scratch), application_name=application_name, encoding=encoding
        ) as environment:
            argv = pg_dump_argv(tools, directory=directory, schema_only=True)
            run_tool(argv, env=environment, stop=stop)
        return read_toc(directory, tools).with_texts(owners)


def large_object_owners(session: psycopg.Connection[Any]) -> dict[str, str]:
    """Owners, grants and comments of the large objects, as definitions: one for each owner.

    Asked of the catalogue because ``pg_dump --schema-only`` leaves them out.
    """
    return {
        f"LARGE OBJECTS of {owner}": f"{count} large objects, owner, grants and comments: {content}"
        for owner, count, content in session.execute(load_sql("catalog/large_object_owners"))
    }


class _Printer:
    """Has pg_restore print chosen entries of one dump."""

    def __init__(self, directory: Path, tools: PostgresTools, list_file: Path) -> None:
        self._directory = directory
        self._tools = tools
        self._list_file = list_file

    def entries(self, listed: Sequence[ListedEntry]) -> list[EntryText]:
        if not listed:
            return []
        texts = split_entries(self.script(listed), listed)
        if texts is not None:
            return texts
        middle = len(listed) // 2
        return self.entries(listed[:middle]) + self.entries(listed[middle:])

    def script(self, listed: Sequence[ListedEntry]) -> str:
        self._list_file.write_text("".join(f"{entry.dump_id};\n" for entry in listed), encoding="ascii")
        # Tablespaces are where things lie, not what they are, and scratch servers have none.
        argv = pg_restore_argv(
            self._tools, directory=self._directory, entries=self._list_file, options=["--no-tablespaces"]
        )
        return decode_script(run_tool(argv, env=_ENVIRONMENT).encode("utf-8", errors="surrogateescape"))
