"""``check-objects``: stored bytes are read again and compared with what they must be; on request healed."""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from backstop.commands.bookkeeping import enter_backup
from backstop.commands.check.concerned import Concerned, concerned_backups
from backstop.commands.check.disprove import disprove
from backstop.commands.check.heal import Healed, Healer
from backstop.commands.check.journal import Journal, Reached
from backstop.commands.check.reading import read_arc
from backstop.commands.check.report import CheckReport, Damaged
from backstop.commands.check.reread import HIDDEN, MISSING, Reader
from backstop.commands.check.wanted import Wanted, wal_object, wanted_objects
from backstop.commands.staging import staging_directory
from backstop.errors import StorageError
from backstop.model.rotation import Arc
from backstop.repository.check_records import CheckRecord, CheckRecords
from backstop.repository.lock import EXPIRY, Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from backstop.commands.check.settings import CheckSettings
    from backstop.commands.check.wanted import WantedObjects
    from backstop.commands.progress import Progress
    from backstop.crypto.key_encryption import Keyring
    from backstop.crypto.signing import Signer
    from backstop.model.backup import BackupLabel
    from backstop.repository.catalog import Repository
    from backstop.repository.inventory import Inventory

"""What is healed must not be expired meanwhile."""
REMOVED = "is missing: it was removed to be healed"


def check_objects(
    *,
    repository: Repository,
    others: Sequence[Repository],
    keyring: Keyring | None,
    signer: Signer | None,
    settings: CheckSettings,
    clock: Callable[[], datetime],
    holder: str,
    progress: Progress,
    inventory: Inventory | None = None,
) -> CheckReport:
    """Check one repository.

    :param others: repositories that may have good copies.
    :param keyring: opens WAL; without one WAL is read and not judged.
    :param signer: of proofs: a backup that lost an object stops counting as proven. None: it is only told.
    :raises StorageUnavailableError: the repository does not answer; the next check goes on from here.
    :raises LeaseHeldError: something is to be healed, and expiry or another healing is at work.
    """
    check = _Check(
        repository, others, keyring, signer, settings, clock, holder, progress, inventory, time.monotonic()
    )
    return check.run()


@dataclass(slots=True)
class _Check:
    repository: Repository
    others: Sequence[Repository]
    keyring: Keyring | None
    signer: Signer | None
    settings: CheckSettings
    clock: Callable[[], datetime]
    holder: str
    progress: Progress
    inventory: Inventory | None
    began: float
    read_bytes: int = 0
    remarks: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> CheckReport:
        repository_id = self.repository.catalog.repository_id()
        records = CheckRecords(self.repository.storage, self.repository.catalog.target, repository_id)
        journal = Journal(
            self.settings.staging, target=self.repository.catalog.target, repository=self.repository.name
        )
        arc = self._arc(records)
        known = None if self.settings.restart else journal.resume(arc, repository_id=repository_id)
        reached = known or Reached(self.clock())
        wanted = wanted_objects(self.repository, arc)

        def note(now_reached: Reached) -> None:
            # Without it a killed check reads some objects twice.
            with suppress(OSError):
                journal.write(arc, now_reached, repository_id=repository_id)

        def note_removal(now_reached: Reached) -> None:
            journal.write(arc, now_reached, repository_id=repository_id)

        reached, end = read_arc(
            wanted.objects,
            arc,
            reached,
            reader=self._reader(),
            settings=self.settings,
            note=note,
            progress=self.progress,
        )
        if len(reached.damaged) >= self.settings.most_damaged:
            self.remarks.append(
                f"stopped after {len(reached.damaged)} damaged objects; the next check goes on from there"
            )
        damaged = self._judge(wanted, reached, note_removal)
        disproved = self._disprove(damaged, reached)
        finished_at = self.clock()
        self._record(
            records,
            CheckRecord(
                started_at=reached.started_at,
                finished_at=finished_at,
                start=arc.start,
                end=end,
                seed=arc.seed,
                objects=reached.objects,
                stored_bytes=reached.stored_bytes,
                damaged=len(damaged),
                healed=sum(one.healed for one in damaged),
            ),
        )
        journal.remove()
        return CheckReport(
            repository=self.repository.name,
            location=self.repository.location,
            started_at=reached.started_at,
            finished_at=finished_at,
            share=self.settings.share,
            objects=reached.objects,
            stored_bytes=reached.stored_bytes,
            unjudged=reached.unjudged,
            seconds=time.monotonic() - self.began,
            read_bytes=self.read_bytes,
            damaged=tuple(damaged),
            unreadable=tuple(str(error) for error in wanted.unreadable),
            disproved=tuple(disproved),
            remarks=tuple(self.remarks),
        )

    def _arc(self, records: CheckRecords) -> Arc:
        if self.settings.seed is not None:
            return Arc.of_share(self.settings.share, seed=self.settings.seed)
        newest = records.newest(seed=0)
        return Arc.of_share(self.settings.share, start=newest.end if newest else 0)

    def _reader(self) -> Reader:
        return Reader(
            self.repository.storage,
            target=self.repository.catalog.target,
            keyring=self.keyring,
            advance=self._advance,
        )

    def _advance(self, count: int) -> None:
        with self.lock:
            self.read_bytes += count
        self.progress.advance(count)

    def _judge(
        self, wanted: WantedObjects, reached: Reached, note: Callable[[Reached], None]
    ) -> list[Damaged]:
        if not reached.damaged:
            return []
        removed = [key for key, what in reached.damaged.items() if what == REMOVED]
        concerned = concerned_backups(self.repository, reached.damaged.keys(), removed=removed)
        by_key = {one.key: one for one in wanted.objects}
        target = self.repository.catalog.target
        todo: list[tuple[Wanted, str, Concerned]] = []
        for key, what in reached.damaged.items():
            one = by_key.get(key) or wal_object(target, key)
            # What nothing needs any more has expired while we read.
            if one is not None and key in concerned:
                todo.append((one, what, concerned[key]))
        healed = self._heal(todo, reached, note) if self.settings.heal and todo else {}
        return [
            Damaged(
                one.key,
                MISSING if what == REMOVED else what,
                tuple(costs.lost) if what != HIDDEN else (),
                tuple(costs.cut),
                healed.get(one.key, Healed()).source,
                healed.get(one.key, Healed()).why_not,
            )
            for one, what, costs in todo
        ]

    def _heal(
        self,
        todo: Sequence[tuple[Wanted, str, Concerned]],
        reached: Reached,
        note: Callable[[Reached], None],
    ) -> dict[str, Healed]:
        target = self.repository.catalog.target
        damaged = dict(reached.damaged)
        self.progress.phase("heal", total_bytes=sum(one.stored_bytes for one, _, _ in todo))
        with (
            Lease.acquire(
                self.repository.storage, target, EXPIRY, holder=self.holder, clock=self.clock
            ) as lease,
            staging_directory(self.settings.staging, f"heal-{secrets.token_hex(8)}") as folder,
        ):

            def before_removal(one: Wanted) -> None:
                damaged[one.key] = REMOVED if damaged[one.key] != HIDDEN else HIDDEN
                note(replace(reached, damaged=dict(damaged)))
                lease.ensure_held()

            healer = Healer(
                self.repository,
                self.others,
                keyring=self.keyring,
                folder=folder,
                before_removal=before_removal,
                progress=self.progress,
            )
            return {one.key: healer.heal(one, what, costs.lost) for one, what, costs in todo}

    def _disprove(self, damaged: Sequence[Damaged], reached: Reached) -> list[BackupLabel]:
        lost: dict[BackupLabel, list[str]] = {}
        for one in damaged:
            for label in () if one.healed else one.lost:
                lost.setdefault(label, []).append(f"object {one.key} {one.what}")
        if not lost:
            return []
        if self.signer is None:
            self.remarks.append(
                "no proofs are signed on this machine, so the backups named above still count as proven: "
                "check on the machine that verifies"
            )
            return []
        try:
            recorded = disprove(
                self.repository,
                lost,
                signer=self.signer,
                started_at=reached.started_at,
                finished_at=self.clock(),
            )
        except StorageError as error:
            self.remarks.append(f"that they are not proven any more could not be recorded: {error}")
            return []
        for label in recorded:
            self.remarks += enter_backup(self.inventory, [self.repository], label)
        return recorded

    def _record(self, records: CheckRecords, record: CheckRecord) -> None:
        try:
            records.put(record)
        except StorageError as error:
            self.remarks.append(f"the next check begins at the same place: {error}")
