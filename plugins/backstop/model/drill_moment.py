"""When a rehearsed disaster strikes: drawn by a seed from the time that can be gone back to. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, order=True, slots=True)
class Span:
    """A stretch of time, both ends in it."""

    begins_at: datetime
    ends_at: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.begins_at <= moment <= self.ends_at


def united(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same time in spans that do not touch, the earliest first; what ends before it begins is none."""
    found: list[Span] = []
    for span in sorted(one for one in spans if one.begins_at <= one.ends_at):
        if found and span.begins_at <= found[-1].ends_at:
            found[-1] = Span(found[-1].begins_at, max(found[-1].ends_at, span.ends_at))
        else:
            found.append(span)
    return tuple(found)


def common(groups: Sequence[Iterable[Span]]) -> tuple[Span, ...]:
    """What lies in every one of the groups. :param groups: one at least."""
    shared = united(groups[0])
    for group in groups[1:]:
        shared = united(
            Span(max(one.begins_at, other.begins_at), min(one.ends_at, other.ends_at))
            for one in shared
            for other in united(group)
        )
    return shared


def draw_moment(seed: str, spans: Iterable[Span]) -> datetime:
    """Some moment in the spans, every one as likely; the same seed and the same spans give the same.

    :raises ValueError: there is no span.
    """
    stretches = united(spans)
    if not stretches:
        raise ValueError("there is no time to draw a moment from")
    lengths = [(one.ends_at - one.begins_at) // _MICROSECOND + 1 for one in stretches]
    # Far more digits than there are microseconds: what is left over favours none of them by any measure.
    place = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big") % sum(lengths)
    for stretch, length in zip(stretches, lengths, strict=True):
        if place < length:
            return stretch.begins_at + place * _MICROSECOND
        place -= length
    raise AssertionError("the lengths add up")
