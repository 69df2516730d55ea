"""The cluster's files, read on the database's own host between pg_backup_start and pg_backup_stop.

What comes out is what :mod:`~backstop.commands.base.copy` makes of what a server sends: the same parts, the
same list.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from backstop.commands.base.copy import CopiedCluster
from backstop.commands.base.file_parts import FilePart, file_header, padding, plan_parts, tar_blocks
from backstop.commands.base.file_reading import FileReading
from backstop.commands.base.parts import LAYOUT, BlockSource, part_bytes_for
from backstop.commands.database.capture import run_together
from backstop.errors import BackstopError, SourceError, SourceUnavailableError
from backstop.postgres.backup_manifest import WalRange
from backstop.postgres.cluster_files import TABLESPACES, ClusterArchive, list_cluster
from backstop.postgres.control_file import NAME as CONTROL_FILE
from backstop.postgres.control_file import read_control_file
from backstop.postgres.local_cluster import refuse_other_checkpoint, refuse_other_folders
from backstop.postgres.low_level_backup import low_level_backup
from backstop.postgres.manifest_writing import CopiedFile, write_backup_manifest
from backstop.postgres.page_checksums import PageChecksums
from backstop.postgres.tar_members import TRAILER

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.object_writer import ObjectWriter
    from backstop.commands.progress import Progress
    from backstop.model.lsn import Lsn
    from backstop.postgres.control_file import ControlFile
    from backstop.postgres.local_cluster import LocalCluster
    from backstop.postgres.low_level_backup import BackupStopped, LowLevelBackup

BACKUP_LABEL = "backup_label"
_ASK_SECONDS = 2.0
_PATIENCE_SECONDS = 120.0
_GLANCE_SECONDS = 0.5


@dataclass(slots=True)
class FileCopy:
    """One copy under way.

    :param local: the data directory, after it was found to be the server's own.
    :param readers: parts that are read and encoded at the same time.
    :param part_bytes: of the largest parts; see :func:`~backstop.commands.base.parts.part_bytes_for`.
    :param verify_checksums: check every page, where the cluster has checksums.
    :param stop: ends every reader.
    """

    local: LocalCluster
    system_id: str
    server_version: int
    readers: int
    part_bytes: int
    verify_checksums: bool
    stop: threading.Event
    progress: Progress

    def run(self, label: str, writer: ObjectWriter) -> CopiedCluster:
        """Everything that was read is on its way to the repositories then.

        :param label: what the server calls the backup.
        :raises SourceError: damaged pages, a file that cannot be read, another cluster's directory, or the
            server failed.
        :raises SourceUnavailableError: the session that held the backup was lost.
        """
        began = time.monotonic()
        with low_level_backup(self.local.cluster) as backup:
            start = backup.start(label)
            control = refuse_other_checkpoint(backup, self.local.data, location=self.local.cluster.location)
            archives = list_cluster(self.local.data, server_data=self.local.server_data)
            refuse_other_folders(backup, self.local.data)
            reading = self._reading(start, control)
            parts = self._read_parts(backup, archives, reading, writer)
            # Else what was left out was not gone for the server.
            refuse_other_folders(backup, self.local.data)
            # After everything else, as the server sends it.
            last = self._control_file_of(control)
            stopped = backup.stop()
        refuse_other_tablespaces(stopped.tablespaces, archives, self.local.data)
        self._write_last(parts, last, stopped, reading, writer)
        manifest = write_backup_manifest(
            reading.files,
            wal=[WalRange(control.timeline, start, stopped.end)],
            system_id=self.system_id,
            server_version=self.server_version,
        )
        return CopiedCluster(
            start=start,
            end=stopped.end,
            timeline=control.timeline,
            tablespaces=tuple(one.tablespace for one in archives if one.location is not None),
            files=len(reading.files),
            parts=len(parts) + 1,
            manifest=manifest,
            seconds=round(time.monotonic() - began, 3),
            copied="files",
            passed_over=tuple(name for one in archives for name in one.passed_over),
        )

    def _reading(self, start: Lsn, control: ControlFile) -> FileReading:
        judge = self.verify_checksums and control.page_checksums
        return FileReading(
            pages=PageChecksums(page_bytes=control.page_bytes, before=start) if judge else None,
            segment_pages=control.segment_pages,
            stop=self.stop,
            progress=self.progress.advance,
        )

    def _read_parts(
        self,
        backup: LowLevelBackup,
        archives: list[ClusterArchive],
        reading: FileReading,
        writer: ObjectWriter,
    ) -> list[FilePart]:
        """Each reader takes the largest part that is left; whoever fails first ends all."""
        size_bytes = sum(one.size_bytes for one in archives)
        self.progress.phase("copy", total_bytes=size_bytes or None)
        parts = plan_parts(archives, part_bytes=part_bytes_for(size_bytes, most_bytes=self.part_bytes))
        left: queue.SimpleQueue[FilePart] = queue.SimpleQueue()
        for part in parts:
            left.put(part)
        read = threading.Event()

        def read_some() -> None:
            while not self.stop.is_set():
                try:
                    part = left.get_nowait()
                except queue.Empty:
                    return
                source = cast("BinaryIO", BlockSource(tar_blocks(part, reading.member)))
                writer.write(source, layout=LAYOUT, name=part.name, object_name=part.name)

        def read_all() -> None:
            try:
                run_together(
                    {f"reader {number}": read_some for number in range(self.readers)},
                    on_failure=self.stop.set,
                )
            finally:
                read.set()

        def hold() -> None:
            # Hours of copying for a backup that is none: whoever has lost the session is told at once.
            while not read.wait(_ASK_SECONDS):
                self._ask(backup)

        run_together({"hold": hold, "read": read_all}, on_failure=self.stop.set)
        return parts

    def _ask(self, backup: LowLevelBackup) -> None:
        """Whether the session lives; a line that carries nothing any more does not say that it is lost.

        :raises SourceUnavailableError: it is, or nothing comes back.
        """
        answers: queue.SimpleQueue[BackstopError | None] = queue.SimpleQueue()

        def check() -> None:
            try:
                backup.check()
                answers.put(None)
            except BackstopError as error:
                answers.put(error)

        # It ends with the session, which is closed once we have given up.
        threading.Thread(target=check, name="backup session", daemon=True).start()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self.stop.is_set():
            try:
                if error := answers.get(timeout=_GLANCE_SECONDS):
                    raise error
            except queue.Empty:
                if time.monotonic() < deadline:
                    continue
                raise SourceUnavailableError(
                    f"{self.local.cluster.location} has not answered for {_PATIENCE_SECONDS:.0f} s in the "
                    "session that holds the backup",
                    hint="look at the server's log and at what lies between; what was copied was thrown "
                    "away: take it again",
                ) from None
            return

    def _control_file_of(self, first: ControlFile) -> ControlFile:
        last = read_control_file(self.local.data)
        if (last.system_id, last.timeline) != (first.system_id, first.timeline) or not last.in_production:
            raise SourceError(
                f"another cluster's files have taken the place of those in {self.local.data} meanwhile",
                hint="see who exchanged them, then take another base backup",
            )
        return last

    def _write_last(
        self,
        parts: list[FilePart],
        control: ControlFile,
        stopped: BackupStopped,
        reading: FileReading,
        writer: ObjectWriter,
    ) -> None:
        """What exists only in the end: how recovery begins, and pg_control."""
        from crc32c import crc32c

        now = int(time.time())
        owner = (self.local.data / CONTROL_FILE).stat()
        blocks = []
        for name, content in ((BACKUP_LABEL, stopped.label), (CONTROL_FILE, control.content)):
            header = file_header(
                name,
                size_bytes=len(content),
                mode=owner.st_mode & 0o7777,
                uid=owner.st_uid,
                gid=owner.st_gid,
                modified_at=now,
            )
            blocks += [header, content, padding(len(content))]
            reading.files[name] = CopiedFile(len(content), crc32c(content), now)
        numbered = sum(part.name.startswith("base/") for part in parts)
        name = f"base/{numbered + 1:06d}"
        source = cast("BinaryIO", BlockSource(iter([b"".join([*blocks, TRAILER])])))
        writer.write(source, layout=LAYOUT, name=name, object_name=name)


def refuse_other_tablespaces(announced: dict[int, str], archives: list[ClusterArchive], data: Path) -> None:
    """Links in the archive say where tablespaces were, as in the server's own; its map must say the same.

    :param announced: the server's ``tablespace_map``. One that came or went meanwhile is WAL's to bring back.
    :raises SourceError: they differ.
    """
    found = {int(one.name): one.location for one in archives if one.location is not None}
    for oid, location in announced.items():
        if found.get(oid, location) != location or (
            oid not in found and (data / TABLESPACES / str(oid)).exists()
        ):
            raise SourceError(
                f"tablespace {oid} is at {location} for the server, and at {found.get(oid)} for us",
                hint="let the worker see the server's tablespaces at the same paths, or take the base backup "
                "over the network",
            )
