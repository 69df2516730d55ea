"""What an archiver knows about itself, for people and metrics."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from backstop.errors import StorageError
from backstop.model.canonical import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from backstop.model.lsn import Lsn

_MOST_MARKS = 4096
_MARK_EVERY = timedelta(seconds=0.25)


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """One repository.

    :param position: it has everything before; None while that is not known.
    :param observed_rpo: what would be lost if only this repository were left; None while it is not known.
    """

    standing: str
    position: Lsn | None
    observed_rpo: timedelta | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class ArchiverState:
    """The archiver at one moment.

    :param server_position: how far the server had written when it was last heard.
    :param confirmed: what the server was told is safe.
    :param retained_bytes: WAL that the server keeps for us, as far as we know.
    :param spooled_bytes: WAL in the spool.
    """

    target: str
    slot: str
    at: datetime
    connected: bool
    timeline: int | None = None
    server_position: Lsn | None = None
    confirmed: Lsn | None = None
    retained_bytes: int = 0
    spooled_bytes: int = 0
    segments_per_second: float = 0.0
    last_error: str = ""
    repositories: Mapping[str, RepositoryState] = field(default_factory=dict)

    @property
    def observed_rpo(self) -> timedelta | None:
        """Of the best repository: what would be lost if the server were."""
        known = [one.observed_rpo for one in self.repositories.values() if one.observed_rpo is not None]
        return min(known) if known else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON; times as everywhere in our documents, positions as PostgreSQL writes them."""
        return {
            "target": self.target,
            "slot": self.slot,
            "at": format_time(self.at),
            "connected": self.connected,
            "timeline": self.timeline,
            "server_position": _text(self.server_position),
            "confirmed": _text(self.confirmed),
            "retained_bytes": self.retained_bytes,
            "spooled_bytes": self.spooled_bytes,
            "segments_per_second": round(self.segments_per_second, 2),
            "observed_rpo_seconds": _seconds(self.observed_rpo),
            "last_error": self.last_error,
            "repositories": {
                name: {
                    "standing": one.standing,
                    "position": _text(one.position),
                    "observed_rpo_seconds": _seconds(one.observed_rpo),
                    "error": one.error,
                }
                for name, one in self.repositories.items()
            },
        }


class WrittenAt:
    """When the server wrote which WAL, by its own clock: how old the oldest WAL is that is not stored.

    A mark says that WAL up to a position was written at its time or later, and all beyond after it. Marks are
    thinned, never lost: then they say an earlier time, so that an age is too high, not too low.
    """

    def __init__(self) -> None:
        self._marks: list[tuple[Lsn, datetime]] = []
        self._cut_off_at: datetime | None = None

    def note(self, end_of_wal: Lsn, at: datetime) -> None:
        """The server had written up to ``end_of_wal``; what is new of it was written at ``at`` or later."""
        if self._marks:
            last_end, last_at = self._marks[-1]
            if end_of_wal <= last_end:
                return
            if at < last_at:
                # The server's clock was set back: what it said before cannot be of later.
                self._marks = [(end, min(then, at)) for end, then in self._marks]
                last_at = at
            if at - last_at < _MARK_EVERY and self._cut_off_at is None:
                self._marks[-1] = (end_of_wal, last_at)
                return
        self._marks.append((end_of_wal, min(at, self._cut_off_at or at)))
        self._cut_off_at = None
        if len(self._marks) > _MOST_MARKS:
            pairs = zip(self._marks[::2], self._marks[1::2], strict=False)
            rest = self._marks[-1:] if len(self._marks) % 2 else []
            self._marks = [(later[0], earlier[1]) for earlier, later in pairs] + rest

    def age(self, position: Lsn, now: datetime) -> timedelta:
        """How old the oldest WAL beyond ``position`` is; zero when the server has written none.

        :param now: by the server's clock.
        """
        for end, at in self._marks:
            if end > position:
                return max(now - at, timedelta(0))
        return timedelta(0)

    def cut(self, position: Lsn) -> None:
        """The server goes on from somewhere beyond this position: what was written farther may exist no more.

        Some of it may, so that the next mark is no younger than what is cut off.
        """
        kept = [(end, at) for end, at in self._marks if end <= position]
        if len(kept) < len(self._marks):
            self._cut_off_at = self._marks[len(kept)][1]
            if not kept or kept[-1][0] < position:
                kept.append((position, self._cut_off_at))
        self._marks = kept

    def forget(self, position: Lsn) -> None:
        """Nobody will ask about positions before this one."""
        kept = next((index for index, (end, _) in enumerate(self._marks) if end > position), None)
        self._marks = self._marks[-1:] if kept is None else self._marks[kept:]


def last_words(path: Path) -> str:
    """What an archiver last complained of, by its file; empty when that is not here, or no such file."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))["last_error"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return said if isinstance(said, str) else ""


def write_state(path: Path, state: ArchiverState) -> None:
    """Replace the file as a whole, so that a reader never sees half of it.

    :raises StorageError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(state.to_dict(), indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"the archiver's state cannot be written to {path}: {error.strerror}",
            hint="set wal.status_file to a place this user can write",
        ) from error


def _text(position: Lsn | None) -> str | None:
    return None if position is None else str(position)


def _seconds(age: timedelta | None) -> float | None:
    return None if age is None else round(age.total_seconds(), 3)
