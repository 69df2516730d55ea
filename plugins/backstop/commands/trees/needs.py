"""Which pieces go where: an index by pack, on disk, so that each pack is read once whatever a tree's size."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError, RestoreError, StorageFullError
from backstop.model.file_tree import Chunk, Entry, EntryKind, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BATCH = 5_000
_LEAST_FREE_BYTES = 1024 * 1024
_TABLES = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE need (pack TEXT, sha256 TEXT, size INTEGER, offset INTEGER, place INTEGER, path BLOB,
                       whole INTEGER, mode INTEGER, uid INTEGER, gid INTEGER, mtime_ns INTEGER, bytes INTEGER,
                       xattrs BLOB);
    CREATE TABLE later (kind TEXT, place INTEGER, line BLOB);
"""


@dataclass(frozen=True, slots=True)
class Need:
    """One piece and the file it is wanted in.

    :param place: number of the folder that the file is restored into.
    :param entry: of the file; without its pieces.
    :param whole: it is the file's only piece.
    """

    sha256: str
    size_bytes: int
    offset: int
    place: int
    entry: Entry
    whole: bool


class Needs:
    """Filled by one thread, then read by any.

    :param path: of a new file in a private folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._failures_told():
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._connection.executescript(_TABLES)
        self._needs: list[tuple[Any, ...]] = []
        self._later: list[tuple[Any, ...]] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        self._connection.close()

    def pieces(self, entry: Entry, place: int) -> None:
        """All pieces of a file."""
        whole = len(entry.chunks) == 1
        for chunk in entry.chunks:
            self._need(chunk, entry, place, whole)

    def later(self, kind: str, entry: Entry, place: int) -> None:
        """What is finished when all content is there: a ``file`` of several pieces, a ``link``, a folder."""
        self._later.append((kind, place, replace(entry, chunks=()).to_line()))
        if len(self._later) >= _BATCH:
            self._store()

    def done(self) -> None:
        """Nothing more comes."""
        self._store()
        with self._failures_told():
            self._connection.execute("CREATE INDEX need_pack ON need (pack)")

    def packs(self) -> list[str]:
        """Names of all packs that are needed, in the order of the list of files."""
        query = "SELECT pack FROM need GROUP BY pack ORDER BY min(rowid)"
        with self._lock, self._failures_told():
            return [str(name) for (name,) in self._connection.execute(query)]

    def of_pack(self, pack: str) -> Iterator[Need]:
        """In the order of the list of files."""
        query = "SELECT rowid, * FROM need WHERE pack = ? AND rowid > ? ORDER BY rowid LIMIT ?"
        last = 0
        while True:
            with self._lock, self._failures_told():
                rows = self._connection.execute(query, (pack, last, _BATCH)).fetchall()
            for row in rows:
                yield _need(row)
            if len(rows) < _BATCH:
                return
            last = rows[-1][0]

    def to_finish(self, kind: str, *, backwards: bool = False) -> Iterator[tuple[int, Entry]]:
        """What :meth:`later` was told; backwards, a folder comes after all that is in it."""
        order = "DESC" if backwards else "ASC"
        query = f"SELECT place, line FROM later WHERE kind = ? ORDER BY rowid {order}"  # noqa: S608 two words # nosec B608
        for place, line in self._connection.execute(query, (kind,)):
            yield place, Entry.from_line(line)

    def _need(self, chunk: Chunk, entry: Entry, place: int, whole: bool) -> None:
        xattrs = json.dumps([[name, value.hex()] for name, value in entry.xattrs]) if entry.xattrs else None
        metadata = (entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.size_bytes, xattrs)
        self._needs.append(
            (chunk.pack, chunk.sha256, chunk.size_bytes, chunk.offset, place, entry.path, whole, *metadata)
        )
        if len(self._needs) >= _BATCH:
            self._store()

    def _store(self) -> None:
        try:
            with self._failures_told():
                self._connection.execute("BEGIN")
                self._connection.executemany(
                    f"INSERT INTO need VALUES ({'?, ' * 12}?)",  # noqa: S608 a mark a column # nosec B608
                    self._needs,
                )
                self._connection.executemany("INSERT INTO later VALUES (?, ?, ?)", self._later)
                self._connection.execute("COMMIT")
        except OverflowError as error:
            raise IntegrityError(
                f"the list of files has a number that no file has, near {shown(self._needs[0][5])}",
                hint="choose another backup",
            ) from error
        self._needs.clear()
        self._later.clear()

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        """:raises StorageFullError: no space for the index; :raises RestoreError: its disk fails."""
        try:
            yield
        except sqlite3.Error as error:
            # Without a journal there is nothing to roll back to: the restore ends here either way.
            place = self._path.parent
            if "full" in str(error) or shutil.disk_usage(place).free < _LEAST_FREE_BYTES:
                raise StorageFullError(
                    f"no space left in {place} for the index of this restore",
                    hint="free some, or name a larger folder as `spool`, then restore again",
                ) from error
            raise RestoreError(
                f"the index of this restore in {place} cannot be used: {error}",
                hint="see what its disk says, or name another folder as `spool`",
            ) from error


def _need(row: tuple[Any, ...]) -> Need:
    _, _, sha256, size, offset, place, path, whole, mode, uid, gid, mtime_ns, file_bytes, xattrs = row
    entry = Entry(
        path=path,
        kind=EntryKind.FILE,
        mode=mode,
        uid=uid,
        gid=gid,
        owner="",
        group="",
        mtime_ns=mtime_ns,
        size_bytes=file_bytes,
        xattrs=tuple((name, bytes.fromhex(value)) for name, value in json.loads(xattrs)) if xattrs else (),
    )
    return Need(sha256, size, offset, place, entry, bool(whole))
