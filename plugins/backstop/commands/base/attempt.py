"""One base backup: copy the cluster, upload, wait for its WAL, publish; or leave nothing behind."""

from __future__ import annotations

import io
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop import __version__
from backstop.commands.backup_report import BaseBackupReport
from backstop.commands.base.copy import BaseCopy, CopiedCluster
from backstop.commands.base.file_copy import FileCopy
from backstop.commands.base.source_server import SourceServer, passed_over_in_words
from backstop.commands.object_writer import ObjectWriter
from backstop.commands.replicate import Replication
from backstop.commands.staging import staging_directory
from backstop.commands.wal.holds import WalNeeded
from backstop.errors import BackstopError, SourceUnavailableError, StorageError
from backstop.model.backup import Manifest
from backstop.postgres.backup_manifest import NAME as BACKUP_MANIFEST
from backstop.postgres.preflight import server_time

if TYPE_CHECKING:
    import threading
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.base.lineage import Parent
    from backstop.commands.base.settings import BaseBackupSettings, WalHolds
    from backstop.commands.progress import Progress
    from backstop.commands.publication import Publication
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import BackupKind, BackupLabel
    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.local_cluster import LocalCluster
    from backstop.postgres.replication import ClusterIdentity, ReplicationConnection
    from backstop.repository.catalog import Repository

_CLOCK_TRIES = 5


@dataclass(slots=True)
class BaseBackupAttempt:
    """One try at a base backup; its objects share a name that no other attempt has.

    :param local: where the files are read on the database's own host; None: the server sends them.
    :param stop: ends whatever ``connection`` waits for, and every reader.
    """

    target: str
    kind: BackupKind
    source: ClusterConnection
    connection: ReplicationConnection
    identity: ClusterIdentity
    parent: Parent | None
    local: LocalCluster | None
    publication: Publication
    keyring: Keyring
    settings: BaseBackupSettings
    wal_holds: WalHolds | None
    stop: threading.Event
    progress: Progress

    def run(self) -> BaseBackupReport:
        """Copy, upload, publish. :raises BackstopError: nothing was published."""
        label, started_at = self.publication.free_label(self.kind)
        attempt = secrets.token_hex(8)
        with (
            staging_directory(self.settings.staging, f"{self.target}-{attempt}") as folder,
            Replication(
                self.publication.repositories, max_staged_bytes=self.settings.max_staged_bytes
            ) as replication,
        ):
            try:
                writer = self._writer(label, attempt, folder, replication)
                server = SourceServer.look(self.connection)
                copied = self._copy(label, writer)
                snapshot_at = self._server_time()
                self.progress.phase("upload")
                replication.finish()
                # An archive that has everything up to the end makes the copy recoverable; a copy that is not
                # must never look like a backup.
                without = self._without_wal(copied, leave_out=replication.failures())
                manifest = self._manifest(label, attempt, started_at, snapshot_at, copied, writer, server)
                failures = self.publication.publish(manifest, replication, without=without)
            except BaseException:
                self.publication.discard(replication)
                raise
            self.publication.discard(replication, failures=failures)
        return self._report(manifest, copied, failures)

    def _writer(
        self, label: BackupLabel, attempt: str, folder: Path, replication: Replication
    ) -> ObjectWriter:
        return ObjectWriter(
            target=self.target,
            label=label.text,
            prefix=f"{self.target}/data/database/{label}/{attempt}",
            folder=folder,
            keyring=self.keyring,
            replication=replication,
            # The server itself says how far it is.
            progress=lambda done_bytes: None,
            # Several readers are several streams, each on a processor of its own.
            compressors=self.settings.compressors if self._readers == 1 else 1,
        )

    @property
    def _readers(self) -> int:
        return self.settings.file_copy.readers if self.local and self.settings.file_copy else 1

    def _copy(self, label: BackupLabel, writer: ObjectWriter) -> CopiedCluster:
        named = f"backstop {self.target} {label}"
        copied = self._read_files(named, writer) if self.local else self._receive(named, writer)
        writer.write(
            io.BytesIO(copied.manifest), layout="file", name=BACKUP_MANIFEST, object_name=BACKUP_MANIFEST
        )
        return copied

    def _read_files(self, named: str, writer: ObjectWriter) -> CopiedCluster:
        assert self.local is not None  # noqa: S101 for mypy
        return FileCopy(
            local=self.local,
            system_id=self.identity.system_id,
            server_version=self.connection.server_version,
            readers=self._readers,
            part_bytes=self.settings.part_bytes,
            verify_checksums=self.settings.verify_checksums,
            stop=self.stop,
            progress=self.progress,
        ).run(named, writer)

    def _receive(self, named: str, writer: ObjectWriter) -> CopiedCluster:
        if self.parent is not None:
            self.connection.upload_manifest(self.parent.backup_manifest(self.keyring))
        copy = BaseCopy(
            system_id=self.identity.system_id,
            part_bytes=self.settings.part_bytes,
            stop=self.stop,
            progress=self.progress,
        )
        messages = self.connection.base_backup(
            label=named,
            incremental=self.parent is not None,
            verify_checksums=self.settings.verify_checksums,
        )
        return copy.run(messages, writer)

    def _server_time(self) -> datetime:
        """By the server's clock, after the copy has ended: nothing earlier can be recovered from it."""
        for tries_left in reversed(range(_CLOCK_TRIES)):
            try:
                return server_time(self.source)
            except SourceUnavailableError:
                # Hours of copying are not thrown away because all its sessions are taken this second.
                if not tries_left:
                    raise
                self.publication.pause(2.0)
        raise AssertionError  # pragma: no cover

    def _without_wal(
        self, copied: CopiedCluster, *, leave_out: dict[str, BackstopError]
    ) -> dict[str, BackstopError]:
        """Wait until the archives hold the WAL that the copy needs; returns where that does not happen."""
        if self.wal_holds is None:
            return {}
        self.progress.phase("wal")
        needed = WalNeeded(
            system_id=self.identity.system_id,
            timeline=copied.timeline,
            segment_bytes=self.identity.segment_bytes,
            start=copied.start,
            end=copied.end,
        )
        deadline = time.monotonic() + self.settings.wal_timeout.total_seconds()
        waiting = {one.name: one for one in self.publication.repositories if one.name not in leave_out}
        failed: dict[str, BackstopError] = {}
        while waiting:
            for name, repository in list(waiting.items()):
                try:
                    if self.wal_holds(repository, needed):
                        del waiting[name]
                except BackstopError as error:
                    failed[name] = error
                    del waiting[name]
            if waiting and time.monotonic() >= deadline:
                return {**failed, **{name: self._no_wal(one, copied) for name, one in waiting.items()}}
            if waiting:
                self.publication.pause(1.0)
        return failed

    def _no_wal(self, repository: Repository, copied: CopiedCluster) -> StorageError:
        return StorageError(
            f"repository {repository.name} does not hold the WAL of timeline {copied.timeline} from "
            f"{copied.start} to {copied.end} after {self.settings.wal_timeout}: WAL archiving does not keep "
            "up, and without it the base backup is worth nothing",
            hint="see that archive-wal runs and keeps up, then take the base backup again",
        )

    def _manifest(
        self,
        label: BackupLabel,
        attempt: str,
        started_at: datetime,
        snapshot_at: datetime,
        copied: CopiedCluster,
        writer: ObjectWriter,
        server: SourceServer,
    ) -> Manifest:
        return Manifest(
            label=label,
            target=self.target,
            repository_id="",
            attempt=attempt,
            epoch=0,
            started_at=started_at,
            snapshot_at=snapshot_at,
            finished_at=self.publication.clock(),
            system_id=self.identity.system_id,
            timeline=copied.timeline,
            server_version=server.version,
            database="",
            tools={"backstop": __version__},
            keys=writer.common_keys(),
            objects=tuple(sorted(writer.objects, key=lambda stored: stored.key)),
            parent=self.parent.manifest.label if self.parent else None,
            start_lsn=str(copied.start),
            end_lsn=str(copied.end),
            refers_to=self.parent.chain if self.parent else (),
            summary={
                "copied": copied.copied,
                "copy_seconds": copied.seconds,
                "files": copied.files,
                "page_checksums": server.page_checksums,
                "tablespaces": len(copied.tablespaces),
                "wal_segment_bytes": self.identity.segment_bytes,
                **{f"tablespace_{one.oid}": one.location or "" for one in copied.tablespaces},
            },
            not_included=(*server.not_included, *passed_over_in_words(copied.passed_over)),
        )

    def _report(
        self, manifest: Manifest, copied: CopiedCluster, failures: dict[str, BackstopError]
    ) -> BaseBackupReport:
        return BaseBackupReport(
            label=manifest.label.text,
            target=self.target,
            kind=self.kind.value,
            parent=manifest.parent.text if manifest.parent else None,
            started_at=manifest.started_at,
            finished_at=manifest.finished_at,
            repositories=self.publication.states(failures),
            plain_bytes=manifest.plain_bytes,
            stored_bytes=manifest.stored_bytes,
            files=copied.files,
            tablespaces=len(copied.tablespaces),
            system_id=manifest.system_id,
            timeline=copied.timeline,
            start_lsn=str(copied.start),
            end_lsn=str(copied.end),
            copied=copied.copied,
            copy_seconds=copied.seconds,
            not_included=manifest.not_included,
        )
