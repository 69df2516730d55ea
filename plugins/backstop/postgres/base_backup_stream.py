"""What the server sends in answer to BASE_BACKUP (PostgreSQL docs, 55.4), as typed messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.errors import SourceError
from backstop.model.lsn import Lsn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.postgres.replication_wire import Wire

_NEW_ARCHIVE, _MANIFEST, _DATA, _PROGRESS = ord("n"), ord("m"), ord("d"), ord("p")
_NAMED_FAILURES = 5
_CHECKSUM_FAILURES = "data checksum"
_DATA_CORRUPTED = "XX001"


@dataclass(frozen=True, slots=True)
class Tablespace:
    """One tablespace of the cluster.

    :param oid: None for the data directory itself.
    :param location: absolute path on the server; None for the data directory.
    :param size_bytes: the server's estimate.
    """

    oid: int | None
    location: str | None
    size_bytes: int

    @property
    def name(self) -> str:
        """``base``, or the oid."""
        return "base" if self.oid is None else str(self.oid)


@dataclass(frozen=True, slots=True)
class BackupStarted:
    """Recovery must begin at ``start``."""

    start: Lsn
    timeline: int
    tablespaces: tuple[Tablespace, ...]

    @property
    def size_bytes(self) -> int:
        return sum(tablespace.size_bytes for tablespace in self.tablespaces)


@dataclass(frozen=True, slots=True)
class ArchiveStarted:
    """A tar archive begins: what follows is the content of this tablespace (``base`` or an oid)."""

    tablespace: str


@dataclass(frozen=True, slots=True)
class ManifestStarted:
    """The last archive is complete; what follows is the backup_manifest."""


@dataclass(frozen=True, slots=True)
class BackupData:
    """The next bytes of the archive or manifest that began last."""

    data: memoryview = field(repr=False)


@dataclass(frozen=True, slots=True)
class BackupProgress:
    """So many bytes of all archives are done, as the server counts."""

    done_bytes: int


@dataclass(frozen=True, slots=True)
class BackupEnded:
    """The copy is consistent once WAL up to ``end`` has been replayed."""

    end: Lsn
    timeline: int


BackupMessage = BackupStarted | ArchiveStarted | ManifestStarted | BackupData | BackupProgress | BackupEnded


def read_base_backup(wire: Wire, command: str) -> Iterator[BackupMessage]:
    """Run the command and read what it sends, to its end; the last message is :class:`BackupEnded`.

    The end counts only when the iterator is exhausted: the server reports damaged pages after it.

    :raises SourceError: the server refuses, or found damaged pages: named.
    """
    import psycopg

    with wire.errors():
        wire.send(command)
        yield _started(wire.result(), wire.result())
        _expect_copy(wire)
        for message in wire.receive_all():
            yield _parse(message, wire)
        ended = _position(wire.result())
        yield BackupEnded(*ended)
        try:
            while wire.result() is not None:
                pass
        except psycopg.Error as error:
            if error.sqlstate != _DATA_CORRUPTED:
                raise
            raise _damaged_pages(wire) from None


def _started(position: Any, tablespaces: Any) -> BackupStarted:
    found = []
    for row in range(tablespaces.ntuples):
        oid, location, kibibytes = (tablespaces.get_value(row, column) for column in range(3))
        found.append(
            Tablespace(
                oid=int(oid) if oid else None,
                location=location.decode("utf-8", "surrogateescape") if location else None,
                size_bytes=int(kibibytes) * 1024 if kibibytes else 0,
            )
        )
    return BackupStarted(*_position(position), tuple(found))


def _position(result: Any) -> tuple[Lsn, int]:
    return Lsn.parse(result.get_value(0, 0).decode()), int(result.get_value(0, 1))


def _expect_copy(wire: Wire) -> None:
    from psycopg.pq import ExecStatus

    result = wire.result()
    if result is None or result.status != ExecStatus.COPY_OUT:
        raise SourceError(
            f"{wire.location} answered BASE_BACKUP without a COPY", hint="connect directly, not by a pooler"
        )


def _parse(message: memoryview, wire: Wire) -> BackupMessage:
    kind = message[0]
    if kind == _DATA:
        return BackupData(message[1:])
    if kind == _PROGRESS:
        return BackupProgress(int.from_bytes(message[1:9], "big"))
    if kind == _NEW_ARCHIVE:
        name = message[1:].tobytes().split(b"\0", 1)[0].decode()
        return ArchiveStarted(name.removesuffix(".tar"))
    if kind == _MANIFEST:
        return ManifestStarted()
    raise SourceError(
        f"{wire.location} sent a message of unknown kind {message[:1].tobytes()!r} in its base backup",
        hint="this is a defect: report it with the server's version",
    )


def _damaged_pages(wire: Wire) -> SourceError:
    told = [text for text in wire.notices if "checksum" in text]
    named = "; ".join(told[:_NAMED_FAILURES]) + ("; …" if len(told) > _NAMED_FAILURES else "")
    return SourceError(
        f"{wire.location} found damaged pages while it was copied: {named or 'see its log'}",
        hint="its disk or memory damages data: check it, then repair or restore what the files belong to; "
        "earlier backups are untouched",
    )
