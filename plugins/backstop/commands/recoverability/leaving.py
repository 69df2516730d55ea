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


@dataclass(frozen=True, slots=True)
class Departures:
    """Of one kind in one repository.

    :param all: what is there, in the order in which it came.
    """

    component: str
    repository: str
    all: tuple[Leaving, ...]

    @property
    def next(self) -> Leaving | None:
        """The first to go; None: nothing is in sight of going."""
        dated = [(one.not_before, one.label, one) for one in self.all if one.not_before is not None]
        return min(dated)[2] if dated else None

    @property
    def not_in_sight(self) -> int:
        """How many there are that no date is known of."""
        return sum(one.not_before is None for one in self.all)


def departures(
    backups: Sequence[StoredBackup], holds: Sequence[HoldSeen], *, policies: Policies, now: datetime
) -> tuple[Departures, ...]:
    """One a kind and repository, by name.

    :param backups: all that are there, oldest first.
    """
    forecasts = _forecasts(backups, holds, policies=policies, now=now)
    return tuple(
        Departures(*key, leaving) for key, leaving in sorted(forecasts.items(), key=lambda one: one[0])
    )


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
    groups = departures(backups, holds, policies=policies, now=now)
    return {group.repository: one for group in groups for one in group.all if one.label == label}


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
