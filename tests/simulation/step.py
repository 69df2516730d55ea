"""What two repositories that were brought into step must have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.backup import BackupLabel
from tests.simulation.policies import policy_of

if TYPE_CHECKING:
    from tests.simulation.judge import Judge
    from tests.simulation.oracle import Sight

_TOO_OFTEN = 3


def after_sync(judge: Judge, before: Sight, after: Sight) -> None:
    """A copy adds; it takes nothing away, and brings nothing back that was let go."""
    name, target = after.repository, after.target
    if before.labels - after.labels:
        judge.say(f"sync removed backups from {name}: {sorted(before.labels - after.labels)[:3]}")
    back = judge.removed.get((name, target), set()) & (after.labels - before.labels)
    for label in back - _held(judge, after):
        # What a wrong clock let go too early comes back, once for each; what comes again and again, expiry
        # and sync do not agree about.
        judge.brought_back[name, target, label] += 1
        if judge.brought_back[name, target, label] == _TOO_OFTEN:
            judge.say(f"sync brought {label} of {target} back into {name}, where it had expired, again")


def _held(judge: Judge, sight: Sight) -> set[str]:
    """What somebody holds, in any repository, and what that is restored from: it comes back for each hold."""
    held = {label for label in sight.labels if judge.wanted_anywhere(sight.target, label)}
    return held | {needed for label in held for needed in sight.backups[label].needs}


#: What may keep a sync from being complete tonight.
_FOR_TONIGHT = ("does not answer", "are being written by", "lease")


def failures(judge: Judge, target: str, sentences: list[str]) -> None:
    """A sync that is not complete has a reason that passes."""
    for sentence in sentences:
        if not any(reason in sentence for reason in _FOR_TONIGHT):
            judge.say(f"sync of {target} is not complete: {sentence}")


def in_step(judge: Judge, target: str) -> None:
    """Each has what is young enough for it and lies in the other; each can recover what the other can."""
    if judge.world.wrong_by:
        return
    sights = [judge.sight(name, target) for name in judge.world.shelves]
    for own in sights:
        expired = judge.removed.get((own.repository, target), set())
        for other in sights:
            for label in sorted(other.labels - own.labels - expired):
                made = other.backups[label]
                policy = policy_of(own.repository, BackupLabel(label))
                if judge.world.now - made.at < policy.keep_for and set(made.needs) <= other.labels:
                    judge.say(f"after sync, {own.repository} lacks {label} of {target}")
            _recover_the_same(judge, own, other)


def _recover_the_same(judge: Judge, own: Sight, other: Sight) -> None:
    begin = judge.begins(own.repository, own.target)
    moments = [
        one for one in judge.world.chronicle.moments if one.at >= begin and one.cluster.target == own.target
    ]
    lacking = other.recoverable(moments) - own.recoverable(moments)
    if lacking:
        first = min(lacking, key=lambda one: one.at)
        judge.say(
            f"after sync, {own.repository} cannot recover {len(lacking)} moments of {own.target} that "
            f"{other.repository} can, the first {first.at:%Y-%m-%d %H:%M}"
        )
