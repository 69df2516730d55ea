"""``sync-repositories``: every repository of a target gets what it should have and another one has."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.commands.bookkeeping import enter_backup
from backstop.commands.staging import staging_directory, sweep_staging
from backstop.commands.sync.backups import BackupCopies
from backstop.commands.sync.holds import copy_holds
from backstop.commands.sync.publishing import Publishing
from backstop.commands.sync.report import RepositorySync, SyncReport
from backstop.commands.sync.survey import Survey
from backstop.commands.sync.transfers import Transfers
from backstop.commands.sync.wal import copy_wal
from backstop.errors import BackstopError, NotFoundError
from backstop.model.backup import BackupLabel
from backstop.repository.lock import SYNC, Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.progress import Progress
    from backstop.commands.sync.settings import SyncSettings
    from backstop.commands.sync.survey import Work
    from backstop.crypto.signing import Signer
    from backstop.repository.catalog import Repository
    from backstop.repository.inventory import Inventory

"""Held in each repository while it is brought up to date: one sync into it at a time."""


def sync_repositories(
    *,
    target: str,
    repositories: Sequence[Repository],
    signer: Signer,
    settings: SyncSettings,
    clock: Callable[[], datetime],
    holder: str,
    progress: Progress,
    inventory: Inventory | None = None,
    sources: Collection[str] | None = None,
    destinations: Collection[str] | None = None,
    dry_run: bool = False,
) -> SyncReport:
    """Copy what some repository has and another one should have, as it is stored: nothing is decrypted.

    Everything is decided from signed manifests, and from the names of WAL. The source database is not asked.
    A repository that fails, or into which another sync is running, is named, and the others are brought up to
    date all the same. What an interrupted run has copied is recognised.

    :param repositories: all of the target's, the preferred sources first.
    :param signer: of manifests: a copy's manifest names its own repository, so it is signed anew.
    :param sources: names of those to copy from; :param destinations: and into; None: all.
    :param dry_run: nothing is written; what would be copied is in the report.
    :raises NotFoundError: a name is none of the target's repositories.
    :raises StorageFullError: no space for staging; what has been copied stays.
    """
    named = [one.name for one in repositories]
    for name in {*(sources or ()), *(destinations or ())} - {*named}:
        raise NotFoundError(
            f"target {target} has no repository {name!r}", hint=f"choose one of: {', '.join(named)}"
        )
    started_at = clock()
    progress.phase("look")
    survey = Survey(settings, [one for one in named if sources is None or one in sources], inventory)
    survey.read(repositories, now=started_at)
    sync = _Sync(target, survey, settings, signer, clock, holder, progress)
    into = [one for one in repositories if destinations is None or one.name in destinations]
    if dry_run:
        reports = [sync.plan(one) for one in into]
    else:
        sweep_staging(settings.staging)
        with staging_directory(settings.staging, f"sync-{target}-{secrets.token_hex(8)}") as folder:
            reports = [sync.bring_up_to_date(one, folder) for one in into]
    return SyncReport(
        target=target,
        dry_run=dry_run,
        started_at=started_at,
        finished_at=clock(),
        repositories=tuple(reports),
        notes=tuple(survey.notes),
    )


@dataclass(frozen=True, slots=True)
class _Sync:
    """Carries out what a survey has decided, one repository after the other."""

    target: str
    survey: Survey
    settings: SyncSettings
    signer: Signer
    clock: Callable[[], datetime]
    holder: str
    progress: Progress

    def plan(self, destination: Repository) -> RepositorySync:
        """What would be copied into one repository."""
        report = RepositorySync(destination.name)
        try:
            work = self.survey.work_for(destination.name, report, now=self.clock())
        except BackstopError as error:
            report.error = error
            return report
        report.copied += [label.text for label in work.labels]
        report.holds = len(work.holds)
        report.wal_objects = len(work.wal.items)
        report.stored_bytes = work.stored_bytes + work.wal.stored_bytes
        return report

    def bring_up_to_date(self, destination: Repository, folder: Path) -> RepositorySync:
        """Copy; what goes wrong with this repository is in its report, and the next one follows."""
        report = RepositorySync(destination.name)
        began = time.monotonic()
        try:
            work = self.survey.work_for(destination.name, report, now=self.clock())
            if not work.is_nothing:
                with Lease.acquire(
                    destination.storage, self.target, SYNC, holder=self.holder, clock=self.clock
                ):
                    self._carry_out(work, destination, folder, report)
        except BackstopError as error:
            report.error = error
        report.seconds = time.monotonic() - began
        for label in report.copied:
            report.notes += enter_backup(self.survey.inventory, [destination], BackupLabel(label))
        return report

    def _carry_out(self, work: Work, destination: Repository, folder: Path, report: RepositorySync) -> None:
        destination.catalog.repository_id(create=True)
        report.holds = copy_holds(work.holds, destination)
        transfers = Transfers(
            destination, folder=folder, at_once=self.settings.copies_at_once, advance=self.progress.advance
        )
        publishing = Publishing(
            destination=destination,
            signer=self.signer,
            clock=self.clock,
            holder=self.holder,
            every_seconds=self.settings.publish_every,
            report=report,
        )
        try:
            self.progress.phase(f"WAL to {destination.name}", total_bytes=work.wal.stored_bytes)
            # Before the base backups: each is published only where its WAL is.
            copy_wal(work.wal, transfers, report)
            self.progress.phase(f"backups to {destination.name}", total_bytes=work.stored_bytes)
            copies = BackupCopies(destination, work.sources, transfers, publishing, report)
            for label in work.labels:
                copies.copy(label)
            publishing.finish()
        finally:
            report.notes += transfers.notes
