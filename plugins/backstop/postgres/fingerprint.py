"""What the tables and large objects of a database contain, in one snapshot or on a restored copy.

Several sessions share the work, the biggest pieces first. A table that outweighs the others is split into
ranges of blocks, so that no session is left with it alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.errors import SourceError
from backstop.model.fingerprint import TableContent
from backstop.postgres.connection import source_errors
from backstop.postgres.large_objects import LARGE_OBJECTS, hash_large_objects, large_object_batches
from backstop.postgres.row_hash import SESSION_SETTINGS, row_hash
from backstop.postgres.snapshot import session_name

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import Composed

    from backstop.postgres.catalog import TableRef
    from backstop.postgres.connection import ClusterConnection

_BLOCK_BYTES = 8192
# Splitting costs the server's cache a little (a range of blocks is read without its ring buffer), so only
# tables that would keep the others waiting are split.
_SMALLEST_PART_BYTES = 64 * 1024 * 1024

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Something one session reads in one go.

    :param name: which table it is a part of.
    :param size_bytes: to choose the order, and for the progress.
    :param read: returns rows and the sum of their hashes (None when only counting).
    """

    name: str
    size_bytes: int
    read: Callable[[psycopg.Connection[Any]], tuple[int, int | None]]


def take_content(
    connection: ClusterConnection,
    *,
    tables: Sequence[TableRef],
    snapshot_id: str | None = None,
    jobs: int = 2,
    mode: str = "full",
    attempt: str = "fingerprint",
    stop: threading.Event | None = None,
    progress: Progress | None = None,
) -> tuple[list[TableContent], TableContent]:
    """The contents of these tables (sorted by name) and of all large objects.

    Partitioned tables have no rows of their own and are left out (but see ``TableRef.counted_as``); on a
    standby unlogged tables count as empty, as pg_dump dumps them there.

    :param snapshot_id: an exported snapshot to read in; None reads what is there now (a restored copy).
    :param mode: ``full`` hashes every row, ``counts`` counts them.
    :param stop: when set, all running queries are cancelled.
    :param progress: gets the bytes of each piece when it has been read, from several threads.
    :raises SourceError: a session failed, or ``stop`` was set.
    """
    if mode not in ("full", "counts"):
        raise ValueError(f"fingerprint mode {mode!r} is neither full nor counts")
    readers = _Readers(connection, snapshot_id=snapshot_id, application_name=session_name(attempt))
    with closing(readers):
        first = readers.open()
        with source_errors(connection.location):
            recovering = first.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone() == (True,)
            wanted = [table for table in tables if table.kind == "r" and not (recovering and table.unlogged)]
            pieces = [
                *_large_object_pieces(first, mode),
                *sorted(
                    (piece for table in wanted for piece in _table_pieces(table, wanted, jobs, mode)),
                    key=lambda piece: piece.size_bytes,
                    reverse=True,
                ),
            ]
        results = readers.run(pieces, jobs=jobs, stop=stop or threading.Event(), progress=progress)
    # An unlogged table that a standby cannot read is in its dump all the same, without rows.
    names = {table.counted_as or table.name for table in tables if table.kind == "r"}
    contents = {name: _total(name, results.get(name, []), mode) for name in names}
    large_objects = _total(LARGE_OBJECTS, results.get(LARGE_OBJECTS, []), mode)
    return [contents[name] for name in sorted(contents)], large_objects


class _Readers:
    """Sessions that read in the same snapshot with the same settings."""

    def __init__(
        self, connection: ClusterConnection, *, snapshot_id: str | None, application_name: str
    ) -> None:
        self._connection = connection
        self._snapshot_id = snapshot_id
        self._application_name = application_name
        self._sessions: list[psycopg.Connection[Any]] = []
        self._free: deque[psycopg.Connection[Any]] = deque()
        self._stopped = threading.Event()

    def open(self) -> psycopg.Connection[Any]:
        """One more session, ready to read."""
        from psycopg import sql

        session = self._connection.connect(application_name=self._application_name)
        self._sessions.append(session)
        self._free.append(session)
        with source_errors(self._connection.location):
            session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if self._snapshot_id is not None:
                session.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(self._snapshot_id)))
            for name, value in SESSION_SETTINGS.items():
                session.execute("SELECT pg_catalog.set_config(%s, %s, true)", [name, value])
        return session

    def run(
        self, pieces: Sequence[_Piece], *, jobs: int, stop: threading.Event, progress: Progress | None
    ) -> dict[str, list[tuple[int, int | None]]]:
        """Read all pieces; the first failure, or ``stop``, cancels what is running."""
        results: dict[str, list[tuple[int, int | None]]] = {}
        workers = max(1, min(jobs, len(pieces)))
        while len(self._sessions) < workers:
            self.open()
        queue = deque(pieces)

        def work(session: psycopg.Connection[Any]) -> None:
            while not self._stopped.is_set():
                try:
                    piece = queue.popleft()
                except IndexError:
                    return
                with source_errors(f"{self._connection.location}, {piece.name}"):
                    result = piece.read(session)
                results.setdefault(piece.name, []).append(result)
                if progress is not None:
                    progress(piece.size_bytes)

        with ThreadPoolExecutor(max_workers=workers) as pool:
            pending = {pool.submit(work, session) for session in self._sessions}
            try:
                self._await(pending, stop)
            except BaseException:
                self._cancel()
                raise
        return results

    def _await(self, pending: set[Future[None]], stop: threading.Event) -> None:
        while pending:
            done, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            if pending and stop.is_set():
                raise SourceError(
                    f"the fingerprint of {self._connection.dbname} was stopped",
                    hint="see the failure reported with it",
                )

    def _cancel(self) -> None:
        import psycopg

        self._stopped.set()
        for session in self._sessions:
            with suppress(psycopg.Error):
                session.cancel_safe(timeout=5)

    def close(self) -> None:
        for session in self._sessions:
            session.close()


def _large_object_pieces(session: psycopg.Connection[Any], mode: str) -> list[_Piece]:
    if mode == "counts":

        def count(session: psycopg.Connection[Any]) -> tuple[int, None]:
            row = session.execute("SELECT count(*) FROM pg_catalog.pg_largeobject_metadata").fetchone()
            return (row[0] if row else 0), None

        return [_Piece(LARGE_OBJECTS, 0, count)]
    # How big they are cannot be asked without reading them; they go first.
    return [
        _Piece(LARGE_OBJECTS, 0, lambda session, batch=batch: hash_large_objects(session, batch))  # type: ignore[misc]
        for batch in large_object_batches(session)
    ]


def _table_pieces(table: TableRef, tables: Sequence[TableRef], jobs: int, mode: str) -> list[_Piece]:
    total = sum(other.size_bytes for other in tables)
    part_bytes = max(total // (jobs * 4), _SMALLEST_PART_BYTES)
    parts = min(table.size_bytes // part_bytes, table.heap_bytes // _BLOCK_BYTES)
    if jobs < 2 or not table.heap or parts < 2:
        return [_piece(table, None, None, table.size_bytes, mode)]
    blocks = -(-table.heap_bytes // _BLOCK_BYTES // parts)
    bounds = [blocks * part for part in range(parts)]
    # The last part has no end: the table may have grown since its size was taken.
    ends: list[int | None] = [*bounds[1:], None]
    return [
        _piece(table, bound, end, table.size_bytes // parts, mode)
        for bound, end in zip(bounds, ends, strict=True)
    ]


def _piece(table: TableRef, first: int | None, end: int | None, size_bytes: int, mode: str) -> _Piece:
    query = content_query(table, first, end, mode)

    def read(session: psycopg.Connection[Any]) -> tuple[int, int | None]:
        row = session.execute(query).fetchone()
        if row is None:  # pragma: no cover - an aggregate always returns a row
            raise AssertionError("an aggregate returned nothing")
        return row[0], None if row[1] is None else int(row[1])

    return _Piece(table.counted_as or table.name, size_bytes, read)


def content_query(table: TableRef, first: int | None, end: int | None, mode: str) -> Composed:
    """The question to the server: rows and the sum of their hashes, in blocks ``first`` to ``end`` − 1."""
    from psycopg import sql

    source = sql.SQL("ONLY {} AS t").format(sql.Identifier(table.schema, table.table))
    if table.condition:
        # Written by the extension as a whole WHERE clause (pg_extension.extcondition), as pg_dump uses it.
        source = sql.SQL("(SELECT * FROM ONLY {} {}) AS t").format(
            sql.Identifier(table.schema, table.table),
            sql.SQL(table.condition),
        )
    total = sql.SQL("NULL")
    if mode == "full":
        total = sql.SQL("coalesce(sum({}), 0)").format(row_hash(table))  # type: ignore[assignment]
    bounds = [
        sql.SQL(text).format(sql.Literal(f"({block},0)"))
        for text, block in (("t.ctid >= {}::tid", first), ("t.ctid < {}::tid", end))
        if block is not None
    ]
    where = sql.SQL(" WHERE {}").format(sql.SQL(" AND ").join(bounds)) if bounds else sql.SQL("")
    return sql.SQL("SELECT count(*), {} FROM {}{}").format(total, source, where)


def _total(name: str, parts: Sequence[tuple[int, int | None]], mode: str) -> TableContent:
    content = str(sum(part[1] or 0 for part in parts)) if mode == "full" else None
    return TableContent(name=name, rows=sum(part[0] for part in parts), content=content)
