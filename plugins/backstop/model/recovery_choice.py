"""Chooses the base backup and timeline for a recovery target, or says what stands in the way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backstop.errors import RecoveryImpossibleError
from backstop.model.recovery_fit import Facts, Refusal, by_newest, by_nothing, by_position, by_time
from backstop.model.recovery_target import (
    CURRENT_TIMELINE,
    LATEST_TIMELINE,
    RecoveryTarget,
    TargetKind,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.model.window import RecoveryWindow

Choice = tuple["RecoveryWindow", tuple[str, ...]]


def choose_window(target: RecoveryTarget, facts: Facts) -> Choice:
    """The window to recover in, and one sentence a decision.

    :raises RecoveryImpossibleError: why there is none, and what the nearest possible target is.
    """
    try:
        return _choose(target, facts)
    except Refusal as refusal:
        nearest = next((near for near in refusal.near if _possible(near, facts)), None)
        hints = [refusal.remedy, _unknown_way(target, facts), _other_timelines(target, nearest, facts)]
        if nearest is not None:
            hints.append(f"nearest possible is {_described(nearest, facts)}")
        raise RecoveryImpossibleError(
            f"cannot recover to {target.described}: {refusal}",
            hint="; ".join(hint for hint in hints if hint) or "nothing else is near; take a new base backup",
            nearest=nearest,
        ) from None


def usable_windows(target: RecoveryTarget, facts: Facts) -> tuple[RecoveryWindow, ...]:
    """All that a recovery to this target could be made in, whether or not it lies there; oldest first."""
    try:
        found, _ = _candidates(target, facts)
    except Refusal:
        return ()
    return tuple(window for window in found if not facts.why_not(window))


def _unknown_way(target: RecoveryTarget, facts: Facts) -> str:
    """Base backups may be missing from the choice because nobody knows that they lead there."""
    timeline = (
        max(facts.sources.timelines, default=1) if target.timeline == LATEST_TIMELINE else target.timeline
    )
    missing = facts.sources.histories.missing_for(timeline) if isinstance(timeline, int) else ""
    return f"{missing}: look for it in pg_wal of the server, or in the other repository" if missing else ""


def _other_timelines(target: RecoveryTarget, nearest: RecoveryTarget | None, facts: Facts) -> str:
    """Where the very same time or position can be had, when not on the timeline that was asked for."""
    if target.kind not in (TargetKind.TIME, TargetKind.LSN):
        return ""
    facts = replace(facts, last_commit_at=None, last_record=None)  # those are of the timeline asked for
    branches = [replace(target, timeline=timeline) for timeline in sorted(facts.sources.timelines)]
    found = [str(branch.timeline) for branch in branches if branch != nearest and _possible(branch, facts)]
    return f"timeline {', '.join(found)} leads there" if found else ""


def _possible(target: RecoveryTarget, facts: Facts) -> bool:
    try:
        _choose(target, facts)
    except Refusal:
        return False
    return True


def _described(target: RecoveryTarget, facts: Facts) -> str:
    window, _ = _choose(target, facts)
    if target.kind is not TargetKind.LATEST:
        return target.described
    moment = facts.last_commit_at if facts.last_commit_at and not window.has_gap else window.end_time
    return (
        f"{target.described}, which leads up to {window.end_lsn}, not later than {moment:%Y-%m-%d %H:%M:%S%z}"
    )


def _choose(target: RecoveryTarget, facts: Facts) -> Choice:
    _refuse_other_cluster(target, facts)
    candidates, timeline_why = _candidates(target, facts)
    windows = [window for window in candidates if not facts.why_not(window)]
    if not windows:
        reasons = "; ".join(dict.fromkeys(facts.why_not(window) for window in candidates))
        raise Refusal(
            reasons or f"no base backup leads onto timeline {target.timeline}",
            near=_elsewhere(target, facts),
            remedy=_install(candidates, facts),
        )
    position = facts.position_of(target)
    if target.time is not None:
        window, why = by_time(target, target.time, windows, facts)
    elif position is not None and target.kind in (TargetKind.LSN, TargetKind.NAME, TargetKind.XID):
        window, why = by_position(target, position, windows, facts)
    elif target.kind is TargetKind.IMMEDIATE:
        window, why = windows[-1], "the newest; recovery stops where it is consistent (recovery_target)"
    elif target.kind is TargetKind.LATEST:
        window, why = by_newest(target, windows)
    else:
        window, why = by_nothing(target, windows, facts)
    passed_over = [facts.why_not(other) for other in candidates if facts.why_not(other)]
    return window, (
        f"base backup {' + '.join(window.chain)}: {why}",
        *(f"passed over: {reason}" for reason in passed_over),
        timeline_why,
    )


def _refuse_other_cluster(target: RecoveryTarget, facts: Facts) -> None:
    own, system_id = facts.sources.own_bases, facts.sources.wal.system_id
    named = [base for base in facts.sources.bases if base.label == target.base]
    if target.base and not named:
        raise Refusal(
            f"there is no base backup {target.base}", near=[replace(target, base=None)], remedy="see `list`"
        )
    if named and named[0] not in own:
        raise Refusal(
            f"{target.base} is of cluster {named[0].system_id}, and the WAL is of cluster {system_id}",
            near=[replace(target, base=None)],
        )
    if not own:
        others = sorted({base.system_id for base in facts.sources.bases})
        raise Refusal(
            f"there is no base backup of cluster {system_id}"
            + (f", only of {', '.join(others)}" if others else ""),
            remedy="take a base backup" if not others else "choose the WAL of the cluster the backups are of",
        )


def _candidates(target: RecoveryTarget, facts: Facts) -> tuple[list[RecoveryWindow], str]:
    """Windows on the wanted timeline from the wanted base, usable or not, oldest first; and why that one."""
    sources = facts.sources
    known = sorted(sources.timelines)
    windows = [window for window in facts.windows if target.base in (None, window.base.label)]
    if target.timeline == CURRENT_TIMELINE:
        own = [window for window in windows if window.timeline == window.base.timeline]
        own.sort(key=lambda window: (window.base.finished_at, window.base.label))
        return own, "the timeline on which the base backup was taken (recovery_target_timeline = current)"
    if target.timeline == LATEST_TIMELINE:
        timeline, why = known[-1], "the newest timeline that is known (recovery_target_timeline = latest)"
    else:
        timeline, why = int(target.timeline), "the timeline that was asked for (recovery_target_timeline)"
    if timeline not in sources.timelines:
        raise Refusal(
            f"timeline {timeline} is not known; there are {', '.join(map(str, known))}",
            near=_elsewhere(target, facts),
        )
    found = [window for window in windows if window.timeline == timeline]
    if not found:
        raise Refusal(_why_no_way(timeline, target, facts), near=_elsewhere(target, facts))
    return found, why


def _why_no_way(timeline: int, target: RecoveryTarget, facts: Facts) -> str:
    missing = facts.sources.histories.missing_for(timeline)
    subject = target.base or "any base backup"
    if missing:
        return f"the way from {subject} to timeline {timeline} is not known, because {missing}"
    return (
        f"timeline {timeline} does not lead on from {subject}: the cluster had left the way to it before the "
        f'backup ended ("Timelines")'
    )


def _elsewhere(target: RecoveryTarget, facts: Facts) -> list[RecoveryTarget]:
    """The same target by other ways: another base backup, else another timeline, newest first."""
    branches = sorted(facts.sources.timelines, reverse=True)
    ways = [replace(target, timeline=branch) for branch in branches]
    return [replace(target, base=None), *ways, *(replace(way, base=None) for way in ways)]


def _install(candidates: Sequence[RecoveryWindow], facts: Facts) -> str:
    if facts.majors is None:
        return ""
    wanted = sorted({window.base.server_major for window in candidates} - facts.majors)
    return f"install PostgreSQL {', '.join(map(str, wanted))}" if wanted else ""
