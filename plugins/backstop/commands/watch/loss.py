"""How much one repository would lose, bounded from both sides by what the server was seen to have written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.wal.watch import BACKLOG_BYTES
from backstop.commands.watch.following import Written
from backstop.model.finding import Finding, Level
from backstop.model.lsn import Lsn
from backstop.model.observation import WalSeen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from backstop.commands.wal.watch import Lag
    from backstop.model.observation import Observation
    from backstop.model.timeline import TimelineSpan

_NEXT_STEP = "see that archive-wal runs, and what its log waits for"


@dataclass(frozen=True, slots=True)
class Loss:
    """:param at_most: None: it cannot be told. :param at_least: it is not less than this."""

    at_most: timedelta | None
    at_least: timedelta = timedelta(0)

    @property
    def figure(self) -> timedelta | None:
        """What is shown: the upper bound, or, where there is none, more than nothing is known to be lost."""
        return self.at_most if self.at_most is not None else self.at_least or None


def earlier_position(earlier: Observation | None, spans: Sequence[TimelineSpan]) -> tuple[Written, ...]:
    """Where the server was at the watch before, unless it has left that history since.

    :param spans: of the history that it has now.
    """
    wal = earlier.wal if earlier else None
    if earlier is None or wal is None or wal.timeline is None or wal.server_position is None:
        return ()
    position = Lsn.parse(wal.server_position)
    still = any(
        span.timeline == wal.timeline and (span.end is None or position <= span.end) for span in spans
    )
    return (Written(earlier.observed_at, position),) if still else ()


def loss_of(lag: Lag, written: Sequence[Written]) -> Loss:
    """What a repository that is so far behind would lose at the newest of ``written``; ``at_most`` is never
    too small.

    What was written before a position that it has, it has: so it loses at most what came since. Of one that
    has none of them, the age of its newest object bounds the loss, unless it is catching up.

    :param written: where the server was, and when, by the caller's clock; one at least.
    """
    now = max(one.at for one in written)
    has = [one.at for one in written if lag.reaches and one.position <= lag.position]
    lacks = [one.at for one in written if not lag.reaches or one.position > lag.position]
    at_least = max((now - at for at in lacks), default=timedelta(0))
    if has:
        return Loss(now - max(has), at_least=at_least)
    if lag.observed_rpo is None or lag.behind_bytes >= BACKLOG_BYTES:
        return Loss(None, at_least=at_least)
    return Loss(max(lag.observed_rpo, at_least), at_least=at_least)


def since(earlier: Observation | None, repository: str, now: datetime) -> timedelta | None:
    """At most so much a repository would lose now, by what was known at the watch before; None: nothing was.

    A server that is not heard may be writing, so all since then counts.
    """
    before = earlier.wal.observed_rpo.get(repository) if earlier and earlier.wal else None
    return (
        None if before is None or earlier is None else before + max(now - earlier.observed_at, timedelta(0))
    )


def aged(earlier: Observation | None, now: datetime) -> WalSeen | None:
    """What was known at the watch before, as old as it is now; None: nothing was.

    Where the server was is left out: dated now, it would say that nothing has been written since.
    """
    if earlier is None or earlier.wal is None:
        return None
    bounds: dict[str, timedelta | None] = {
        name: bound for name in earlier.wal.observed_rpo if (bound := since(earlier, name, now)) is not None
    }
    return WalSeen(timeline=earlier.wal.timeline, observed_rpo=bounds) if bounds else None


def judge_loss(
    lag: Lag, loss: Loss, *, target: str, repository: str, objective: timedelta | None
) -> Finding | None:
    """Beyond the objective is critical, beyond half of it a warning: then there is still time."""
    subject = f"repository {repository}"
    if lag.observed_rpo is None:
        said = "has none of this cluster's WAL of late: nothing newer than its backups could be brought back"
        return _finding(target, subject, Level.CRITICAL, said)
    if objective is None:
        return None
    behind = f"is {lag.behind_bytes} bytes behind"
    allowed = f"{_seconds(objective)} may be"
    if loss.at_least > objective or (loss.at_most is not None and loss.at_most > objective):
        figure = loss.figure or loss.at_least
        word = "up to" if loss.at_most is not None else "more than"
        said = f"{behind}: {word} {_seconds(figure)} would be lost, and {allowed}"
        return _finding(target, subject, Level.CRITICAL, said)
    if loss.at_most is None:
        said = f"{behind}; how much time that is cannot be told while it catches up, and {allowed} lost"
        return _finding(target, subject, Level.WARNING, said)
    if loss.at_most > objective / 2:
        said = f"{behind}: up to {_seconds(loss.at_most)} would be lost, and no more than {allowed}"
        return _finding(target, subject, Level.WARNING, said)
    return None


def _finding(target: str, subject: str, level: Level, said: str) -> Finding:
    return Finding(target, "rpo", subject, level, f"{subject} {said}", _NEXT_STEP)


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():.0f} s"
