"""``expire-legacy``: remove what retention lets go, one file for each new backup that was proven.

Order: the record that a new backup takes the file's place, then the file. A run that breaks off between the
two leaves a file whose successor is known; the next run finishes it with that one, and uses up no other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.expiry.survey import survey
from backstop.errors import BackstopError, ObjectConflictError
from backstop.model.backup import BackupKind, BackupLabel
from backstop.model.canonical import format_time
from backstop.model.legacy_retention import LegacyDecision, Successor, retire
from backstop.model.retention import RetentionPolicy
from backstop.model.retention_drop import find_drop
from backstop.model.retention_groups import Group, oldest_first
from backstop.repository.acceptances import Acceptances

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from backstop.commands.legacy.known import Known, LegacyStock
    from backstop.commands.legacy.places import Place
    from backstop.model.legacy import LegacyBackup
    from backstop.repository.catalog import Repository
    from backstop.repository.legacy_records import LegacyRecords


@dataclass(frozen=True, slots=True)
class Retirement:
    """What is to become of each file of one place.

    :param decisions: oldest first.
    """

    place: Place
    decisions: tuple[LegacyDecision, ...]

    @property
    def going(self) -> tuple[LegacyDecision, ...]:
        return tuple(decision for decision in self.decisions if not decision.keep)


@dataclass(slots=True)
class RetireReport:
    """What was removed; and why what should have gone is still there, one sentence each."""

    removed: list[LegacyBackup] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def plan_retirement(
    place: Place,
    known: list[Known],
    *,
    records: LegacyRecords,
    policies: Callable[[BackupLabel], RetentionPolicy],
    now: datetime,
) -> Retirement:
    """Decide, change nothing.

    :param known: what there is; of it, this place's.
    :param policies: of the repository whose backups take the files' place.
    :raises BackstopError: the repository cannot be read: then nothing of it is known to be proven.
    """
    files = [one for one in known if one.place is place]
    tree = place.kind.tree
    successors = _before_any_drop(records.repository, tree, now)
    kind = f"tree-{tree}" if tree else "database"
    taken = {
        label: str(record["name"]) if _is_there(record, files) else ""
        for label, record in records.places_taken().items()
        if record["kind"] == kind
    }
    return Retirement(
        place,
        retire(
            [one.backup for one in files],
            successors,
            policy=policies(_any_label(tree, now)),
            old_proven={one.backup.name for one in files if one.state == "proven"},
            old_failed={one.backup.name for one in files if one.is_lost},
            places_taken=taken,
            now=now,
        ),
    )


def plan_retirements(
    places: Sequence[Place],
    stock: LegacyStock,
    *,
    records: Mapping[str, LegacyRecords],
    policies: Callable[[str], Callable[[BackupLabel], RetentionPolicy]],
    now: datetime,
) -> list[Retirement]:
    """For every place that could be read.

    :param records: by repository; :param policies: of a repository.
    """
    return [
        plan_retirement(
            place,
            stock.found,
            records=records[place.kind.repository],
            policies=policies(place.kind.repository),
            now=now,
        )
        for place in places
        if place.location not in stock.failed
    ]


def carry_out(
    retirement: Retirement, *, records: LegacyRecords, report: RetireReport | None = None
) -> RetireReport:
    """Remove what the plan lets go; can be repeated at will.

    :param report: filled as it goes, so that whoever gave it knows how far a failed run came.
    :raises BackstopError: what time may heal stopped it.
    """
    report = RetireReport() if report is None else report
    for decision in retirement.going:
        backup, successor = decision.backup, decision.successor
        if successor is None:  # pragma: no cover - nothing goes without one
            raise AssertionError(f"{backup.name} goes, and nothing takes its place")
        try:
            # Is it still there, and proven? Between plan and deed somebody may have looked, and agreed.
            if not _still_proven(records.repository, successor):
                report.kept.append(f"{backup.location}: {successor} is not proven any more")
                continue
            records.give_place(backup, successor)
            retirement.place.remove(backup)
        except ObjectConflictError as error:
            report.kept.append(f"{backup.location}: {error.message}")
        except BackstopError as error:
            if error.retryable:
                raise
            report.kept.append(f"{backup.location}: {error.message}")
        else:
            report.removed.append(backup)
    return report


def _is_there(record: Mapping[str, object], files: list[Known]) -> bool:
    """Whether the very file is still there: by its name alone it could be another one by now."""
    return any(
        (record["name"], record["size_bytes"], record["modified_at"])
        == (one.backup.name, one.backup.size_bytes, format_time(one.backup.modified_at))
        for one in files
    )


def _still_proven(repository: Repository, label: BackupLabel) -> bool:
    catalog = repository.catalog
    return catalog.has(label) and catalog.verifications(catalog.backup(label)).proven


def _any_label(tree: str, now: datetime) -> BackupLabel:
    """Policies are asked by label; only its kind counts."""
    return BackupLabel.at(now, BackupKind.TREE if tree else BackupKind.DUMP, tree=tree)


def _before_any_drop(repository: Repository, tree: str, now: datetime) -> list[Successor]:
    """Proven backups; none while a drop in rows or files holds up the repository's own expiry."""
    found = survey(repository, now=now, wanted=lambda label: label.tree == tree and not label.kind.physical)
    group = Group("", f"tree {tree}" if tree else "dumps", RetentionPolicy())
    group.backups = oldest_first(found.candidates.values())
    if find_drop(group, Acceptances(repository).labels()) is not None:
        return []
    return [Successor(one.label, one.finished_at) for one in group.backups if one.proven]
