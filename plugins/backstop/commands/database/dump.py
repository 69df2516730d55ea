"""``back-up-database``: a dump, the cluster's roles and a fingerprint, in every repository from one read."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.commands.database.attempt import Attempt, DumpSettings
from backstop.commands.database.one_source import refuse_other_database
from backstop.commands.publication import Publication
from backstop.commands.staging import sweep_staging
from backstop.errors import ConfigurationError, SourceBusyError
from backstop.model.backup import BackupKind
from backstop.repository.lock import acquire_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from backstop.commands.backup_report import BackupReport
    from backstop.commands.progress import Progress
    from backstop.crypto.key_encryption import Keyring
    from backstop.crypto.signing import Signer
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.catalog import Repository

ATTEMPTS = 4
PAUSE_AFTER_YIELD_SECONDS = 5.0


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
    :raises SourceError: the target's backups are of another database, or this one cannot be backed up.
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
        publication = Publication.under(
            lease, repositories=repositories, signer=signer, clock=clock, pause=pause
        )
        refuse_other_database(publication, facts, settings, again=lambda: check_source(source))
        yielded = 0
        while True:
            attempt = Attempt(
                target=target,
                source=source,
                facts=facts,
                tools=tools,
                publication=publication,
                keyring=keyring,
                settings=settings,
                clock=clock,
                progress=progress,
            )
            try:
                return attempt.run(yielded=yielded)
            except SourceBusyError:
                yielded += 1
                if yielded == ATTEMPTS:
                    raise
                pause(PAUSE_AFTER_YIELD_SECONDS * 2 ** (yielded - 1))
