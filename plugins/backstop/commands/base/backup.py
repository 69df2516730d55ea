"""``take-base-backup``: the whole cluster's files, in every repository from one read."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from backstop.commands.base.attempt import BaseBackupAttempt
from backstop.commands.base.lineage import choose_parent, refuse_other_cluster
from backstop.commands.publication import Publication
from backstop.commands.staging import sweep_staging
from backstop.errors import ConfigurationError
from backstop.model.backup import BackupKind
from backstop.repository.lock import acquire_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from backstop.commands.backup_report import BaseBackupReport
    from backstop.commands.base.settings import BaseBackupSettings, WalHolds
    from backstop.commands.progress import Progress
    from backstop.crypto.key_encryption import Keyring
    from backstop.crypto.signing import Signer
    from backstop.model.backup import BackupLabel
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.catalog import Repository


LEASE_KIND = "base"
_APPLICATION_NAME = "backstop:base"


def take_base_backup(
    *,
    target: str,
    cluster: ClusterConnection,
    repositories: Sequence[Repository],
    keyring: Keyring,
    signer: Signer,
    settings: BaseBackupSettings,
    kind: BackupKind,
    clock: Callable[[], datetime],
    holder: str,
    progress: Progress,
    parent: BackupLabel | None = None,
    wal_holds: WalHolds | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> BaseBackupReport:
    """Copy one cluster to every repository from one read; every file is checked on the way.

    WAL is not in it: the archive of the same repository must hold it. A repository that is out of reach, or
    whose archive does not keep up, does not stop the backup as long as another one takes it.

    :param kind: full, or incremental: what has changed since a parent that every repository has. A full one
        is read on the database's own host where ``settings.file_copy`` says so.
    :param parent: of an incremental one; by default the newest there is.
    :param wal_holds: when given, a repository gets the backup only once this says that its archive holds
        everything up to the copy's end.
    :param clock: returns the current time, aware.
    :param holder: who we are, for the lease that others see.
    :raises LeaseHeldError: another base backup of this target is running.
    :raises SourceError: the server refuses, is another cluster, found damaged pages, or cannot do it.
    :raises IntegrityError: a file did not arrive as the server read it.
    :raises BackstopError: no repository has a complete backup; nothing was published.
    """
    from backstop.postgres.local_cluster import check_local_cluster
    from backstop.postgres.preflight import check_clock
    from backstop.postgres.replication import ReplicationConnection

    if not repositories:
        raise ConfigurationError(f"target {target} has no repository", hint="list one in targets.yaml")
    if not kind.physical:
        raise ConfigurationError(
            f"a base backup is full or incr, not {kind.value}", hint="choose one of them"
        )
    incremental = kind is BackupKind.INCREMENTAL
    sweep_staging(settings.staging)
    # A writer may be allowed to encrypt only; an incremental one must read what its parent held.
    keyring.check(opening=incremental)
    # Everything that can be refused is refused before anything is written.
    check_clock(cluster, now=clock, tolerance=settings.clock_tolerance)
    stop = threading.Event()
    with ReplicationConnection(cluster, application_name=_APPLICATION_NAME, stop=stop) as connection:
        identity = connection.identify()
        standby = connection.setting("in_hot_standby") == "on"
        if incremental:
            connection.refuse_incremental()
        files = None if incremental else settings.file_copy
        local = (
            check_local_cluster(
                cluster.with_database(files.database), files.data_directory, system_id=identity.system_id
            )
            if files
            else None
        )
        with acquire_in(
            {repository.name: repository.storage for repository in repositories},
            target=target,
            kind=LEASE_KIND,
            holder=holder,
            clock=clock,
        ) as lease:
            publication = Publication.under(
                lease, repositories=repositories, signer=signer, clock=clock, pause=pause
            )
            refuse_other_cluster(
                publication.repositories,
                identity.system_id,
                # A standby may lag behind what its primary was backed up at.
                reached=None if standby else connection.identify,
                allowed=settings.allow_system_id,
            )
            chosen = (
                choose_parent(publication.repositories, system_id=identity.system_id, wanted=parent)
                if incremental
                else None
            )
            return BaseBackupAttempt(
                target=target,
                kind=kind,
                source=cluster,
                connection=connection,
                identity=identity,
                parent=chosen,
                local=local,
                publication=publication,
                keyring=keyring,
                settings=settings,
                wal_holds=wal_holds,
                stop=stop,
                progress=progress,
            ).run()
