"""One try at a backup: capture, upload everywhere, publish; or leave nothing behind."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from backstop import __version__
from backstop.commands.backup_report import BackupReport
from backstop.commands.capture import Captured, SnapshotCapture
from backstop.commands.dump_objects import ObjectWriter
from backstop.commands.replicate import Replication
from backstop.commands.staging import staging_directory
from backstop.errors import BackstopError, StorageError
from backstop.model.backup import BackupKind, BackupLabel, Manifest
from backstop.repository.catalog import in_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.progress import Progress
    from backstop.crypto.key_encryption import Keyring
    from backstop.crypto.signing import Signer
    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.preflight import SourceFacts
    from backstop.postgres.tools import PostgresTools
    from backstop.repository.catalog import Repository
    from backstop.repository.lock import RepositoriesLease


MAX_STAGED_BYTES = 16 * 1024**3


@dataclass(frozen=True, slots=True)
class DumpSettings:
    """How to take a dump; the database section of targets.yaml says the same.

    :param fingerprint: ``full`` hashes every row, ``counts`` counts them.
    :param snapshot_max: a snapshot held for longer is given up, so that vacuum can work.
    :param clock_tolerance: by how much this machine's clock and the server's may differ: backups are ordered,
        kept and leased by time.
    :param staging: folder for ciphertext on its way out, best on the file system of a posix repository.
    """

    staging: Path
    jobs: int = 2
    fingerprint: str = "full"
    snapshot_max: timedelta = timedelta(hours=4)
    max_staged_bytes: int = MAX_STAGED_BYTES
    clock_tolerance: timedelta = timedelta(minutes=5)


@dataclass(slots=True)
class Attempt:
    """One try at a backup; its objects share a name that no other attempt has."""

    target: str
    source: ClusterConnection
    facts: SourceFacts
    tools: PostgresTools
    repositories: Sequence[Repository]
    keyring: Keyring
    signer: Signer
    settings: DumpSettings
    clock: Callable[[], datetime]
    progress: Progress
    lease: RepositoriesLease
    unusable: Mapping[str, BackstopError]
    """Repositories that go without this backup, and why."""
    pause: Callable[[float], None]
    publishing: set[str] = field(default_factory=set)
    """Repositories to which a manifest was sent."""

    def run(self, *, yielded: int) -> BackupReport:
        """Dump, upload, publish. :raises BackstopError: nothing was published."""
        label, started_at = self._free_label()
        attempt = secrets.token_hex(8)
        prefix = f"{self.target}/data/database/{label}/{attempt}"
        with (
            staging_directory(self.settings.staging, f"{self.target}-{attempt}") as folder,
            Replication(self.repositories, max_staged_bytes=self.settings.max_staged_bytes) as replication,
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
                failures = self._publish(manifest, replication)
            except BaseException:
                # Where a manifest was sent it may have arrived, whatever we were told: its payload stays.
                replication.discard(keep=self.publishing)
                raise
            # A full disk would otherwise be fuller after every run; who did not answer is not asked again.
            unreachable = {name for name, error in failures.items() if error.retryable}
            replication.discard(keep=self.publishing | unreachable)
        return BackupReport(
            label=label.text,
            target=self.target,
            started_at=started_at,
            finished_at=manifest.finished_at,
            repositories=self._states(failures),
            plain_bytes=manifest.plain_bytes,
            stored_bytes=manifest.stored_bytes,
            tables=len(captured.fingerprint.tables),
            rows=captured.fingerprint.rows,
            snapshot_seconds=round(captured.snapshot_seconds, 3),
            yielded=yielded,
            not_included=manifest.not_included,
        )

    def _free_label(self) -> tuple[BackupLabel, datetime]:
        """A label has one second; a backup that was done within it has taken it."""
        while True:
            started_at = self.clock()
            label = BackupLabel.at(started_at, BackupKind.DUMP)
            if not any(_has(repository, label) for repository in self.repositories):
                return label, started_at
            self.pause(1.0)

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

    def _publish(self, manifest: Manifest, replication: Replication) -> dict[str, BackstopError]:
        """Payload is durable by now; publish wherever it arrived whole.

        :returns: the repositories that do not have the backup, and why.
        :raises BackstopError: when that is all of them.
        """
        failures: dict[str, BackstopError] = {**self.unusable, **replication.failures()}
        for repository in self.repositories:
            if repository.name in failures:
                continue
            try:
                repository.catalog.publish(
                    in_repository(
                        manifest,
                        repository_id=repository.catalog.repository_id(create=True),
                        epoch=self.lease.epochs[repository.name],
                        version_ids=replication.version_ids(repository.name),
                    ),
                    signer=self.signer,
                    ensure_held=partial(self._ensure_held, repository.name),
                )
            except BackstopError as error:
                failures[repository.name] = error
        if len(failures) >= len(self.repositories) + len(self.unusable):
            raise next(iter(failures.values()))
        return failures

    def _ensure_held(self, name: str) -> None:
        """The last thing asked before a manifest is sent."""
        self.lease.ensure_held(name)
        self.publishing.add(name)

    def _states(self, failures: Mapping[str, BackstopError]) -> dict[str, str]:
        names = [*(repository.name for repository in self.repositories), *self.unusable]
        return {name: str(failures[name]) if name in failures else "completed" for name in names}


def _has(repository: Repository, label: BackupLabel) -> bool:
    try:
        return repository.catalog.has(label)
    except StorageError:
        # One repository that does not answer must not stop the others; publishing there will say so, and
        # refuses a label that is taken.
        return False
