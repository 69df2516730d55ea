"""``back-up-database``: a dump, the cluster's roles and a fingerprint, in every repository from one read."""

from __future__ import annotations

import secrets
import tempfile
import time
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop import __version__
from backstop.commands.capture import Captured, SnapshotCapture
from backstop.commands.dump_objects import ObjectWriter
from backstop.commands.replicate import Replication
from backstop.commands.staging import staging_directory, sweep_staging
from backstop.errors import BackstopError, ConfigurationError, SourceBusyError
from backstop.model.backup import BackupKind, BackupLabel, Manifest
from backstop.model.canonical import format_time
from backstop.repository.catalog import in_repository
from backstop.repository.lock import acquire_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from backstop.commands.progress import Progress
    from backstop.crypto.key_encryption import Keyring
    from backstop.crypto.signing import Signer
    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.preflight import SourceFacts
    from backstop.postgres.tools import PostgresTools
    from backstop.repository.catalog import Repository
    from backstop.repository.lock import RepositoriesLease

ATTEMPTS = 4
PAUSE_AFTER_YIELD_SECONDS = 5.0
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


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What became of one backup.

    :param repositories: by name, ``completed`` or the sentence that says why not.
    :param yielded: how often the backup gave way to the application and started again.
    """

    label: str
    target: str
    started_at: datetime
    finished_at: datetime
    repositories: Mapping[str, str]
    plain_bytes: int
    stored_bytes: int
    tables: int
    rows: int
    snapshot_seconds: float
    yielded: int
    not_included: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every repository has it."""
        return all(state == "completed" for state in self.repositories.values())

    def to_dict(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "target": self.target,
            "started_at": format_time(self.started_at),
            "finished_at": format_time(self.finished_at),
            "seconds": round((self.finished_at - self.started_at).total_seconds(), 3),
            "repositories": dict(self.repositories),
            "plain_bytes": self.plain_bytes,
            "stored_bytes": self.stored_bytes,
            "tables": self.tables,
            "rows": self.rows,
            "snapshot_seconds": self.snapshot_seconds,
            "yielded": self.yielded,
            "not_included": list(self.not_included),
        }


def default_staging(repositories: Sequence[Repository]) -> Path:
    """Beside the first posix repository, where an upload is a hard link; else a temporary folder."""
    from backstop.storage.posix import PosixStorage

    for repository in repositories:
        if isinstance(repository.storage, PosixStorage):
            return repository.storage.root / ".staging"
    return Path(tempfile.gettempdir()) / "backstop-staging"


def back_up_database(
    *,
    target: str,
    source: ClusterConnection,
    repositories: Sequence[Repository],
    keyring: Keyring,
    signer: Signer,
    settings: DumpSettings,
    clock: Callable[[], datetime],
    holder: str,
    progress: Progress,
    pause: Callable[[float], None] = time.sleep,
) -> BackupReport:
    """Back one database up to every repository from one read.

    A repository that is out of reach does not stop the backup as long as another one takes it; the report
    says which. When a session of the application had to wait for us, the attempt is given up at once and
    started again a little later, at most :data:`ATTEMPTS` times.

    :param clock: returns the current time, aware.
    :param holder: who we are, for the lease that others see.
    :raises LeaseHeldError: another backup of this target is running.
    :raises SourceBusyError: the application kept waiting for us; nothing was published.
    :raises BackstopError: no repository has a complete backup; nothing was published.
    """
    from backstop.postgres.preflight import check_clock, check_source
    from backstop.postgres.tools import PostgresTools

    if not repositories:
        raise ConfigurationError(f"target {target} has no repository", hint="list one in targets.yaml")
    sweep_staging(settings.staging)
    # A writer may be allowed to encrypt only.
    keyring.check(opening=False)
    # Everything that can be refused is refused before anything is written.
    facts = check_source(source)
    check_clock(source, now=clock, tolerance=settings.clock_tolerance)
    tools = PostgresTools.find(facts.major)
    kind = BackupKind.DUMP
    with acquire_in(
        {repository.name: repository.storage for repository in repositories},
        target=target,
        kind=kind.value,
        holder=holder,
        clock=clock,
    ) as lease:
        unusable = {**lease.failed, **_unusable(repositories, without=lease.failed)}
        reachable = [repository for repository in repositories if repository.name not in unusable]
        if not reachable:
            raise next(iter(unusable.values()))
        yielded = 0
        while True:
            attempt = Attempt(
                target=target,
                source=source,
                facts=facts,
                tools=tools,
                repositories=reachable,
                keyring=keyring,
                signer=signer,
                settings=settings,
                clock=clock,
                progress=progress,
                lease=lease,
                unusable=unusable,
                pause=pause,
            )
            try:
                return attempt.run(yielded=yielded)
            except SourceBusyError:
                yielded += 1
                if yielded == ATTEMPTS:
                    raise
                pause(PAUSE_AFTER_YIELD_SECONDS * 2 ** (yielded - 1))


def _unusable(
    repositories: Sequence[Repository], *, without: Mapping[str, BackstopError]
) -> dict[str, BackstopError]:
    """Repositories that answer but are none of ours: said before the dump, not after it."""
    failed: dict[str, BackstopError] = {}
    for repository in repositories:
        if repository.name not in without:
            try:
                repository.catalog.repository_id(create=True)
            except BackstopError as error:
                failed[repository.name] = error
    return failed


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
            if not any(repository.catalog.has(label) for repository in self.repositories):
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
