"""Removes what a plan lets go: in an order in which a crash at any step harms nothing, and the next run ends
what was begun (docs/format.md, "Order of removal").
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from backstop.commands.expiry.decide import decide
from backstop.commands.expiry.removal import Removal
from backstop.commands.expiry.report import ExpiryReport
from backstop.commands.expiry.survey import believable, labels_below, survey
from backstop.commands.expiry.wal import UnneededWal, wal_seen
from backstop.commands.expiry.wal_removal import remove_wal
from backstop.commands.locking import renew_locks
from backstop.commands.progress import Silent
from backstop.errors import ConfigurationError, LeaseHeldError
from backstop.repository.expiring import ExpiringMarks
from backstop.repository.lock import EXPIRY, Lease
from backstop.repository.pins import readers
from backstop.repository.spent_claims import clear_spent_claims

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from backstop.commands.expiry.plan import DoomedBackup, ExpiryPlan
    from backstop.commands.expiry.survey import Survey
    from backstop.commands.progress import Progress
    from backstop.model.backup import BackupLabel
    from backstop.model.retention import Candidate, RetentionPlan
    from backstop.repository.catalog import Repository
    from backstop.repository.expiring import Begun
    from backstop.repository.inventory import Inventory

_STAYED = "it was to go, and stayed"
"""The kind of lease that keeps a second expiry out."""


def carry_out(
    plan: ExpiryPlan,
    repository: Repository,
    *,
    inventory: Inventory | None,
    clock: Callable[[], datetime],
    progress: Progress | None = None,
    report: ExpiryReport | None = None,
) -> ExpiryReport:
    """Remove what the plan says, as far as it may still go: everything is looked at once more.

    What an earlier run began is finished first, or undone where it may not go any more. A kind of backup that
    is being written at this moment waits for the next run.

    :param inventory: must answer: a row must never say that something is there that is not. None: there is
        none.
    :param report: filled as it goes, so that a failure can tell how far it came.
    :raises LeaseHeldError: another expiry is at work in this repository.
    :raises SourceUnavailableError: the inventory does not answer.
    :raises StorageError: the repository failed; the next run goes on where this one stopped.
    """
    if plan.repository != repository.name or plan.target != repository.catalog.target:
        raise ConfigurationError(
            f"this plan is of {plan.target} in {plan.repository}, not of {repository.catalog.target} in "
            f"{repository.name}",
            hint="make a plan for this repository",
        )
    report = report or ExpiryReport(repository.name, plan.target)
    report.unreadable += plan.found.unreadable
    if inventory is not None:
        inventory.require()
    with Lease.acquire(
        repository.storage, plan.target, EXPIRY, holder=plan.settings.holder, clock=clock
    ) as lease:
        _Expiry(plan, repository, inventory, clock, progress or Silent(), report, lease).run()
    return report


@dataclass(slots=True)
class _Expiry:
    plan: ExpiryPlan
    repository: Repository
    inventory: Inventory | None
    clock: Callable[[], datetime]
    progress: Progress
    report: ExpiryReport
    lease: Lease

    def run(self) -> None:
        self.progress.phase("expire", total_bytes=self.plan.freed_bytes)
        # First: every look at a lease lists its renewals.
        self.report.claims = clear_spent_claims(
            self.repository.storage,
            self.plan.target,
            now=believable(self.clock(), self.plan.found.newest),
        )
        begun: dict[str, list[Begun]] = {}
        for mark in ExpiringMarks(self.repository).all():
            begun.setdefault(mark.label.lease_kind, []).append(mark)
        doomed: dict[str, list[DoomedBackup]] = {}
        for one in self.plan.doomed:
            doomed.setdefault(one.label.lease_kind, []).append(one)
        groups = begun.keys() | doomed.keys() | ({"base"} if self.plan.wal.objects else set())
        # Before anything goes: what stays has to be safe whatever becomes of the rest.
        self._renew_locks()
        for group in sorted(groups):
            self._run_group(group, begun.get(group, ()), doomed.get(group, ()))

    def _renew_locks(self) -> None:
        renewed, failed = renew_locks(self.repository, self.plan.stays, now=self.clock())
        self.report.renewed += renewed
        self.report.waiting += [
            f"the lock of {label} could not be extended: {error.message}" for label, error in failed.items()
        ]

    def _run_group(self, group: str, begun: Sequence[Begun], doomed: Sequence[DoomedBackup]) -> None:
        with ExitStack() as stack:
            try:
                lease = stack.enter_context(self._lease_of(group))
            except LeaseHeldError as error:
                # What is being written may build on what would go; and nobody may begin to while it goes.
                self.report.waiting.append(error.message)
                return
            found = self._survey(group)
            if why := found.why_closed(group):
                self.report.waiting.append(f"{group}: nothing goes, because {why}")
                return
            again = self._decide_again(group, found.candidates)
            ensure_held = partial(self._ensure_held, lease)
            self._remove(found, again, begun, doomed, ensure_held=ensure_held)
            if group == "base":
                self._remove_wal(found, again, ensure_held)

    def _survey(self, group: str) -> Survey:
        return survey(
            self.repository,
            now=self.clock(),
            wanted=lambda label: label.lease_kind == group,
            newest=self.plan.found.newest,
        )

    def _lease_of(self, group: str) -> Lease:
        return Lease.acquire(
            self.repository.storage,
            self.plan.target,
            group,
            holder=self.plan.settings.holder,
            clock=self.clock,
        )

    def _ensure_held(self, lease: Lease) -> None:
        self.lease.ensure_held()
        lease.ensure_held()

    def _decide_again(self, group: str, candidates: Mapping[BackupLabel, Candidate]) -> RetentionPlan:
        """The group as it is now, beside the others as they were when the plan was made."""
        others = {
            label: candidate for label, candidate in self.plan.candidates.items() if label.lease_kind != group
        }
        again, _ = decide(
            {**others, **candidates},
            repository=self.repository,
            settings=self.plan.settings,
            seen=wal_seen(self.repository) if group == "base" else {},
            now=self.clock(),
        )
        return again

    def _remove(
        self,
        found: Survey,
        again: RetentionPlan,
        begun: Sequence[Begun],
        doomed: Sequence[DoomedBackup],
        *,
        ensure_held: Callable[[], None],
    ) -> None:
        removal = Removal(
            repository=self.repository,
            references=found.references,
            needed_by=_needed_by(found),
            newest_proven=_newest_proven(found, again),
            newest=self.plan.found.newest,
            inventory=self.inventory,
            ensure_held=ensure_held,
            clock=self.clock,
            progress=self.progress,
            report=self.report,
        )
        reasons = {one.label: one.reasons for one in again.decisions}
        going = {one.label for one in doomed} & set(again.expired)
        for mark in begun:
            self._end(mark, removal, found, going)
        for one in doomed:
            if one.label in going:
                removal.expire(one.label, manifest_sha256=one.manifest_sha256, reasons=reasons[one.label])
            elif one.label in reasons:
                self.report.kept[one.label] = "; ".join(reasons[one.label])

    def _remove_wal(self, found: Survey, again: RetentionPlan, ensure_held: Callable[[], None]) -> None:
        """By what is there now: a base backup that was to go may have stayed, and needs its WAL."""
        there = self._survey("base")
        if why := there.why_closed("base"):
            self.report.waiting.append(f"WAL: nothing goes, because {why}")
            return
        kept = {one.label for one in again.decisions if one.keep}
        staying = {
            label: candidate
            if label in kept
            else replace(candidate, kept_because=(*candidate.kept_because, _STAYED), read_now=True)
            for label, candidate in there.candidates.items()
        }
        # What has gone is asked about, too: the WAL of a cluster ends with its last base backup.
        last = self._decide_again("base", {**found.candidates, **staying})
        remove_wal(
            UnneededWal(self.repository, (self.plan.retention, again, last), _both(found, there)),
            storage=self.repository.storage,
            ensure_held=ensure_held,
            obstacle=partial(self._begun_to_read, there),
            report=self.report,
            progress=self.progress,
            at_most=self.plan.most_wal,
        )

    def _begun_to_read(self, there: Survey) -> str | None:
        """A recovery begun since the survey may want WAL behind its base backup that nothing else needs."""
        target, storage = self.plan.target, self.repository.storage
        now = believable(self.clock(), self.plan.found.newest)
        for label in labels_below(self.repository, "pins"):
            known = there.candidates.get(label)
            if label.kind.physical and not (known and known.read_now):
                for reader in readers(storage, target, label, now=now):
                    return f"{label} is being read: {reader.holder}"
        return None

    def _end(self, mark: Begun, removal: Removal, found: Survey, going: set[BackupLabel]) -> None:
        """What an earlier run began."""
        label, published = mark.label, mark.published
        if label in found.sha256:
            if published is None or published.sha256 != found.sha256[label]:
                # Of a manifest that is no longer the one there; what it speaks of is a backup again.
                removal.keep(self.repository.catalog.backup(label), "it was published anew")
            elif label not in going:
                removal.keep(published, "it may not go any more")
            return
        if self.repository.catalog.has(label):
            self.report.waiting.append(f"{label} was begun, and its manifest cannot be read")
        elif published is None:
            self.report.waiting.append(
                f"{label} was begun, and what is left of it cannot be told: {mark.error}"
            )
        elif removal.finish(published):
            self.report.finished.append(label)


def _both(found: Survey, there: Survey) -> dict[str, int | None]:
    """Sizes of segments, of clusters for which the two agree."""
    sizes = {**there.segment_bytes, **found.segment_bytes}
    return {
        system_id: size if there.segment_bytes.get(system_id, size) == size else None
        for system_id, size in sizes.items()
    }


def _needed_by(found: Survey) -> dict[BackupLabel, set[BackupLabel]]:
    needed_by: dict[BackupLabel, set[BackupLabel]] = {}
    for candidate in found.candidates.values():
        for needed in candidate.needs:
            needed_by.setdefault(needed, set()).add(candidate.label)
    return needed_by


def _newest_proven(found: Survey, again: RetentionPlan) -> BackupLabel | None:
    proven = [
        found.candidates[one.label]
        for one in again.decisions
        if one.keep and one.label in found.candidates and found.candidates[one.label].proven
    ]
    return max(proven, key=lambda one: one.finished_at).label if proven else None
