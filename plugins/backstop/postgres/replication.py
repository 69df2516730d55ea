"""A client of PostgreSQL's streaming replication protocol (docs, 55.4): base backups, slots, WAL."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from backstop.errors import ConfigurationError, SlotMissingError, SourceError, WalLostError
from backstop.model.lsn import Lsn
from backstop.postgres.base_backup_stream import read_base_backup
from backstop.postgres.connection import APPLICATION_NAME
from backstop.postgres.replication_wire import Wire
from backstop.postgres.wal_stream import WalStream, timeline_end

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from types import TracebackType

    from backstop.postgres.base_backup_stream import BackupMessage
    from backstop.postgres.connection import ClusterConnection

INCREMENTAL_VERSION = 170000
_SLOT_NAME = re.compile(r"[a-z0-9_]{1,63}")
_UNITS = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_UPLOAD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ClusterIdentity:
    """Which cluster this is and where its WAL stands.

    :param system_id: made by initdb; the same on every standby, in every physical copy.
    :param segment_bytes: size of a WAL segment file.
    """

    system_id: str
    timeline: int
    flush_lsn: Lsn
    segment_bytes: int


@dataclass(frozen=True, slots=True)
class SlotState:
    """A physical slot.

    :param restart_lsn: WAL from here on is kept; None when it keeps none: the server invalidated it.
    """

    name: str
    restart_lsn: Lsn | None
    timeline: int | None

    @property
    def lost(self) -> bool:
        """Whether it no longer keeps WAL (slots made here always do, until the server gives up)."""
        return self.restart_lsn is None


class ReplicationConnection:
    """A replication session, closed by ``with``. For one thread at a time.

    :param application_name: the server shows it, and matches it with synchronous_standby_names.
    :param stop: when set, whatever waits ends within 0.2 s: :class:`SourceUnavailableError` ("stopped on
        request") from commands and base backups, None from :meth:`WalStream.receive`.
    :raises SourceUnavailableError: nobody answers, or the server has no walsender free.
    :raises SourceError: older than PostgreSQL 15, or the role may not replicate.
    """

    def __init__(
        self,
        connection: ClusterConnection,
        *,
        application_name: str = APPLICATION_NAME,
        stop: threading.Event | None = None,
    ) -> None:
        self._wire = Wire(connection, application_name=application_name, stop=stop)

    def __enter__(self) -> ReplicationConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session; the server stops whatever it was doing for it."""
        self._wire.close()

    @property
    def location(self) -> str:
        return self._wire.location

    @property
    def server_version(self) -> int:
        """As ``SHOW server_version_num``."""
        return self._wire.server_version

    def identify(self) -> ClusterIdentity:
        system_id, timeline, position = self._row("IDENTIFY_SYSTEM")[:3]
        return ClusterIdentity(
            system_id=_text(system_id),
            timeline=int(_text(timeline)),
            flush_lsn=Lsn.parse(_text(position)),
            segment_bytes=_bytes_of(self.setting("wal_segment_size")),
        )

    def is_standby(self) -> bool:
        """Whether it is in recovery, so writes no WAL of its own (``in_hot_standby``, PostgreSQL 14 on)."""
        return self.setting("in_hot_standby") == "on"

    def setting(self, name: str) -> str:
        """A server setting as SHOW shows it.

        :raises SourceError: the server knows no such setting, or keeps it from this role.
        """
        if not re.fullmatch(r"[a-z_.]+", name):
            raise ConfigurationError(f"{name!r} is not the name of a setting", hint="see pg_settings")
        return _text(self._row(f"SHOW {name}")[0])

    def setting_bytes(self, name: str) -> int | None:
        """A setting that is a size; None when it says -1, without limit. :raises SourceError: as before."""
        text = self.setting(name)
        return None if text == "-1" else _bytes_of(text)

    def timeline_history(self, timeline: int) -> bytes:
        """The content of ``<timeline>.history``; empty for timeline 1, which never has one.

        :raises WalLostError: the server does not have it (any more).
        """
        if timeline == 1:
            return b""
        content = self._row(f"TIMELINE_HISTORY {timeline:d}")[1]
        return bytes(content or b"")

    # -- Slots -----------------------------------------------------------------------------------------------

    def slot(self, name: str) -> SlotState | None:
        """The physical slot of that name, or None.

        :raises SourceError: it is a logical one.
        """
        kind, restart_lsn, timeline = self._row(f"READ_REPLICATION_SLOT {_quoted(name)}")
        if kind is None:
            return None
        return SlotState(
            name=name,
            restart_lsn=Lsn.parse(_text(restart_lsn)) if restart_lsn else None,
            timeline=int(timeline) if timeline else None,
        )

    def create_slot(self, name: str) -> SlotState:
        """Make a physical slot that keeps WAL from now on.

        :raises SourceError: it exists already, or there is no room for another.
        """
        self._wire.execute(f"CREATE_REPLICATION_SLOT {_quoted(name)} PHYSICAL ( RESERVE_WAL )")
        made = self.slot(name)
        if made is None:
            raise SourceError(f"{self.location}: slot {name} is gone again", hint="somebody dropped it")
        return made

    def drop_slot(self, name: str) -> None:
        """Remove the slot; the server may then remove the WAL it kept. Absent is success.

        :raises SourceBusyError: somebody is streaming from it.
        """
        if self.slot(name) is not None:
            self._wire.execute(f"DROP_REPLICATION_SLOT {_quoted(name)}")

    # -- Base backup -----------------------------------------------------------------------------------------

    def base_backup(
        self, *, label: str, incremental: bool = False, verify_checksums: bool = True
    ) -> Iterator[BackupMessage]:
        """Copy the cluster, without WAL: see :func:`~backstop.postgres.base_backup_stream.read_base_backup`.

        Fast checkpoint, manifest with CRC32C, progress. Tablespaces come as symbolic links in the ``base``
        archive and one archive each. An iterator that is not read to its end leaves the connection unusable.

        :param incremental: needs :meth:`upload_manifest` on this connection before.
        :param verify_checksums: let the server check every page, where the cluster has checksums.
        """
        options = [
            f"LABEL {_literal(label)}",
            "PROGRESS",
            "CHECKPOINT 'fast'",
            "WAL false",
            # Whether the WAL is safe is asked of the repository. The server's own archive may be slow, or
            # broken for days: it would be waited for without end.
            "WAIT false",
            "MANIFEST 'yes'",
            "MANIFEST_CHECKSUMS 'CRC32C'",
            f"VERIFY_CHECKSUMS {'true' if verify_checksums else 'false'}",
        ]
        if incremental:
            self.refuse_incremental()
            options.append("INCREMENTAL")
        return read_base_backup(self._wire, f"BASE_BACKUP ( {', '.join(options)} )")

    def refuse_incremental(self) -> None:
        """:raises SourceError: when this server cannot take incremental backups; says what to change."""
        if self.server_version < INCREMENTAL_VERSION:
            raise SourceError(
                f"{self.location} is PostgreSQL {self.server_version // 10000}; incremental base backups "
                "need 17 or later",
                hint="take full base backups",
            )
        if self.setting("summarize_wal") != "on":
            raise SourceError(
                f"{self.location} does not summarize its WAL, so it cannot tell what has changed",
                hint="set summarize_wal = on, reload, then take a full base backup first",
            )

    def upload_manifest(self, manifest: Path | bytes) -> None:
        """Tell the server what the parent of the coming incremental backup held: its backup_manifest.

        :raises SourceError: the server does not believe it.
        """
        self.refuse_incremental()
        source: BinaryIO = manifest.open("rb") if isinstance(manifest, Path) else io.BytesIO(manifest)
        with source, self._wire.errors():
            self._wire.send("UPLOAD_MANIFEST")
            self._wire.results()
            while block := source.read(_UPLOAD_BYTES):
                self._wire.put(block)
                self._wire.flush()
            self._wire.end_copy()
            self._wire.results()

    # -- WAL -------------------------------------------------------------------------------------------------

    def stream(self, *, start: Lsn, timeline: int, slot: str | None = None) -> WalStream:
        """Begin to receive WAL from ``start`` (best the start of a segment).

        Nothing else can be asked of this connection until the stream is over. Where the timeline ended at
        ``start`` already, all there is to receive is
        :class:`~backstop.postgres.wal_stream.TimelineEnded`.

        :raises WalLostError: the slot is missing or was invalidated, or the WAL is gone.
        :raises SourceBusyError: somebody else streams from the slot.
        """
        confirmed = self._kept_by(slot) if slot else Lsn(0)
        named = f"SLOT {_quoted(slot)} " if slot else ""
        results = self._wire.execute(
            f"START_REPLICATION {named}PHYSICAL {start} TIMELINE {timeline:d}", slot=slot
        )
        stream = WalStream(self._wire, slot=slot, start=start, timeline=timeline, confirmed=confirmed)
        ended = timeline_end(results, timeline)
        return stream if ended is None else stream.ended_at_once(ended)

    def _kept_by(self, slot: str) -> Lsn:
        state = self.slot(slot)
        if state is None:
            raise SlotMissingError(
                f"{self.location} has no slot {slot}: it was dropped, or this server never had it",
                hint="create it, then take a new base backup: WAL in between may be missing",
            )
        if state.restart_lsn is None:
            raise WalLostError(
                f"{self.location} gave up slot {slot}: it would have kept more WAL than "
                "max_slot_wal_keep_size allows",
                hint="drop and create it, then take a new base backup: WAL is missing",
            )
        return state.restart_lsn

    def _row(self, command: str) -> tuple[bytes | None, ...]:
        result: Any = self._wire.execute(command)[0]
        if not result.ntuples:
            raise SourceError(
                f"{self.location} answered nothing to {command.split(' ', 1)[0]}",
                hint="connect directly, not by a pooler",
            )
        return tuple(result.get_value(0, column) for column in range(result.nfields))


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


def _bytes_of(text: str) -> int:
    number = re.fullmatch(r"(\d+)(B|kB|MB|GB|TB)", text)
    if number is None:
        raise SourceError(f"{text!r} is not a size", hint="this is a defect: report it")
    return int(number[1]) * _UNITS[number[2]]


def _quoted(name: str) -> str:
    if not _SLOT_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is not a slot name", hint="use lower-case letters, digits and underscores, at most 63"
        )
    return f'"{name}"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
