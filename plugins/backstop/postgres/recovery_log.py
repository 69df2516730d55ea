"""What a server's log tells about a recovery: how far it is, and where and why it ended."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from backstop.model.lsn import Lsn, WalSegment

if TYPE_CHECKING:
    from pathlib import Path

# src/backend/access/transam/xlogrecovery.c and xlog.c, unchanged from 15 to 18.
_REDO = re.compile(r"LOG: +redo (?P<what>starts at|in progress, .*current LSN:|done at) (?P<lsn>[0-9A-F/]+)")
_RESTORED = re.compile(r'LOG: +restored log file "(?P<name>[0-9A-F]{24})" from archive')
_STOPPING = re.compile(r"LOG: +(?P<sentence>recovery stopping .*)")
_LAST_COMMIT = re.compile(r"LOG: +last completed transaction was at log time (?P<time>\S+ [0-9:.]+)\+00")
_OPENED = "LOG:  database system is ready to accept connections"
_TIMELINE = re.compile(r"LOG: +selected new timeline ID: (?P<timeline>\d+)")


@dataclass(slots=True)
class RecoveryLog:
    """What has been said so far; :meth:`read` takes in what is new."""

    path: Path
    segment_bytes: int
    started_at: Lsn | None = None
    replayed: Lsn | None = None
    """The last position known to be behind us; lags the truth by at most a second."""
    stopping: str = ""
    """Why recovery stopped, in PostgreSQL's words; empty when it ran to the end of the WAL."""
    last_commit_at: datetime | None = None
    new_timeline: int | None = None
    opened: bool = False
    """Whether the server says that it accepts connections."""
    _offset: int = 0

    def read(self) -> None:
        """Read on where the last call ended; an unfinished line waits for the next."""
        with self.path.open("rb") as stream:
            stream.seek(self._offset)
            said = stream.read(4 * 1024 * 1024)
        whole = said[: said.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            self._line(line)

    def _line(self, line: str) -> None:
        if found := _REDO.search(line):
            lsn = Lsn.parse(found["lsn"])
            self._reached(lsn)
            if found["what"] == "starts at":
                self.started_at = lsn
        elif (found := _RESTORED.search(line)) and self.started_at is not None:
            self._reached(WalSegment.parse(found["name"], size_bytes=self.segment_bytes).start)
        elif found := _STOPPING.search(line):
            self.stopping = found["sentence"]
        elif found := _LAST_COMMIT.search(line):
            self.last_commit_at = _parse_time(found["time"])
        elif found := _TIMELINE.search(line):
            self.new_timeline = int(found["timeline"])
        elif _OPENED in line:
            self.opened = True

    def _reached(self, lsn: Lsn) -> None:
        if self.replayed is None or lsn > self.replayed:
            self.replayed = lsn


def switch_point(history: str) -> Lsn:
    """Where a timeline left its parent, from its own history file: the last line's second field.

    :raises ValueError: it is no history file.
    """
    lines = [line for line in history.splitlines() if line.strip() and not line.startswith("#")]
    return Lsn.parse(lines[-1].split("\t")[1].strip()) if lines else Lsn.parse("")


def _parse_time(text: str) -> datetime:
    """``2026-11-23 10:00:00.12`` in UTC; PostgreSQL drops trailing zeros of the fraction."""
    whole, _, fraction = text.partition(".")
    moment = datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    return moment.replace(microsecond=int(fraction.ljust(6, "0")[:6]) if fraction else 0)
