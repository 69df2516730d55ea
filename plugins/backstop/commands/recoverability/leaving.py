"""Which backups probably go next, and what keeps each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.model.backup import BackupLabel
from backstop.model.retention_forecast import Leaving, Stored, forecast_leaving
from backstop.model.retention_policy import RetentionPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from backstop.commands.recoverability.backups import StoredBackup
    from backstop.commands.recoverability.holds import HoldSeen

Policies = Callable[[str, BackupLabel], RetentionPolicy]
"""What a repository, by its name, keeps of backups like this one."""

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class NextToLeave:
    """Of one kind in one repository.

    :param soonest: at most three, the first to go first.
    :param kept: how many there are in all; :param not_in_sight: those of them that no date is known of.
    """

    component: str
    repository: str
    soonest: tuple[Leaving, ...]
    kept: int
    not_in_sight: int


def next_to_leave(
    backups: Sequence[StoredBackup], holds: Sequence[HoldSeen], *, policies: Policies, now: datetime
) -> tuple[NextToLeave, ...]:
    """One a kind and repository, by name."""
    found = []
    for (component, repository), leaving in _forecasts(backups, holds, policies=policies, now=now).items():
        dated = sorted(
            (one for one in leaving if one.not_before is not None),
            key=lambda one: (one.not_before, one.label),
        )
        found.append(
            NextToLeave(component, repository, tuple(dated[:_SHOWN]), len(leaving), len(leaving) - len(dated))
        )
    return tuple(sorted(found, key=lambda one: (one.component, one.repository)))


def leaving_of(
    label: str,
    backups: Sequence[StoredBackup],
    holds: Sequence[HoldSeen],
    *,
    policies: Policies,
    now: datetime,
) -> dict[str, Leaving]:
    """Of one backup, by repository.

    :param backups: all that are there of its kind, oldest first.
    """
    return {
        repository: one
        for (_, repository), leaving in _forecasts(backups, holds, policies=policies, now=now).items()
        for one in leaving
        if one.label == label
    }


def _forecasts(
    backups: Sequence[StoredBackup], holds: Sequence[HoldSeen], *, policies: Policies, now: datetime
) -> dict[tuple[str, str], tuple[Leaving, ...]]:
    held = {(one.label, name): one for one in holds for name in one.repositories}
    groups: dict[tuple[str, str], list[StoredBackup]] = defaultdict(list)
    for one in backups:
        groups[one.component, one.repository].append(one)
    return {
        key: forecast_leaving(
            [_stored(one, held.get((one.label, one.repository))) for one in group],
            policy=policies(key[1], BackupLabel(group[-1].label)),
            now=now,
        )
        for key, group in groups.items()
    }


def _stored(one: StoredBackup, hold: HoldSeen | None) -> Stored:
    return Stored(
        one.label,
        one.finished_at,
        one.status == "proven",
        builds_on_last=one.label.endswith("-incr"),
        held=hold is not None and hold.until is None,
        held_until=hold.until if hold else None,
    )
