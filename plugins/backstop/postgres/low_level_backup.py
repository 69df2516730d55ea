"""A base backup by the low-level API (PostgreSQL docs, 25.3.4): pg_backup_start to pg_backup_stop.

The server is in backup mode for as long as the session lives: it ends with it, however that happens, and
nothing is left behind. What was copied in a session that was lost is worth nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.errors import SourceError, SourceUnavailableError
from backstop.model.lsn import Lsn
from backstop.postgres.connection import source_errors
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from backstop.postgres.connection import ClusterConnection

APPLICATION_NAME = "backstop:base"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The newest one that the server's own pg_control tells of."""

    location: Lsn
    redo: Lsn
    timeline: int


@dataclass(frozen=True, slots=True)
class BackupStopped:
    """The copy is consistent once WAL up to ``end`` has been replayed.

    :param label: the file ``backup_label``, to be stored byte by byte.
    :param tablespaces: where each tablespace was, by oid: what ``tablespace_map`` would say.
    """

    end: Lsn
    label: bytes = field(repr=False)
    tablespaces: dict[int, str]


class LowLevelBackup:
    """One session. For one thread at a time; see :func:`low_level_backup`."""

    def __init__(self, session: psycopg.Connection[tuple[Any, ...]], location: str) -> None:
        self._session = session
        self._location = location

    def start(self, label: str) -> Lsn:
        """A fast checkpoint, and page images in WAL from now on. Recovery must begin at what is returned.

        :raises SourceError: the server refuses.
        """
        (start,) = self._row("backup/start", [label])
        return Lsn.parse(start)

    def checkpoint(self) -> Checkpoint:
        location, redo, timeline = self._row("backup/checkpoint")
        return Checkpoint(Lsn.parse(location), Lsn.parse(redo), timeline)

    def databases(self) -> dict[int, frozenset[int]]:
        """Which have files in each tablespace, by oid: as the server finds them on its disk now.

        :raises SourceUnavailableError: the session is lost, and with it the backup.
        """
        try:
            with source_errors(self._location):
                rows = self._session.execute(load_sql("backup/databases")).fetchall()
        except SourceUnavailableError as error:
            raise _lost(error) from error
        return {tablespace: frozenset(databases) for tablespace, databases in rows}

    def check(self) -> None:
        """:raises SourceUnavailableError: the session is lost, and with it the backup."""
        try:
            self._row("preflight/clock")
        except SourceError as error:
            raise _lost(error) from error

    def stop(self) -> BackupStopped:
        """End it; whether the WAL is safe is asked of the repositories, not of the server's archiver.

        :raises SourceUnavailableError: the session was lost: what was copied is no backup.
        """
        try:
            end, label, tablespace_map = self._row("backup/stop")
        except SourceUnavailableError as error:
            raise _lost(error) from error
        return BackupStopped(Lsn.parse(end), bytes(label), parse_tablespace_map(bytes(tablespace_map)))

    def _row(self, name: str, parameters: list[str] | None = None) -> tuple[Any, ...]:
        with source_errors(self._location):
            row = self._session.execute(load_sql(name), parameters).fetchone()
        if row is None:  # pragma: no cover - each of them is a SELECT without FROM
            raise AssertionError(name)
        return row


@contextmanager
def low_level_backup(cluster: ClusterConnection) -> Iterator[LowLevelBackup]:
    """A session of its own; whatever is not stopped is over once it is closed.

    :raises SourceUnavailableError: nobody answers.
    """
    session = cluster.connect(application_name=APPLICATION_NAME)
    try:
        yield LowLevelBackup(session, cluster.location)
    finally:
        session.close()


def parse_tablespace_map(content: bytes) -> dict[int, str]:
    r"""``<oid> <path>`` a line; line ends and backslashes in a path have a backslash before them.

    :raises SourceError: it is of another form.
    """
    found: dict[int, str] = {}
    text = content.decode("utf-8", "surrogateescape")
    line, escaped = "", False
    for letter in text:
        if letter == "\\" and not escaped:
            escaped = True
            continue
        if letter in "\n\r" and not escaped:
            _add(found, line)
            line = ""
        else:
            line += letter
        escaped = False
    if line:
        _add(found, line)
    return found


def _add(found: dict[int, str], line: str) -> None:
    oid, _, path = line.partition(" ")
    if not oid.isdecimal() or not path:
        raise SourceError(
            f"the server's tablespace_map has the line {line!r}",
            hint="this is a defect: report it with the server's version; or take it over the network",
        )
    found[int(oid)] = path


def _lost(error: SourceError) -> SourceUnavailableError:
    return SourceUnavailableError(
        f"the session that held the backup was lost: {error.message}",
        hint="see the server's log; what was copied is no backup and was thrown away: take it again",
    )
