"""Brings a repository that was left behind up to the others: copies the ciphertext it lacks.

What is checked of a copy: that the source gave as many bytes as its listing says, and that as many are
stored. Its content is not opened here, which needs no key: the hash in its name and the authentication inside
are checked by whoever reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.object_copy import ObjectToCopy, copy_object
from backstop.commands.wal.lane import Standing
from backstop.commands.wal.start import segment_at, whole_until
from backstop.errors import BackstopError, StorageUnavailableError
from backstop.model.coverage import Coverage
from backstop.model.lsn import WalSegment
from backstop.repository.description import refuse_newer

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.wal.lane import Lane
    from backstop.commands.wal.settings import ArchiveSettings
    from backstop.commands.wal.shipper import WalShipper
    from backstop.model.timeline import TimelineSpan
    from backstop.repository.wal_archive import WalArchive
    from backstop.repository.wal_names import StoredSegment
    from backstop.storage.base import Storage

_PAUSE_SECONDS = 0.5


class TopUp:
    """Chores of the repositories; each runs in the repository's own thread.

    :param base: the first segment of this run: a repository that did not answer at the start is looked
        through from there on.
    :param reading: as :func:`~backstop.commands.wal.archive.archive_wal` has it.
    """

    def __init__(
        self,
        shipper: WalShipper,
        *,
        base: WalSegment,
        folder: Path,
        settings: ArchiveSettings,
        clock: Callable[[], datetime],
        ended: threading.Event,
        reading: Callable[[str], Storage] | None = None,
    ) -> None:
        self.spans: Sequence[TimelineSpan] = ()
        """Of the server's timeline; kept up to date by the receiver."""
        self._shipper = shipper
        self._base = base
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._ended = ended
        self._reading = reading
        self._readable: dict[str, Storage] = {}
        self._unfilled: set[Lane] = set(shipper.lanes)

    def revive(self, lane: Lane) -> None:
        """Ask a repository that was left behind; when it answers, fill its hole, then let it count again."""
        try:
            lane.archive.storage.check()
            refuse_newer(lane.archive.storage)
            if lane.coverage is None:
                lane.coverage = Coverage(whole_until(lane.archive, self.spans, self._base))
            self._shipper.rejoin(lane)
            self.catch_up(lane)
            # At the start it did not answer, or the one that has what others lack.
            for other in list(self._unfilled):
                other.chore(self._filling(other))
        except BackstopError as error:
            self._shipper.lane_failed(lane, error)
        except Exception as error:
            what = f"repository {lane.name} cannot be topped up: {type(error).__name__}: {error}"
            self._shipper.lane_failed(lane, BackstopError(what, hint="this is a defect: report it"))
        finally:
            lane.busy = False

    def catch_up(self, lane: Lane) -> None:
        """Copy until the repository has everything that was confirmed, and all before the growing segment."""
        others = [other.archive for other in self._shipper.lanes if other is not lane]
        for other in others:
            self._copy_histories(lane, other)
        while not self._ended.is_set() and lane.standing is Standing.CATCHING_UP:
            for other in others:
                self._copy_from(lane, other)
            if self._caught_up(lane):
                return
            self._ended.wait(_PAUSE_SECONDS)

    def _caught_up(self, lane: Lane) -> bool:
        shipper = self._shipper
        with shipper.condition:
            if lane.standing is not Standing.CATCHING_UP:
                return True
            assert lane.coverage is not None  # noqa: S101 - set before it rejoined
            targets = [shipper.growing.start] if shipper.growing else []
            targets += [shipper.floor] if shipper.floor else []
            if all(lane.coverage.end >= target for target in targets):
                lane.begin(lane.coverage.end)
                return True
            lane.error = StorageUnavailableError(
                f"{lane.archive.storage.location} lacks the WAL from {lane.coverage.end} on",
                hint="it is being copied from the repositories that have it",
            )
            return False

    def _copy_from(self, lane: Lane, source: WalArchive) -> None:
        assert lane.coverage is not None  # noqa: S101
        segment_bytes = self._base.size_bytes
        segment = segment_at(self.spans, lane.coverage.end, segment_bytes)
        self._copy_old_tails(lane, source)
        try:
            for found, stored in source.segments_from(segment):
                if self._ended.is_set() or segment_at(self.spans, found.start, segment_bytes) != found:
                    return
                source.refuse_conflict(found, stored)
                if lane.archive.find(found) is None:
                    self._copy(stored[0], source, lane.archive)
                with self._shipper.condition:
                    lane.coverage.add(found.start, found.end)
        except StorageUnavailableError:
            # Whichever of the two it was: ours fails by itself with the next upload.
            return

    def _copy_old_tails(self, lane: Lane, source: WalArchive) -> None:
        """The last, partial segment of a timeline that was left is only ever stored as pieces."""
        for span in self.spans[:-1]:
            if span.end is None or lane.coverage is None or lane.coverage.end > span.end:
                continue
            last = WalSegment.containing(span.end, timeline=span.timeline, size_bytes=self._base.size_bytes)
            have = {delta.key for delta in lane.archive.deltas(last)}
            for delta in source.deltas(last):
                if delta.key not in have:
                    lane.archive.storage.put_once(delta.key, self._source(source).read(delta.key))

    def _copy_histories(self, lane: Lane, source: WalArchive) -> None:
        for span in self.spans:
            prefix = lane.archive.names.histories_of(span.timeline)
            have = {info.key for info in lane.archive.storage.list(prefix)}
            for info in source.storage.list(prefix):
                if info.key not in have:
                    lane.archive.storage.put_once(info.key, self._source(source).read(info.key))

    def _filling(self, lane: Lane) -> Callable[[], None]:
        return lambda: self.fill_older(lane)

    def fill_older(self, lane: Lane) -> None:
        """Copy what a repository lacks of recent WAL from before this run; see ``top_up_age``.

        Again whenever a repository has come back, until all of them have answered once.
        """
        since = self._clock() - self._settings.top_up_age
        others = [other for other in self._shipper.lanes if other is not lane]
        try:
            for other in others:
                if other.coverage is not None:
                    for span in self.spans:
                        self._fill(span.timeline, lane.archive, other.archive, since)
            self._sweep(lane)
            if all(other.coverage is not None for other in others):
                self._unfilled.discard(lane)
        except BackstopError as error:
            # WAL of an earlier run: a reason to look, not to hold up what is written now.
            with self._shipper.condition:
                lane.error = lane.error or error

    def _fill(self, timeline: int, lane: WalArchive, source: WalArchive, since: datetime) -> None:
        have = {stored.segment for stored in lane.segments(timeline)}
        if not have:
            return
        oldest = min(have)
        for stored in source.segments(timeline):
            if self._ended.is_set():
                return
            if stored.segment > oldest and stored.segment not in have and stored.modified_at >= since:
                self._copy(stored, source, lane)

    def _sweep(self, lane: Lane) -> None:
        """Pieces of segments that have become whole, left by a receiver that died."""
        for span in self.spans:
            names = {delta.segment for delta in lane.archive.tails(span.timeline)}
            for name in sorted(names):
                segment = WalSegment.parse(name, size_bytes=self._base.size_bytes)
                if lane.archive.find(segment) is not None:
                    lane.remove([(delta.key, None) for delta in lane.archive.deltas(segment)])

    def _copy(self, stored: StoredSegment, source: WalArchive, destination: WalArchive) -> None:
        """The name being there already is success."""
        copy_object(
            ObjectToCopy(stored.key, stored.stored_bytes),
            source=self._source(source),
            destination=destination.storage,
            folder=self._folder,
        )

    def _source(self, archive: WalArchive) -> Storage:
        """Its storage, as somebody who may read what is in it.

        :raises ConfigurationError: this machine has no such credentials: the next sync fills the hole.
        """
        if self._reading is None:
            return archive.storage
        name = next(lane.name for lane in self._shipper.lanes if lane.archive is archive)
        if name not in self._readable:
            self._readable[name] = self._reading(name)
        return self._readable[name]
