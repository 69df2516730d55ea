"""When a repository is left behind for being slow, so that it does not hold up the others and the commits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from backstop.errors import StorageUnavailableError

if TYPE_CHECKING:
    from datetime import timedelta

    from backstop.commands.wal.shipper import WalShipper


def leave_silent_behind(shipper: WalShipper, patience: timedelta) -> None:
    """A repository that acknowledges nothing while another does must not hold up commits."""
    seconds = patience.total_seconds()
    now = time.monotonic()
    with shipper.condition:
        silent = [
            lane
            for lane in shipper.working
            if now - lane.answered_at > seconds
            and any(
                lane in piece.waiting and piece.stored and now - piece.sent_at > seconds
                for piece in shipper.pieces
            )
        ]
    for lane in silent:
        shipper.lane_failed(
            lane,
            StorageUnavailableError(
                f"{lane.archive.storage.location} has acknowledged nothing for {seconds:.0f} s",
                hint="it gets what it missed once it answers again",
            ),
        )


def leave_slowest_behind(shipper: WalShipper) -> None:
    """The spool is full: a repository that is slower than another must not stop the other."""
    with shipper.condition:
        behind = {
            lane: sum(piece.sealed.stored_bytes for piece in shipper.pieces if lane in piece.waiting)
            for lane in shipper.working
        }
    if not behind or min(behind.values()) == max(behind.values()):
        return
    slowest = max(behind, key=lambda lane: behind[lane])
    shipper.lane_failed(
        slowest,
        StorageUnavailableError(
            f"{slowest.archive.storage.location} fell {behind[slowest]} bytes behind",
            hint="it gets what it missed once it is quick again",
        ),
    )
