"""Which legacy backups may go, and why the others stay. Pure.

The repository's retention holds for them as for the backups that take their place; and each new backup that
is proven takes the place of one old one, never of two.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.calendar_periods import CALENDAR_PERIODS, newest_of_each
from backstop.model.retention_rules import in_words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from backstop.model.backup import BackupLabel
    from backstop.model.calendar_periods import CalendarPeriod
    from backstop.model.legacy import LegacyBackup
    from backstop.model.retention import RetentionPolicy

_STALE = timedelta(days=7)
"""Should the newest proven backup be older than this, backups fail or the clock is wrong: nothing goes."""


@dataclass(frozen=True, slots=True)
class Successor:
    """A backup of Backstop's own, proven in the repository in question.

    :param finished_at: orders them.
    """

    label: BackupLabel
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class LegacyDecision:
    """About one file: whether it stays, why, and which new backup takes its place when it goes."""

    backup: LegacyBackup
    keep: bool
    reasons: tuple[str, ...]
    successor: BackupLabel | None = None


def retire(
    old: Sequence[LegacyBackup],
    proven: Sequence[Successor],
    *,
    policy: RetentionPolicy,
    old_proven: Collection[str] = (),
    old_failed: Collection[str] = (),
    places_taken: Mapping[BackupLabel, str],
    now: datetime,
) -> tuple[LegacyDecision, ...]:
    """Decide about the legacy backups of one kind that one repository's backups take the place of.

    :param proven: that repository's proven backups of the same kind.
    :param old_proven: names of the files that are proven, too; :param old_failed: of those that are known not
        to restore: no rule counts them, they would take a good one's place.
    :param places_taken: by new backup, the name of the file whose place it has been given before; a file that
        is still there, because a run broke off, keeps the successor it was given.
    :returns: one decision a file, oldest first.
    """
    files = sorted(old, key=lambda one: (one.taken_at, one.name))
    new = sorted(proven, key=lambda one: (one.finished_at, one.label.text))
    usable = [one for one in files if one.name not in old_failed]
    rules = _Rules(usable, new, policy, frozenset(old_proven), now)
    given = {name: label for label, name in places_taken.items()}
    free = iter([one.label for one in new if one.label not in places_taken])
    return tuple(_decide(one, rules, given, free, taken=len(places_taken)) for one in files)


def _decide(
    one: LegacyBackup,
    rules: _Rules,
    given: Mapping[str, BackupLabel],
    free: Iterator[BackupLabel],
    *,
    taken: int,
) -> LegacyDecision:
    reasons = tuple(rules.reasons_to_keep(one))
    if reasons:
        return LegacyDecision(one, keep=True, reasons=reasons)
    successor = given.get(one.name) or next(free, None)
    if successor is None:
        why = f"no proven new backup is left to take its place: {taken} old ones went for as many"
        return LegacyDecision(one, keep=True, reasons=(why,))
    return LegacyDecision(one, False, (f"no rule keeps it, and {successor} takes its place",), successor)


@dataclass(frozen=True, slots=True)
class _Entry:
    """Old or new: together they make the history that the rules count in."""

    at: datetime
    name: str
    proven: bool


class _Rules:
    def __init__(
        self,
        files: Sequence[LegacyBackup],
        new: Sequence[Successor],
        policy: RetentionPolicy,
        old_proven: frozenset[str],
        now: datetime,
    ) -> None:
        self._new, self._policy, self._now = new, policy, now
        history = [
            *(_Entry(one.taken_at, one.name, one.name in old_proven) for one in files),
            *(_Entry(one.finished_at, one.label.text, True) for one in new),
        ]
        history.sort(key=lambda one: (one.at, one.name))
        proven = [one.name for one in history if one.proven]
        self._last = {one.name for one in history[-policy.keep_last :]} if policy.keep_last else set()
        self._proven = set(proven[-max(policy.min_proven, 1) :])
        self._anchors = set() if policy.keep_for is None else _anchors(history, now - policy.keep_for)
        self._periods = {
            period.rule: _of_periods(history, period, getattr(policy, period.rule))
            for period in CALENDAR_PERIODS
        }

    def reasons_to_keep(self, one: LegacyBackup) -> Iterator[str]:
        policy = self._policy
        if policy.keeps_everything:
            yield policy.without_rules
        if policy.keep_for is not None and self._now - one.taken_at <= policy.keep_for:
            yield f"it is not older than {in_words(policy.keep_for)} (keep_for)"
        if one.name in self._anchors and policy.keep_for is not None:
            yield f"it is the newest from before the last {in_words(policy.keep_for)} (keep_for)"
        if one.name in self._last:
            yield f"it is one of the newest {policy.keep_last} (keep_last)"
        if one.name in self._proven:
            yield f"it is one of the newest {max(policy.min_proven, 1)} that are proven (min_proven)"
        for rule, names in self._periods.items():
            if one.name in names:
                yield f"it is the newest of its period ({rule}: {getattr(policy, rule)})"
        yield from self._without_replacement(one)

    def _without_replacement(self, one: LegacyBackup) -> Iterator[str]:
        newer = [successor for successor in self._new if successor.finished_at > one.taken_at]
        needed = max(self._policy.min_proven, 1)
        if len(newer) < needed:
            yield f"{len(newer)} newer backups are proven, and {needed} must be (min_proven)"
        elif abs(self._now - newer[-1].finished_at) > _STALE:
            yield (
                f"the newest proven backup, {newer[-1].label}, is not of these days: backups fail, or the "
                "clock is wrong"
            )


def _anchors(history: Sequence[_Entry], cutoff: datetime) -> set[str]:
    """What it takes to go back as far as the cutoff: the newest from before it, and the newest proven one."""
    before = [one for one in history if one.at <= cutoff]
    proven = [one for one in before if one.proven]
    return {one.name for one in (*before[-1:], *proven[-1:])}


def _of_periods(history: Sequence[_Entry], period: CalendarPeriod, count: int) -> set[str]:
    picked = newest_of_each(history, period, count, moment=lambda one: one.at, proven=lambda one: one.proven)
    return {one.name for _, one in picked}
