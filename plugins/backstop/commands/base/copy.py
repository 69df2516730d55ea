"""The cluster's files, read once over the replication protocol and checked against the server's own list."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from backstop.commands.base.parts import PartCutter, PartQueue, encode_parts, part_bytes_for
from backstop.commands.database.capture import run_together
from backstop.errors import IntegrityError
from backstop.postgres.backup_manifest import compare_files, parse_backup_manifest
from backstop.postgres.base_backup_stream import (
    ArchiveStarted,
    BackupData,
    BackupEnded,
    BackupProgress,
    BackupStarted,
    ManifestStarted,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from backstop.commands.object_writer import ObjectWriter
    from backstop.commands.progress import Progress
    from backstop.model.lsn import Lsn
    from backstop.postgres.base_backup_stream import BackupMessage, Tablespace

_HINT = "take another base backup; if it happens again, look at the network and memory of both machines"


@dataclass(frozen=True, slots=True)
class CopiedCluster:
    """What was read. Every file has arrived as the server read it.

    :param tablespaces: without the data directory itself.
    :param manifest: the backup_manifest: the server's, as it came; or ours, of what we read ourselves.
    :param copied: ``network``: a server sent it; ``files``: read on its host.
    :param passed_over: links and special files in the data directory, which no base backup holds.
    """

    start: Lsn
    end: Lsn
    timeline: int
    tablespaces: tuple[Tablespace, ...]
    files: int
    parts: int
    manifest: bytes = field(repr=False)
    seconds: float
    copied: Literal["network", "files"] = "network"
    passed_over: tuple[str, ...] = ()


@dataclass(slots=True)
class BaseCopy:
    """One copy under way.

    :param part_bytes: of the largest parts; see :func:`part_bytes_for`.
    :param stop: ends the reading of ``messages``.
    """

    system_id: str
    part_bytes: int
    stop: threading.Event
    progress: Progress
    _started: BackupStarted | None = None
    _ended: BackupEnded | None = None
    _archives: list[str] = field(default_factory=list)
    _manifest: list[memoryview] = field(default_factory=list)
    _seconds: float = 0.0

    def run(self, messages: Iterable[BackupMessage], writer: ObjectWriter) -> CopiedCluster:
        """Receive in one thread, encode in another; what was read is on its way to the repositories then.

        :raises IntegrityError: something did not arrive as the server read it.
        :raises SourceError: the server found damaged pages, or failed.
        """
        parts = PartQueue()
        cutter = PartCutter(parts, part_bytes=self.part_bytes)

        def give_up() -> None:
            self.stop.set()
            parts.abort()

        run_together(
            {
                "receive": lambda: self._receive(messages, cutter),
                "encode": lambda: encode_parts(parts, writer),
            },
            on_failure=give_up,
        )
        return self._checked(cutter)

    def _receive(self, messages: Iterable[BackupMessage], cutter: PartCutter) -> None:
        began = time.monotonic()
        done_bytes = 0
        take: Callable[[memoryview], None] = cutter.add
        for message in messages:
            if isinstance(message, BackupData):
                take(message.data)
            elif isinstance(message, BackupProgress):
                self.progress.advance(message.done_bytes - done_bytes)
                done_bytes = message.done_bytes
            elif isinstance(message, ArchiveStarted):
                self._archives.append(message.tablespace)
                cutter.begin(message.tablespace)
            elif isinstance(message, ManifestStarted):
                cutter.end()
                take = self._manifest.append
            elif isinstance(message, BackupStarted):
                self._started = message
                cutter.part_bytes = part_bytes_for(message.size_bytes, most_bytes=self.part_bytes)
                self.progress.phase("copy", total_bytes=message.size_bytes or None)
            else:
                self._ended = message
        # Behind the loop: only now has the server said that all pages are sound.
        cutter.finish()
        self._seconds = time.monotonic() - began

    def _checked(self, cutter: PartCutter) -> CopiedCluster:
        """Nothing is believed but what the server's own list confirms."""
        if self._started is None or self._ended is None or not self._archives:
            raise IntegrityError("the server's base backup ended early", hint=_HINT)
        content = b"".join(self._manifest)
        listed = parse_backup_manifest(content)
        compare_files(listed, cutter.files)
        announced = [tablespace.name for tablespace in self._started.tablespaces]
        if sorted(announced) != sorted(self._archives):
            raise IntegrityError(
                f"the server announced tablespaces {announced} and sent {self._archives}", hint=_HINT
            )
        if listed.system_id not in (None, self.system_id):
            raise IntegrityError(
                f"the backup_manifest is of cluster {listed.system_id}, and the server is {self.system_id}",
                hint=_HINT,
            )
        return CopiedCluster(
            start=self._started.start,
            end=self._ended.end,
            timeline=self._ended.timeline,
            tablespaces=tuple(one for one in self._started.tablespaces if one.oid is not None),
            files=len(cutter.files),
            parts=cutter.parts,
            manifest=content,
            seconds=round(self._seconds, 3),
        )
