"""The growing segment: the pieces of it that are stored, put together from its first byte on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


@dataclass(frozen=True, order=True, slots=True)
class TailPiece:
    """Some bytes of a segment that is not whole yet, as one object.

    :param segment: the segment's name.
    :param stored_at: when the repository got it, by the repository's clock.
    """

    segment: str
    offset: int
    length: int
    sha16: str
    stored_at: datetime

    @property
    def end(self) -> int:
        """The first offset after it."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class Tail:
    """What can be used of a growing segment.

    :param pieces: in order; together they hold every byte from 0 to ``length``. Where two overlap, after a
        receiver began anew, the bytes are the same, and a reader that finds others has found damage.
    :param hole: whether it stops because bytes are missing, and more is stored behind them.
    :param stops: in words, why it ends before the last piece that is stored; empty when it does not.
    :param conflicts: ranges stored with different contents: their name, and the hashes.
    """

    pieces: tuple[TailPiece, ...]
    length: int
    stops: str = ""
    hole: bool = False
    conflicts: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def only_lacks_bytes(self) -> bool:
        """Whether it stops at a hole between pieces, and at nothing worse."""
        return self.hole and not self.conflicts

    @property
    def written_by(self) -> datetime:
        """A moment, by the repository's clock, when all of it had been written; only when it has pieces."""
        return self.pieces[-1].stored_at


def assemble_tail(pieces: Sequence[TailPiece], segment_bytes: int) -> Tail:
    """The longest run of bytes from offset 0 on, with as few pieces as possible.

    :param pieces: of one segment, in any order.
    """
    contents: dict[tuple[int, int], dict[str, TailPiece]] = {}
    for piece in sorted(pieces, reverse=True):  # of one content stored twice, the earliest stays
        contents.setdefault((piece.offset, piece.length), {})[piece.sha16] = piece
    ranges = sorted(contents)
    conflicts = tuple(
        (f"{pieces[0].segment} bytes {offset} to {offset + length}", tuple(sorted(contents[offset, length])))
        for offset, length in ranges
        if len(contents[offset, length]) > 1
    )
    limit = min((key[0] for key in ranges if len(contents[key]) > 1), default=segment_bytes)
    usable = [next(iter(contents[key].values())) for key in ranges if sum(key) <= limit]
    chosen: list[TailPiece] = []
    covered = position = 0
    farthest: TailPiece | None = None
    while True:
        while position < len(usable) and usable[position].offset <= covered:
            if farthest is None or usable[position].end > farthest.end:
                farthest = usable[position]
            position += 1
        if farthest is None or farthest.end <= covered:
            break
        chosen.append(farthest)
        covered = farthest.end
    beyond = [offset for offset, length in ranges if offset + length > covered]
    return Tail(
        tuple(chosen),
        covered,
        _stops(covered, limit, segment_bytes, beyond),
        hole=bool(beyond) and min(beyond) > covered,
        conflicts=conflicts,
    )


def _stops(covered: int, limit: int, segment_bytes: int, beyond: Sequence[int]) -> str:
    if not beyond:
        return ""
    if limit < segment_bytes and min(beyond) <= covered:
        return f"its bytes from {covered} on are stored with different contents"
    if min(beyond) <= covered:
        return f"a piece of it reaches past its end, {segment_bytes} bytes"
    return f"its bytes {covered} to {min(beyond)} are missing"
