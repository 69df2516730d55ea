"""Where a recovery's WAL comes from: one archive after the other, until one has it whole."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from backstop.errors import IntegrityError, ObjectMissingError

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.crypto.key_encryption import Keyring
    from backstop.model.lsn import WalSegment
    from backstop.repository.wal_archive import WalArchive

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


@dataclass(frozen=True, slots=True)
class ArchivedWal:
    """A repository's WAL archive."""

    archive: WalArchive
    keyring: Keyring = field(repr=False)

    @property
    def location(self) -> str:
        return self.archive.storage.location

    def histories(self) -> dict[int, bytes]:
        return {
            found.timeline: self.archive.read_history(found.timeline, keyring=self.keyring)
            for found in self.archive.histories()
        }

    def fetch_segment(self, segment: WalSegment, destination: Path) -> None:
        self.archive.fetch_segment(segment, destination, keyring=self.keyring)

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
