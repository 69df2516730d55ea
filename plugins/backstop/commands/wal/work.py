"""What an archiver keeps from one connection to the next: shipper, tail, and what is to be received."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from backstop.commands.wal.shipper import WalShipper
from backstop.commands.wal.start import segment_at
from backstop.commands.wal.tail import WalTail
from backstop.commands.wal.top_up import TopUp
from backstop.errors import SourceError, WalLostError
from backstop.model.coverage import Coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.wal.lane import Lane
    from backstop.commands.wal.settings import ArchiveSettings
    from backstop.commands.wal.start import Start
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.lsn import WalSegment
    from backstop.model.timeline import TimelineSpan
    from backstop.repository.wal_archive import WalArchive
    from backstop.storage.base import Storage

log = logging.getLogger(__name__)


class WalWork:
    """Made once a run, from the plan of its first connection."""

    def __init__(
        self,
        archives: Mapping[str, WalArchive],
        start: Start,
        folder: Path,
        *,
        keyring: Keyring,
        settings: ArchiveSettings,
        clock: Callable[[], datetime],
        reading: Callable[[str], Storage] | None = None,
    ) -> None:
        self._start = start
        self._ended = threading.Event()
        self.shipper = WalShipper(
            archives, keyring=keyring, settings=settings, ended=self._ended, known=start.known
        )
        self.tail = WalTail(self.shipper, folder, settings, first=start.segment)
        self.shipper.on_rejoin = self.tail.start_over
        self.top_up = TopUp(
            self.shipper,
            base=start.base,
            folder=folder,
            settings=settings,
            clock=clock,
            ended=self._ended,
            reading=reading,
        )

    def begin(self, spans: Sequence[TimelineSpan]) -> None:
        """Give every repository its standing, and the chores of a start."""
        self.top_up.spans = spans
        for lane in self.shipper.lanes:
            position = self._start.positions.get(lane.name)
            if position is None:
                lane.fail(self._start.failed[lane.name])
            elif position < self._start.segment.start:
                lane.coverage = Coverage(position)  # revived at once, then topped up
            else:
                lane.begin(self._start.segment.start)
            lane.chore(self._filling(lane))

    def _filling(self, lane: Lane) -> Callable[[], None]:
        return lambda: self.top_up.fill_older(lane)

    def next_on(self, spans: Sequence[TimelineSpan], location: str) -> WalSegment:
        """What to receive next from a server on these timelines: the segment that was being assembled,
        from its start. On a timeline that has ended meanwhile, what is left of that comes first.

        :raises SourceError: the server went another way than the archive.
        """
        segment = self.tail.next
        for span in spans:
            if span.timeline == segment.timeline:
                if span.end is None or segment.start < span.end:
                    return segment
                self.shipper.leave_timeline(span.timeline, span.end)
                return segment_at(spans, span.end, segment.size_bytes)
        raise SourceError(
            f"{location} is on timeline {spans[-1].timeline}, which does not come from timeline "
            f"{segment.timeline} that is being archived",
            hint="find out which server is the real one; archive the other under a target of its own",
        )

    def go_on_after_gap(self) -> bool:
        """The server no longer has what was to be received: whether to go on behind the gap.

        :raises WalLostError: that was not asked for.
        """
        start, self._start = self._start, self._start.without_doubt()
        if start.otherwise is None:
            if start.lost and start.failed:
                silent = " and ".join(sorted(start.failed))
                raise WalLostError(
                    f"{start.lost} in a repository that answers",
                    hint=f"{silent} did not answer and may hold it: start again once it does",
                )
            if start.lost:
                raise WalLostError(start.lost)
            return False
        log.critical("%s; archiving goes on with %s: take a new base backup", start.lost, start.otherwise)
        self.tail.next = start.otherwise
        for lane in self.shipper.lanes:
            if lane.accepts:
                lane.begin(start.otherwise.start)
        return True

    def close(self) -> None:
        """End every thread; nothing is shipped any more."""
        self._ended.set()
        self.tail.close()
        self.shipper.close()
