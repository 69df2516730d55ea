"""What would have been lost at a past moment, as WAL was stored by then. Pure.

Names tell when whole segments were stored, and the pieces of one that still grows. Pieces of a segment that
has become whole are gone: how much of it a repository held before cannot be told any more, only bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.figures import duration_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from backstop.model.lsn import Lsn

NOTHING = timedelta(0)
SAMPLE_GAP = timedelta(minutes=10)
"""A watch comes every five minutes."""


@dataclass(frozen=True, slots=True)
class StoredPart:
    """WAL from ``begin`` to ``end``, and when, by the repository's clock, it was stored."""

    begin: Lsn
    end: Lsn
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a repository had WAL without a gap. :param newest_at: when the last part of it was stored."""

    lsn: Lsn
    newest_at: datetime


@dataclass(frozen=True, slots=True)
class Loss:
    """:param duration: None: it is not known. :param says: how it was measured, in words."""

    duration: timedelta | None
    says: str


def reached_by(moment: datetime, parts: Iterable[StoredPart], *, start: Lsn, base_at: datetime) -> Reached:
    """:param start: where the base backup begins. :param base_at: the moment whose data it is."""
    reached, newest_at = start, base_at
    for part in sorted(parts, key=lambda one: (one.begin, one.end)):
        if part.stored_at > moment or part.end <= reached:
            continue
        if part.begin > reached:
            break
        reached, newest_at = part.end, max(newest_at, part.stored_at)
    return Reached(reached, newest_at)


def loss_by_storage(
    moment: datetime,
    reached: Reached,
    *,
    end: Lsn | None,
    segment_bytes: int,
    rpo: timedelta | None,
) -> Loss:
    """What commits by the moment were not stored then.

    :param end: all commits by the moment lie before it; None: nobody knows, because nothing is stored of what
        came later.
    :param rpo: what may be lost: whether a bound is close enough to count.
    """
    if end is not None and end <= reached.lsn:
        return Loss(NOTHING, "everything committed by then had been stored")
    bound = max(moment - reached.newest_at, NOTHING)
    words = duration_in_words(bound)
    if end is not None:
        late = end.position // segment_bytes - reached.lsn.position // segment_bytes
        if late > 0:
            return Loss(
                bound,
                f"{late} segments of WAL that had been full were not stored: the newest that was had come "
                f"{words} before",
            )
    if rpo is None or bound <= rpo:
        return Loss(bound, f"at most, by when WAL was stored: the newest had come {words} before")
    return Loss(
        None,
        f"not known, at most {words}: whole segments tell no more, and no watch has noted what was at risk "
        "then",
    )


def loss_by_watch(moment: datetime, samples: Iterable[tuple[datetime, timedelta | None]]) -> Loss | None:
    """What watches saw right before and after; the worse of the two. None: none was near.

    :param samples: when, and at most how much would have been lost then, in the repository in question.
    """
    known = [(at, loss) for at, loss in samples if loss is not None]
    before = [one for one in known if one[0] <= moment and moment - one[0] <= SAMPLE_GAP]
    after = [one for one in known if one[0] > moment and one[0] - moment <= SAMPLE_GAP]
    near = [max(before)] if before else []
    near += [min(after)] if after else []
    if not near:
        return None
    at, loss = max(near, key=lambda one: one[1])
    return Loss(loss, f"as the watch saw it at {at:%H:%M:%S}Z, {duration_in_words(abs(at - moment))} off")
