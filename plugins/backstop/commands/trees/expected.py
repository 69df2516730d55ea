"""Rows and files: what the target's database expects in a file tree, held against a backup of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.model.file_tree import EntryKind, shown
from backstop.postgres.connection import server_encoding, source_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path, PurePosixPath

    import psycopg

    from backstop.model.file_tree import Entry
    from backstop.postgres.connection import ClusterConnection

NAMED = 50
"""How many missing files are named; all are counted."""
_BATCH_ROWS = 10_000
_FILES = (EntryKind.FILE, EntryKind.SYMLINK)


@dataclass(frozen=True, slots=True)
class ExpectedFiles:
    """Where the paths come from.

    :param sql: gives one column, paths; a row without one expects nothing.
    :param below: the folder that relative paths begin at.
    :param database: opens nothing yet: a database that is not there must not keep backups from being proven.
    :param timeout_seconds: for the query.
    """

    sql: str
    below: PurePosixPath
    database: Callable[[], ClusterConnection]
    timeout_seconds: int = 60


@dataclass(frozen=True, slots=True)
class MissingFiles:
    """What a backup lacks of what the database expects now.

    :param named: the first of them, in order.
    """

    expected: int
    missing: int
    named: tuple[str, ...]

    def sentences(self) -> list[str]:
        """For a log or a terminal; empty when nothing is missing."""
        if not self.missing:
            return []
        rest = self.missing - len(self.named)
        return [
            f"{self.missing} of {self.expected} files that the database expects now are not in the backup; "
            "rows newer than it are among them",
            *self.named,
            *([f"and {rest} more"] if rest else []),
        ]

    def to_dict(self) -> dict[str, Any]:
        return {"expected": self.expected, "missing": self.missing, "named": list(self.named)}


def missing_files(expected: ExpectedFiles, entries: Iterable[Entry]) -> MissingFiles:
    """Ask the database, and look for every path it gives in the list of a backup.

    Paths are compared as they are written: none is followed through a symbolic link. Memory grows with the
    number of paths expected.

    :raises BackstopError: the database does not answer, or the query fails.
    """
    return _missing(expected, (entry.path for entry in entries if entry.kind in _FILES))


def missing_on_disk(expected: ExpectedFiles, root: Path) -> MissingFiles:
    """The same for files that lie under their whole paths below ``root``. No symbolic link is followed: one
    that was restored may lead to what is live.

    :raises BackstopError: the database does not answer, or the query fails.
    :raises OSError: a folder cannot be looked into.
    """
    return _missing(expected, _on_disk(os.fsencode(root)))


def _missing(expected: ExpectedFiles, present: Iterable[bytes]) -> MissingFiles:
    wanted = set(_asked(expected))
    count = len(wanted)
    for path in present:
        wanted.discard(path)
    named = tuple(shown(path) for path in sorted(wanted)[:NAMED])
    return MissingFiles(expected=count, missing=len(wanted), named=named)


def _on_disk(root: bytes) -> Iterator[bytes]:
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(root + b"/" + folder) as found:
            for one in found:
                path = folder + b"/" + one.name if folder else one.name
                if one.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif one.is_symlink() or one.is_file(follow_symlinks=False):
                    yield path


def _asked(expected: ExpectedFiles) -> Iterator[bytes]:
    database = expected.database()
    below = str(expected.below).encode(errors="surrogateescape")
    with (
        database.connect(application_name="backstop:check-files", autocommit=False) as session,
        source_errors(database.location, secret=database.password),
    ):
        session.read_only = True
        encoding = "latin-1" if server_encoding(session) == "SQL_ASCII" else "utf-8"
        session.execute("SELECT set_config('statement_timeout', %s, true)", (f"{expected.timeout_seconds}s",))
        # As the application would have it: the query is the target's own.
        session.execute("RESET search_path")
        for (path,) in _rows(session, expected.sql):
            if path is not None:
                yield _path(path if isinstance(path, bytes) else str(path).encode(encoding), below)


def _rows(session: psycopg.Connection[tuple[Any, ...]], sql: str) -> Iterator[tuple[Any]]:
    from backstop.errors import ConfigurationError

    with session.cursor(name="expected_files") as cursor:
        cursor.itersize = _BATCH_ROWS
        cursor.execute(sql.rstrip().rstrip(";").encode())
        if cursor.description is not None and len(cursor.description) != 1:
            raise ConfigurationError(
                f"expected.sql gives {len(cursor.description)} columns", hint="let it give one: the path"
            )
        yield from cursor


def _path(raw: bytes, below: bytes) -> bytes:
    """As the list has it: absolute, without the leading ``/``. What leads upwards is in no list."""
    whole = raw if raw.startswith(b"/") else below + b"/" + raw
    return b"/".join(part for part in whole.split(b"/") if part not in (b"", b"."))
