"""Turns replayed positions into progress."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backstop.commands.progress import Progress
    from backstop.commands.wal.route import WalRoute
    from backstop.model.lsn import Lsn


@dataclass(slots=True)
class RecoveryWatch:
    """Called with each position that recovery has reached; whoever watches computes rate and time left."""

    route: WalRoute
    progress: Progress
    _done_bytes: int = field(default=0)

    def __call__(self, replayed: Lsn) -> None:
        done = max(0, replayed.position - self.route.legs[0].begins_at.position)
        if done > self._done_bytes:
            self.progress.advance(done - self._done_bytes)
            self._done_bytes = done
