"""One repository on the receiving side of the WAL: what it has acknowledged, and whether it works."""

from __future__ import annotations

import enum
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.errors import BackstopError, StorageError
from backstop.model.coverage import Coverage

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.model.lsn import Lsn, WalSegment
    from backstop.repository.wal_archive import WalArchive
    from backstop.repository.wal_sealing import SealedWal
    from backstop.storage.base import ObjectInfo

_FIRST_PAUSE_SECONDS = 1.0
_REMEMBERED_SEGMENTS = 64


class Standing(enum.Enum):
    """What a repository counts for."""

    WORKING = "working"
    """Has everything up to its position: the server is told of nothing that it lacks."""
    CATCHING_UP = "catching up"
    """Gets what is new, and what it missed is being copied from elsewhere."""
    BEHIND = "behind"
    """Failed; asked again after a pause."""


@dataclass(slots=True, eq=False)
class Piece:
    """Something sealed on its way: a whole segment, or a piece of one that grows.

    :param start: the first byte of WAL it holds; :param end: the first after it.
    :param waiting: lanes that still have to answer; :param stored: those that have it.
    """

    segment: WalSegment
    start: Lsn
    end: Lsn
    sealed: SealedWal
    whole: bool
    waiting: set[Lane] = field(default_factory=set)
    stored: set[Lane] = field(default_factory=set)
    sent_at: float = field(default_factory=time.monotonic)


class Lane:
    """One repository's uploads, and its standing. The shipper's lock guards everything but the uploads."""

    def __init__(self, name: str, archive: WalArchive, *, uploads: int, longest_pause_seconds: float) -> None:
        self.name = name
        self.archive = archive
        self.standing = Standing.BEHIND
        self.coverage: Coverage | None = None
        self.error: BackstopError | None = None
        self.retry_at = 0.0
        self.busy = False
        """Whether it is being revived right now."""
        self.answered_at = time.monotonic()
        self._longest_pause_seconds = longest_pause_seconds
        self._failures = 0
        self._may_delete = True
        self._lock = threading.Lock()
        self._under_way: set[Piece] = set()
        self._deltas: dict[WalSegment, list[tuple[str, str | None]]] = {}
        self._wholes: deque[WalSegment] = deque(maxlen=_REMEMBERED_SEGMENTS)
        self._uploads = ThreadPoolExecutor(uploads, thread_name_prefix=f"wal-{name}")
        # Small and urgent: not behind segments that wait for a slow network.
        self._urgent = ThreadPoolExecutor(2, thread_name_prefix=f"wal-tail-{name}")
        self._chores = ThreadPoolExecutor(1, thread_name_prefix=f"wal-chores-{name}")

    @property
    def position(self) -> Lsn | None:
        """It has everything before; None while that is not known."""
        return self.coverage.end if self.coverage else None

    @property
    def accepts(self) -> bool:
        return self.standing is not Standing.BEHIND

    def begin(self, position: Lsn) -> None:
        """Its WAL is contiguous up to ``position``; holes before it are filled elsewhere."""
        self.coverage = Coverage(position)
        self.standing = Standing.WORKING
        self.error = None
        self._failures = 0

    def fail(self, error: BackstopError) -> None:
        """Leave it behind, until after a pause that doubles."""
        pause = min(self._longest_pause_seconds, _FIRST_PAUSE_SECONDS * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        self.retry_at = time.monotonic() + pause
        self.standing = Standing.BEHIND
        self.error = error

    def submit(
        self,
        piece: Piece,
        *,
        stored: Callable[[Lane, Piece], None],
        failed: Callable[[Lane, BackstopError], None],
    ) -> None:
        """Upload it in the background, then report one of both."""

        def upload() -> None:
            with self._lock:
                if self not in piece.waiting:
                    self._under_way.discard(piece)
                    return
            outcome = self._put(piece)
            # Before it is reported: a failed lane that rejoins at once sends the piece again.
            with self._lock:
                self._under_way.discard(piece)
            if isinstance(outcome, BackstopError):
                failed(self, outcome)
            else:
                self._note(piece, outcome)
                stored(self, piece)

        with self._lock:
            # Twice at a time, the second would find the file of the first removed.
            if piece in self._under_way:
                return
            self._under_way.add(piece)
        (self._uploads if piece.whole else self._urgent).submit(upload)

    def _put(self, piece: Piece) -> ObjectInfo | BackstopError | None:
        try:
            return self.archive.put(piece.sealed)
        except BackstopError as error:
            return error
        except Exception as error:
            # A repository's own fault must not end the others, nor be lost.
            what = f"upload of {piece.sealed.key} to {self.name} failed"
            return BackstopError(f"{what}: {type(error).__name__}: {error}", hint="report this defect")

    def chore(self, work: Callable[[], None]) -> None:
        """Run it after the chores before it, away from uploads."""
        self._chores.submit(work)

    def _note(self, piece: Piece, info: ObjectInfo | None) -> None:
        """Deltas of a segment that is stored whole are of no use any more."""
        if piece.whole:
            # Noted before the deltas are looked for: of the two sides, one sees the other.
            self._wholes.append(piece.segment)
            self.remove(self._deltas.pop(piece.segment, []))
            return
        name = (piece.sealed.key, info.version_id if info else None)
        self._deltas.setdefault(piece.segment, []).append(name)
        if piece.segment in tuple(self._wholes):
            self.remove(self._deltas.pop(piece.segment, []))

    def forget_deltas(self, keys: set[str], segment: WalSegment) -> None:
        """Remove deltas that a larger one has replaced."""
        known = self._deltas.get(segment, [])
        gone = [delta for delta in known if delta[0] in keys]
        self._deltas[segment] = [delta for delta in known if delta[0] not in keys]
        self.remove(gone)

    def remove(self, deltas: list[tuple[str, str | None]]) -> None:
        """In the background, where this role may; otherwise they are left to expiry."""
        if deltas and self._may_delete:
            self._chores.submit(self._delete, deltas)

    def _delete(self, deltas: list[tuple[str, str | None]]) -> None:
        for key, version_id in deltas:
            try:
                self.archive.storage.delete(key, version_id=version_id)
            except StorageError as error:
                self._may_delete = error.retryable
                return

    def close(self, *, wait: bool) -> None:
        """End its threads. Whatever is being uploaded may still arrive, which is harmless."""
        for pool in (self._uploads, self._urgent, self._chores):
            pool.shutdown(wait=wait, cancel_futures=True)
