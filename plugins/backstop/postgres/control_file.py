"""``global/pg_control`` as it lies on disk while a server runs on it (``catalog/pg_control.h``)."""

from __future__ import annotations

import os
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError, SourceError
from backstop.model.lsn import Lsn
from backstop.postgres.file_access import file_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "global/pg_control"

_TRIES = 20
_PAUSE_SECONDS = 0.02
_MOST_BYTES = 64 * 1024

# Where the CRC-32C stands, which covers all that is before it: of PostgreSQL 15 and 16; of 17, whose
# wal_level took the place of padding; of 18, with default_char_signedness.
_CRC_AT = {1300: 288, 1700: 288, 1800: 292}
_IN_PRODUCTION = 6
_HEAD = struct.Struct("=QII")
_STATE = struct.Struct("=i")
# checkPoint, and of its copy redo and ThisTimeLineID.
_CHECKPOINT = struct.Struct("=QQI")
# blcksz and relseg_size.
_SIZES = struct.Struct("=II")
_CHECKSUM_VERSION = struct.Struct("=I")
_STATE_AT, _CHECKPOINT_AT, _SIZES_AT, _CHECKSUM_VERSION_AT = 16, 32, 216, 252


@dataclass(frozen=True, slots=True)
class ControlFile:
    """What the server last wrote there.

    :param in_production: not shut down, and no standby.
    :param segment_pages: a relation's file has no more; then another begins.
    :param content: the whole file.
    """

    system_id: str
    in_production: bool
    checkpoint: Lsn
    redo: Lsn
    timeline: int
    page_bytes: int
    segment_pages: int
    page_checksums: bool
    content: bytes = field(repr=False)


def read_control_file(data: Path, *, pause: Callable[[float], None] = time.sleep) -> ControlFile:
    """Of a data directory that a server may be writing to: what is torn is read again.

    :raises IntegrityError: it stays damaged. :raises FileNotFoundError: there is none.
    :raises SourceError: it cannot be read, or is of a version that this program does not know.
    """
    place = data / NAME
    for tries_left in reversed(range(_TRIES)):
        with file_error(str(place)):
            content = _content(place)
        try:
            return parse_control_file(content, place=place)
        except IntegrityError:
            if not tries_left:
                raise
            pause(_PAUSE_SECONDS)
    raise AssertionError  # pragma: no cover


def _content(place: Path) -> bytes:
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        # One read: the server writes it at once.
        return os.pread(descriptor, _MOST_BYTES, 0)
    finally:
        os.close(descriptor)


def parse_control_file(content: bytes, *, place: Path) -> ControlFile:
    """Read it.

    :raises IntegrityError: its checksum does not match: damaged, or read while it was being written.
    :raises SourceError: of a version of PostgreSQL that this program does not know.
    """
    from crc32c import crc32c

    if len(content) < _HEAD.size:
        raise _damaged(place)
    system_id, version, _ = _HEAD.unpack_from(content)
    crc_at = _CRC_AT.get(version)
    if crc_at is None:
        raise SourceError(
            f"{place} has version {version}; this program reads {', '.join(map(str, _CRC_AT))}",
            hint="take the base backup over the network, or use a newer Backstop",
        )
    if len(content) < crc_at + 4 or crc32c(content[:crc_at]) != int.from_bytes(
        content[crc_at : crc_at + 4], "little"
    ):
        raise _damaged(place)
    checkpoint, redo, timeline = _CHECKPOINT.unpack_from(content, _CHECKPOINT_AT)
    page_bytes, segment_pages = _SIZES.unpack_from(content, _SIZES_AT)
    return ControlFile(
        system_id=str(system_id),
        in_production=_STATE.unpack_from(content, _STATE_AT)[0] == _IN_PRODUCTION,
        checkpoint=Lsn(checkpoint),
        redo=Lsn(redo),
        timeline=timeline,
        page_bytes=page_bytes,
        segment_pages=segment_pages,
        page_checksums=_CHECKSUM_VERSION.unpack_from(content, _CHECKSUM_VERSION_AT)[0] != 0,
        content=content,
    )


def _damaged(place: Path) -> IntegrityError:
    return IntegrityError(
        f"{place} is damaged: it does not match its own checksum",
        hint="look at the server's log and at its disk; earlier backups are untouched",
    )
