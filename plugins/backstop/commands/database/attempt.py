"""One try at a backup: capture, upload everywhere, publish; or leave nothing behind."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop import __version__
from backstop.commands.backup_report import BackupReport
from backstop.commands.database.capture import Captured, SnapshotCapture
from backstop.commands.object_writer import ObjectWriter
from backstop.commands.replicate import MAX_STAGED_BYTES, Replication
from backstop.commands.staging import staging_directory
from backstop.model.backup import BackupKind, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.progress import Progress
    from backstop.commands.publication import Publication
    from backstop.crypto.key_encryption import Keyring
    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.preflight import SourceFacts
    from backstop.postgres.tools import PostgresTools


@dataclass(frozen=True, slots=True)
class DumpSettings:
    """How to take a dump; the database section of targets.yaml says the same.

    :param fingerprint: ``full`` hashes every row, ``counts`` counts them.
    :param snapshot_max: a snapshot held for longer is given up, so that vacuum can work.
    :param clock_tolerance: by how much this machine's clock and the server's may differ: backups are ordered,
        kept and leased by time.
    :param staging: folder for ciphertext on its way out, best on the file system of a posix repository.
    :param new_cluster: system identifier of a cluster that takes the place of the one dumped so far.
    :param new_database: name of a database that takes the place of the one dumped so far.
    """

    staging: Path
    jobs: int = 2
    fingerprint: str = "full"
    snapshot_max: timedelta = timedelta(hours=4)
    max_staged_bytes: int = MAX_STAGED_BYTES
    clock_tolerance: timedelta = timedelta(minutes=5)
    new_cluster: str | None = None
    new_database: str | None = None


@dataclass(slots=True)
class Attempt:
    """One try at a backup; its objects share a name that no other attempt has."""

    target: str
    source: ClusterConnection
    facts: SourceFacts
    tools: PostgresTools
    publication: Publication
    keyring: Keyring
    settings: DumpSettings
    clock: Callable[[], datetime]
    progress: Progress

    def run(self, *, yielded: int) -> BackupReport:
        """Dump, upload, publish. :raises BackstopError: nothing was published."""
        label, started_at = self.publication.free_label(BackupKind.DUMP)
        attempt = secrets.token_hex(8)
        prefix = f"{self.target}/data/database/{label}/{attempt}"
        with (
            staging_directory(self.settings.staging, f"{self.target}-{attempt}") as folder,
            Replication(
                self.publication.repositories, max_staged_bytes=self.settings.max_staged_bytes
            ) as replication,
        ):
            try:
                writer = ObjectWriter(
                    target=self.target,
                    label=label.text,
                    prefix=prefix,
                    folder=folder,
                    keyring=self.keyring,
                    replication=replication,
                    progress=self.progress.advance,
                )
                captured = self._capture(folder, attempt, writer)
                self.progress.phase("upload")
                replication.finish()
                manifest = Manifest(
                    label=label,
                    target=self.target,
                    repository_id="",
                    attempt=attempt,
                    epoch=0,
                    started_at=started_at,
                    snapshot_at=captured.taken_at,
                    finished_at=self.clock(),
                    system_id=self.facts.system_id,
                    timeline=self.facts.timeline,
                    server_version=self.facts.server_version,
                    database=self.facts.database,
                    tools={"backstop": __version__, "pg_dump": self.tools.version},
                    keys=writer.common_keys(),
                    objects=tuple(sorted(writer.objects, key=lambda stored: stored.key)),
                    end_lsn=captured.lsn,
                    summary={
                        "tables": len(captured.fingerprint.tables),
                        "rows": captured.fingerprint.rows,
                        "snapshot_seconds": round(captured.snapshot_seconds, 3),
                    },
                    not_included=self.facts.missing,
                )
                failures = self.publication.publish(manifest, replication)
            except BaseException:
                self.publication.discard(replication)
                raise
            self.publication.discard(replication, failures=failures)
        return BackupReport(
            label=label.text,
            target=self.target,
            started_at=started_at,
            finished_at=manifest.finished_at,
            repositories=self.publication.states(failures),
            plain_bytes=manifest.plain_bytes,
            stored_bytes=manifest.stored_bytes,
            tables=len(captured.fingerprint.tables),
            rows=captured.fingerprint.rows,
            snapshot_seconds=round(captured.snapshot_seconds, 3),
            yielded=yielded,
            not_included=manifest.not_included,
        )

    def _capture(self, folder: Path, attempt: str, writer: ObjectWriter) -> Captured:
        """Everything PostgreSQL has to give, as objects on their way out."""
        self.progress.phase("dump")
        return SnapshotCapture(
            source=self.source,
            facts=self.facts,
            tools=self.tools,
            folder=folder,
            attempt=attempt,
            jobs=self.settings.jobs,
            mode=self.settings.fingerprint,
            snapshot_max=self.settings.snapshot_max,
        ).run(writer)
