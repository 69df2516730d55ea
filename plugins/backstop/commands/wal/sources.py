"""Where a recovery's WAL comes from: one archive after the other, until one has it whole."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from backstop.errors import IntegrityError, ObjectMissingError
from backstop.repository.wal_names import by_segment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from backstop.crypto.key_encryption import Keyring
    from backstop.model.lsn import WalSegment
    from backstop.repository.wal_archive import WalArchive
    from backstop.repository.wal_names import StoredSegment

_HISTORY = re.compile(r"([0-9A-F]{8})\.history")


class WalSource(Protocol):
    """One cluster's WAL in one place. Thread-safe."""

    @property
    def location(self) -> str:
        """For people."""
        ...

    def histories(self) -> dict[int, bytes]:
        """Every timeline's history file that is here.

        :raises IntegrityError: one is damaged, or there with two contents.
        """
        ...

    def fetch_segment(self, segment: WalSegment, destination: Path) -> None:
        """The whole segment as a new file, which appears only once it has been checked.

        :raises ObjectMissingError: it is not here, or not whole. :raises IntegrityError: it is damaged.
        """
        ...

    def read_tail(self, segment: WalSegment) -> bytes:
        """What is here of a segment that was growing, from its first byte as far as there is no gap.

        :raises IntegrityError: a piece is damaged.
        """
        ...


class _Names:
    """What an archive holds of the 4 GiB of WAL asked for last: listed once, not segment by segment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._log = ""
        self._found: Mapping[str, Sequence[StoredSegment]] = {}

    def of(self, segment: WalSegment, archive: WalArchive) -> Sequence[StoredSegment]:
        """Everything with the segment's name; nothing when it was not there at the time."""
        log = segment.name[:16]
        with self._lock:
            if log != self._log:
                self._found = by_segment(archive.segments(segment.timeline, beginning=log))
                self._log = log
            return self._found.get(segment.name, ())


@dataclass(frozen=True, slots=True)
class ArchivedWal:
    """A repository's WAL archive."""

    archive: WalArchive
    keyring: Keyring = field(repr=False)
    _names: _Names = field(default_factory=lambda: _Names(), repr=False)

    @property
    def location(self) -> str:
        return self.archive.storage.location

    def histories(self) -> dict[int, bytes]:
        return {
            found.timeline: self.archive.read_history(found.timeline, keyring=self.keyring)
            for found in self.archive.histories()
        }

    def fetch_segment(self, segment: WalSegment, destination: Path) -> None:
        found = self._names.of(segment, self.archive)
        if found:
            self.archive.refuse_conflict(segment, found)
        stored = found[0] if found else None
        self.archive.fetch_segment(segment, destination, keyring=self.keyring, stored=stored)

    def read_tail(self, segment: WalSegment) -> bytes:
        return self.archive.read_tail(segment, keyring=self.keyring)


@dataclass(frozen=True, slots=True)
class DirectoryWal:
    """A directory of plain segments: of ``pg_receivewal``, or of an ``archive_command`` that copies."""

    folder: Path

    @property
    def location(self) -> str:
        return str(self.folder)

    def histories(self) -> dict[int, bytes]:
        found = {_HISTORY.fullmatch(path.name): path for path in self.folder.iterdir()}
        return {int(match[1], 16): path.read_bytes() for match, path in found.items() if match}

    def fetch_segment(self, segment: WalSegment, destination: Path) -> None:
        source = self.folder / segment.name
        if not source.is_file():
            raise ObjectMissingError(f"WAL segment {segment} is not in {self.folder}")
        content = source.read_bytes()
        if len(content) != segment.size_bytes:
            raise IntegrityError(
                f"{source} holds {len(content)} bytes; a segment of this cluster has {segment.size_bytes}",
                hint="read it from another repository, or recover to a point before it",
            )
        partial = destination.with_name(f".partial-{destination.name}")
        partial.write_bytes(content)
        partial.replace(destination)

    def read_tail(self, segment: WalSegment) -> bytes:
        partial = self.folder / f"{segment.name}.partial"
        return partial.read_bytes() if partial.is_file() else b""
