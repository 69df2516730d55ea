"""Whether a recovery target lies in one of several windows; if not, on which side of which end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.recovery_target import RecoveryTarget, TargetKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from backstop.model.lsn import Lsn
    from backstop.model.recovery_look import Look
    from backstop.model.window import RecoverySources, RecoveryWindow

CLOCK_ERROR = timedelta(seconds=2)
"""Object stores keep whole seconds, and no two clocks agree; later than this, a target is out of reach."""

_AFTER_BASE = (
    'docs, "Recovering Using a Continuous Archive Backup": one stops after the end of the base backup'
)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a choice is made from; see :func:`backstop.model.recovery.plan_recovery`."""

    sources: RecoverySources
    windows: Sequence[RecoveryWindow]
    now: datetime
    majors: frozenset[int] | None
    look: Look | None
    positions: Mapping[str, Lsn]
    last_commit_at: datetime | None
    last_record: Lsn | None
    clock_error: timedelta

    def position_of(self, target: RecoveryTarget) -> Lsn | None:
        """Where it lies, when that is known."""
        return target.lsn or self.positions.get(str(target))

    def why_not(self, window: RecoveryWindow) -> str:
        """In words, why a window cannot be used for anything; empty when it can."""
        base = window.base
        if self.majors is not None and base.server_major not in self.majors:
            here = ", ".join(str(major) for major in sorted(self.majors)) or "none"
            return f"{base.label} needs PostgreSQL {base.server_major}; at hand is {here}"
        return f"{base.label} cannot be restored: {window.broken}" if window.broken else ""


class Refusal(Exception):
    """Why not, for :func:`backstop.model.recovery_choice.choose_window` to put into an error.

    :param near: targets to offer instead, best first; the first that is possible is named.
    """

    def __init__(self, why: str, *, near: Sequence[RecoveryTarget] = (), remedy: str = "") -> None:
        super().__init__(why)
        self.near = near
        self.remedy = remedy


def by_time(
    target: RecoveryTarget, moment: datetime, windows: Sequence[RecoveryWindow], facts: Facts
) -> tuple[RecoveryWindow, str]:
    latest = replace(target, kind=TargetKind.LATEST, time=None)
    if moment > facts.now:
        raise Refusal("that time has not come yet", near=[latest])
    started = [window for window in windows if window.start_time <= moment]
    fitting = [window for window in started if not _ends_before(window, target, moment, facts)]
    if fitting:
        return fitting[-1], f"the newest that ended before {moment} ({_AFTER_BASE})"
    if not started:
        first = windows[0]
        earliest = replace(target, time=first.start_time)
        immediate = replace(latest, kind=TargetKind.IMMEDIATE, base=first.base.label)
        raise Refusal(
            f"the first base backup that can be used, {first.base.label}, ended at {first.start_time} "
            f"({_AFTER_BASE})",
            near=[earliest, immediate],
        )
    window = started[-1]
    following = next((other for other in windows if other.start_time > moment), None)
    until = replace(latest, base=window.base.label)
    if window.has_gap or following is not None:
        near = [until]
        if following is not None:
            after = replace(target, time=following.start_time)
            end = window.end_time or moment
            near = [until, after] if moment - end <= following.start_time - moment else [after, until]
        raise Refusal(f"it lies in a gap: {window.ends_because}", near=near)
    if facts.last_commit_at is not None:
        raise Refusal(
            f"the last commit that is stored was at {facts.last_commit_at}, and a recovery that finds none "
            f"after its target ends in an error (recovery_target_time)",
            near=[latest],
        )
    raise Refusal(f"the last WAL that is stored had been written by {window.end_time}", near=[latest])


def _ends_before(window: RecoveryWindow, target: RecoveryTarget, moment: datetime, facts: Facts) -> bool:
    """Whether recovery would find no commit to stop at: it needs one later than the target, or at it."""
    if facts.last_commit_at is not None and not window.has_gap:
        last = facts.last_commit_at
        return moment >= last if target.inclusive else moment > last
    return window.end_time is None or moment > window.end_time + facts.clock_error


def by_position(
    target: RecoveryTarget, position: Lsn, windows: Sequence[RecoveryWindow], facts: Facts
) -> tuple[RecoveryWindow, str]:
    latest = replace(target, kind=TargetKind.LATEST, lsn=None, name=None, xid=None)
    started = [window for window in windows if window.start_lsn <= position]
    fitting = [window for window in started if _reaches(window, position, facts)]
    if fitting:
        return fitting[-1], f"the newest that ended at or before {position} ({_AFTER_BASE})"
    if not started:
        first = min(windows, key=lambda window: window.start_lsn)
        earliest = replace(latest, kind=TargetKind.LSN, lsn=first.start_lsn)
        immediate = replace(latest, kind=TargetKind.IMMEDIATE, base=first.base.label)
        raise Refusal(
            f"{position} lies before the end of the first base backup that can be used, {first.base.label}, "
            f"{first.start_lsn} ({_AFTER_BASE})",
            near=[earliest, immediate],
        )
    window = started[-1]
    until = replace(latest, base=window.base.label)
    following = [other for other in windows if other.start_lsn > position]
    if window.has_gap or following:
        after = [replace(latest, kind=TargetKind.LSN, lsn=other.start_lsn) for other in following[:1]]
        raise Refusal(f"{position} lies in a gap: {window.ends_because}", near=[until, *after])
    if facts.last_record is not None:
        raise Refusal(
            f"the last record that is stored begins at {facts.last_record}, and a recovery that finds none "
            f"at its target or behind ends in an error (recovery_target_lsn)",
            near=[latest],
        )
    raise Refusal(
        f"{position} lies behind the last WAL that is stored, which ends at {window.end_lsn}", near=[latest]
    )


def _reaches(window: RecoveryWindow, position: Lsn, facts: Facts) -> bool:
    """Whether recovery can find a record to stop at, at the position or behind it."""
    if facts.last_record is not None and not window.has_gap:
        return position <= facts.last_record
    return window.end_lsn is not None and position < window.end_lsn


def by_newest(target: RecoveryTarget, windows: Sequence[RecoveryWindow]) -> tuple[RecoveryWindow, str]:
    window = windows[-1]
    if window.has_gap and not window.ends_unfinished and target.base is None:
        # A base backup asked for by name is rolled as far as it goes; `latest` alone promises the newest.
        raise Refusal(
            f"newer WAL is stored than can be reached: {window.ends_because}",
            near=[replace(target, base=window.base.label)],
        )
    return window, "the newest, with the least WAL to replay"


def by_nothing(
    target: RecoveryTarget, windows: Sequence[RecoveryWindow], facts: Facts
) -> tuple[RecoveryWindow, str]:
    """Nobody knows where it lies: begin early enough to meet it, in the WAL that leads on to the newest."""
    if facts.look is not None and facts.look.complete:
        raise Refusal(facts.look.says, near=_near(target, facts.look))
    newest = windows[-1]
    reaching = [window for window in windows if window.end_lsn == newest.end_lsn]
    unseen = facts.look.says if facts.look else f"nobody has looked where {target} lies"
    return reaching[0], (
        f"the oldest from which WAL leads without a gap to {newest.end_lsn}, because {unseen}; "
        f"found with pg_waldump, a newer one may do"
    )


def _near(target: RecoveryTarget, look: Look) -> list[RecoveryTarget]:
    texts = [*(other.target for other in look.others), TargetKind.LATEST.value, TargetKind.IMMEDIATE.value]
    return [
        RecoveryTarget.parse(text, timeline=target.timeline, inclusive=target.inclusive, base=target.base)
        for text in texts
    ]
