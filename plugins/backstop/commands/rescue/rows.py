"""Rows on their way into a rescued table: where they go, copying them, and counting what has arrived."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql

from backstop.errors import IntegrityError, VerificationError
from backstop.model.fingerprint import TableContent
from backstop.postgres.catalog import list_tables
from backstop.postgres.dump_directory import TOC
from backstop.postgres.encodings import decode_script
from backstop.postgres.fingerprint import content_query
from backstop.postgres.process import run_tool
from backstop.postgres.row_hash import SESSION_SETTINGS
from backstop.postgres.tools import pg_restore_argv
from backstop.postgres.written_names import IDENTIFIER, QUALIFIED, split_columns, split_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import psycopg

    from backstop.commands.progress import Progress
    from backstop.commands.rescue.sources import TableRows
    from backstop.model.table_patterns import TableName
    from backstop.postgres.tools import PostgresTools

BLOCK_BYTES = 256 * 1024
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
_COPY = re.compile(
    rf"^COPY ({QUALIFIED}) +(?:\(({IDENTIFIER}(?:, {IDENTIFIER})*)\) )?FROM stdin;$", re.MULTILINE
)


def read_copy_targets(
    dump: Path, dump_ids: Sequence[int], tools: PostgresTools
) -> dict[int, tuple[TableName, tuple[str, ...]]]:
    """Which table and columns the rows of each data entry go into, by dump id.

    pg_restore says so in the COPY that it prints before the rows: here, before none.

    :raises IntegrityError: that cannot be read.
    """
    if not dump_ids:
        return {}
    with tempfile.TemporaryDirectory(prefix="copy-", dir=dump.parent) as scratch:
        hollow = Path(scratch) / "dump"
        hollow.mkdir()
        (hollow / TOC).symlink_to(dump / TOC)
        for dump_id in dump_ids:
            (hollow / f"{dump_id}.dat").touch()
        entries = Path(scratch) / "list"
        entries.write_text("".join(f"{dump_id};\n" for dump_id in dump_ids), encoding="ascii")
        argv = pg_restore_argv(tools, directory=hollow, entries=entries, options=["--data-only"])
        script = decode_script(run_tool(argv, env=_ENVIRONMENT).encode("utf-8", errors="surrogateescape"))
    found = _COPY.findall(script)
    if len(found) != len(dump_ids):
        raise IntegrityError(
            f"the dump has rows of {len(dump_ids)} tables, but pg_restore prints {len(found)} COPYs",
            hint="report this with the versions of server and pg_restore",
        )
    return {
        dump_id: (split_name(table), tuple(split_columns(columns)))
        for dump_id, (table, columns) in zip(dump_ids, found, strict=True)
    }


def copy_in(
    session: psycopg.Connection[Any],
    rows: Sequence[TableRows],
    *,
    place: Callable[[TableName], TableName],
    encoding: str,
    progress: Progress,
) -> None:
    """Copy every table's rows to where ``place`` puts it; inside a transaction of the caller's."""
    for table in rows:
        statement = copy_statement(place(table.into), table.columns, "FROM STDIN", encoding=encoding)
        with table.blocks() as blocks, session.cursor() as cursor, cursor.copy(statement) as copy:
            for block in blocks:
                copy.write(block)
                progress.advance(len(block))


def copy_statement(
    table: TableName, columns: Sequence[str], direction: str, *, encoding: str
) -> sql.Composed:
    """:param direction: ``FROM STDIN`` or ``TO STDOUT``.

    :param encoding: of the rows; a dump has them in its database's own.
    """
    # A table without columns has rows all the same, and takes no list.
    listed = sql.SQL("({}) " if columns else "{}").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    return sql.SQL("COPY {} {}{} WITH (ENCODING {})").format(
        sql.Identifier(*table), listed, sql.SQL(direction), sql.Literal(encoding)
    )


def contents_of(
    session: psycopg.Connection[Any], tables: Collection[TableName], *, counts_only: bool
) -> dict[str, TableContent]:
    """What these tables hold, as this session sees it, by quoted, qualified name."""
    for name, value in SESSION_SETTINGS.items():
        session.execute("SELECT pg_catalog.set_config(%s, %s, true)", [name, value])
    parts: dict[str, list[tuple[int, int]]] = {}
    for table in list_tables(session):
        if table.kind != "r" or (table.schema, table.table) not in tables:
            continue
        query = content_query(table, None, None, "counts" if counts_only else "full")
        count, total = session.execute(query).fetchone() or (0, 0)
        parts.setdefault(table.counted_as or table.name, []).append((count, int(total or 0)))
    return {
        name: TableContent(
            name=name,
            rows=sum(count for count, _ in counted),
            content=None if counts_only else str(sum(total for _, total in counted)),
        )
        for name, counted in parts.items()
    }


def refuse_differences(
    described: str,
    expected: Mapping[str, TableContent | None],
    found: Mapping[str, TableContent],
) -> None:
    """:raises VerificationError: a table is not what it was; names each."""
    wrong = []
    for name, content in sorted(found.items()):
        before = expected[name]
        if before is None:
            wrong.append(f"{name}: nothing is known of its contents by itself; rescue its partitioned table")
        elif before.rows != content.rows:
            wrong.append(f"{name}: {before.rows} rows in {described}, {content.rows} rescued")
        elif before.content != content.content:
            wrong.append(f"{name}: {before.rows} rows, but their contents differ")
    if wrong:
        raise VerificationError(
            f"the rescued tables are not what {described} holds: " + "; ".join(wrong[:20]),
            hint="nothing was left on the server; try another backup",
        )
