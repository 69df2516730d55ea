"""Sends finished segments, pieces of the growing one and histories to every repository, and counts answers.

What is confirmed to the server comes from here: the position up to which every repository that works has
acknowledged everything. A repository that fails is left behind and asked again; when it answers, it gets what
it missed (:mod:`backstop.commands.wal.top_up`) and counts again. When none works, nothing is confirmed, and
what was sealed stays in the spool until one does.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from backstop.commands.wal.assembly import Memory, let_go, seal
from backstop.commands.wal.lane import Lane, Piece, Standing
from backstop.errors import BackstopError, FormatTooNewError, IntegrityError
from backstop.model.coverage import Coverage
from backstop.repository.wal_names import SHA_DIGITS
from backstop.repository.wal_sealing import seal_delta, seal_history

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backstop.commands.wal.assembly import SegmentBuffer
    from backstop.commands.wal.settings import ArchiveSettings
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.lsn import Lsn, WalSegment
    from backstop.repository.wal_archive import WalArchive

log = logging.getLogger(__name__)

_MOST_DELTAS_AT_ONCE = 8
_RATE_SECONDS = 10.0
_SEALING_PAUSE_SECONDS = 1.0


class WalShipper:
    """See the module. Thread-safe; ``on_progress`` runs in its threads, without its lock.

    :param archives: by repository name.
    :param known: hashes of whole segments that are archived already, by segment name: others are refused.
    """

    def __init__(
        self,
        archives: Mapping[str, WalArchive],
        *,
        keyring: Keyring,
        settings: ArchiveSettings,
        ended: threading.Event,
        known: Mapping[str, str],
    ) -> None:
        self.lanes = tuple(
            Lane(
                name,
                archive,
                uploads=settings.uploads_per_repository,
                longest_pause_seconds=settings.longest_pause.total_seconds(),
            )
            for name, archive in archives.items()
        )
        self.names = next(iter(archives.values())).names
        self.condition = threading.Condition()
        self.memory = Memory()
        self.growing: WalSegment | None = None
        self.floor: Lsn | None = None
        """What has been confirmed once."""
        self.on_progress: Callable[[], None] = _nothing
        self.on_rejoin: Callable[[], None] = _nothing
        self.fatal: BaseException | None = None
        self.error: BackstopError | None = None
        """Why sealing does not go on right now."""
        self._keyring = keyring
        self._settings = settings
        self._ended = ended
        self._known = known
        self._left: dict[int, Lsn] = {}
        self.pieces: list[Piece] = []
        self.spooled_bytes = 0
        self._shipped: deque[float] = deque()
        self._sealing = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="wal-seal")

    # -- What is there ---------------------------------------------------------------------------------------

    @property
    def working(self) -> list[Lane]:
        return [lane for lane in self.lanes if lane.standing is Standing.WORKING]

    def confirmed(self) -> Lsn | None:
        """Every working repository has all before it; None when none works. Never goes back."""
        with self.condition:
            ends = [lane.position for lane in self.working]
            if ends and None not in ends:
                lowest = min(end for end in ends if end is not None)
                self.floor = max(self.floor, lowest) if self.floor else lowest
                return self.floor
            return None

    def segments_per_second(self) -> float:
        """Stored everywhere that works, over the last ten seconds."""
        since = time.monotonic() - _RATE_SECONDS
        with self.condition:
            while self._shipped and self._shipped[0] < since:
                self._shipped.popleft()
            return len(self._shipped) / _RATE_SECONDS

    def raise_if_fatal(self) -> None:
        """:raises BackstopError: something that neither time nor another repository heals."""
        if self.fatal is not None:
            raise self.fatal

    def wait_for_room(self, timeout_seconds: float) -> bool:
        """Whether the spool takes another segment; waits so long for it."""
        with self.condition:
            return self.condition.wait_for(self._has_room, timeout_seconds)

    def _has_room(self) -> bool:
        return (
            self.fatal is not None
            or self._ended.is_set()
            or self.spooled_bytes < self._settings.max_spool_bytes
        )

    def wait_until_stored(self, end: Lsn, timeout_seconds: float) -> bool:
        """Whether every working repository, at least one, has all before ``end``; waits so long for it."""
        with self.condition:

            def stored() -> bool:
                ends = [lane.position for lane in self.working]
                return bool(ends) and all(one is not None and one >= end for one in ends)

            def over() -> bool:
                return stored() or self.fatal is not None or self._ended.is_set()

            return self.condition.wait_for(over, timeout_seconds) and stored()

    def leave_timeline(self, timeline: int, end: Lsn) -> None:
        """WAL of this timeline counts up to ``end`` only: the server went on from there on another."""
        with self.condition:
            self._left[timeline] = end
            if self.floor is not None:
                self.floor = min(self.floor, end)
            for lane in self.lanes:
                if lane.coverage is not None and lane.coverage.end > end:
                    lane.coverage = Coverage(end)

    # -- Segments --------------------------------------------------------------------------------------------

    def add_segment(self, segment: WalSegment, buffer: SegmentBuffer) -> None:
        """A finished one; the buffer belongs to the shipper from now on."""
        with self.condition:
            self.spooled_bytes += segment.size_bytes
        self._sealing.submit(self._seal, segment, buffer)

    def _seal(self, segment: WalSegment, buffer: SegmentBuffer) -> None:
        try:
            piece = self._sealed(segment, buffer)
        except BaseException as error:
            self.fail(error)
            return
        if piece is not None:
            self._send(piece)

    def _sealed(self, segment: WalSegment, buffer: SegmentBuffer) -> Piece | None:
        """Encrypt it, as often as the key service or the disk needs; None when stopped meanwhile."""
        while not self._ended.is_set():
            try:
                sealed = seal(self.names, segment, buffer, keyring=self._keyring, memory=self.memory)
            except BackstopError as error:
                log.warning("%s waits in the spool: %s", segment, error)
                self.error = error
                self._ended.wait(_SEALING_PAUSE_SECONDS)
                continue
            self.error = None
            buffer.discard()
            known = self._known.get(segment.name)
            if known is not None and known != sealed.plain_sha256[:SHA_DIGITS]:
                raise IntegrityError(
                    f"WAL segment {segment} is archived with other content than the server's",
                    hint="another server has written WAL under this target: find out which one is the real "
                    "one; nothing was overwritten",
                )
            with self.condition:
                self.spooled_bytes += sealed.stored_bytes - segment.size_bytes
            return Piece(segment, segment.start, segment.end, sealed, whole=True)
        return None

    # -- Pieces of the growing segment -----------------------------------------------------------------------

    def may_cut(self) -> bool:
        """Whether another delta may be cut: the quickest repository has answered all of the former ones."""
        with self.condition:
            deltas = [piece for piece in self.pieces if not piece.whole]
            accepting = [lane for lane in self.lanes if lane.accepts]
            quickest = any(all(lane not in piece.waiting for piece in deltas) for lane in accepting)
            return quickest and len(deltas) < _MOST_DELTAS_AT_ONCE

    def add_delta(self, segment: WalSegment, offset_bytes: int, data: bytes) -> str:
        """Send a piece of the growing segment; returns its key.

        :raises BackstopError: it could not be encrypted.
        """
        sealed = seal_delta(self.names, segment, offset_bytes=offset_bytes, data=data, keyring=self._keyring)
        start = segment.start + offset_bytes
        self._send(Piece(segment, start, start + len(data), sealed, whole=False))
        return sealed.key

    # -- Histories -------------------------------------------------------------------------------------------

    def add_history(self, timeline: int, data: bytes) -> bool:
        """Store a history file in every repository that works before returning; whether one has it."""
        sealed = seal_history(self.names, timeline, data, keyring=self._keyring)
        stored = False
        for lane in self.lanes:
            if not lane.accepts:
                continue
            try:
                lane.archive.put(sealed)
                stored = True
            except BackstopError as error:
                self.lane_failed(lane, error)
        return stored

    # -- Answers ---------------------------------------------------------------------------------------------

    def _send(self, piece: Piece) -> None:
        with self.condition:
            self.pieces.append(piece)
            self._submit(piece, [lane for lane in self.lanes if lane.accepts])

    def _submit(self, piece: Piece, lanes: list[Lane]) -> None:
        for lane in lanes:
            piece.waiting.add(lane)
        for lane in lanes:
            lane.submit(piece, stored=self._stored, failed=self.lane_failed)

    def rejoin(self, lane: Lane) -> None:
        """From now on the lane gets what is new, and at once all that is still in the spool."""
        with self.condition:
            lane.standing = Standing.CATCHING_UP
            lane.answered_at = time.monotonic()
            for piece in self.pieces:
                if piece.whole and lane not in piece.stored:
                    self._submit(piece, [lane])
        self.on_rejoin()

    def _stored(self, lane: Lane, piece: Piece) -> None:
        with self.condition:
            lane.answered_at = time.monotonic()
            piece.stored.add(lane)
            end = min(piece.end, self._left.get(piece.segment.timeline, piece.end))
            if lane.coverage is not None and piece.start < end:
                lane.coverage.add(piece.start, end)
            self._answered(lane, piece)
        self.on_progress()

    def _answered(self, lane: Lane, piece: Piece) -> None:
        piece.waiting.discard(lane)
        # A whole segment that nobody has stays; a piece of a growing one is made anew.
        if not piece.waiting and (piece.stored or not piece.whole) and piece in self.pieces:
            self.pieces.remove(piece)
            if piece.whole:
                self._shipped.append(time.monotonic())
                self.spooled_bytes -= piece.sealed.stored_bytes
                let_go(piece.sealed, memory=self.memory)
        self.condition.notify_all()

    def lane_failed(self, lane: Lane, error: BackstopError) -> None:
        """Leave it behind; the others go on. When a newer release has raised all of them, nothing goes on."""
        with self.condition:
            if lane.accepts:
                log.warning("repository %s is left behind: %s", lane.name, error)
            lane.fail(error)
            for piece in list(self.pieces):
                if lane in piece.waiting:
                    self._answered(lane, piece)
            if all(isinstance(one.error, FormatTooNewError) for one in self.lanes):
                self.fail(error)
        self.on_progress()

    def fail(self, error: BaseException) -> None:
        """Stop everything with this error."""
        with self.condition:
            self.fatal = self.fatal or error
            self.condition.notify_all()

    def close(self) -> None:
        """End all threads; what is under way may still arrive, which is harmless."""
        self._sealing.shutdown(wait=True, cancel_futures=True)
        for lane in self.lanes:
            lane.close(wait=False)


def _nothing() -> None:
    pass
