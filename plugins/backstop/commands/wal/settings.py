"""How WAL is received and shipped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION_NAME = "backstop_wal"


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """The ``wal`` section of targets.yaml says the same.

    :param spool: folder for WAL on its way out. Nothing in it is needed after a restart.
    :param slot: of the server; by default ``backstop_<target>``.
    :param application_name: what ``synchronous_standby_names`` must name for ``synchronous`` to count.
    :param synchronous: ship every byte at once, because commits wait for it.
    :param tail_interval: without it, how old the oldest byte may get that is not on its way yet. The promise
        is two seconds; the rest of them is for encryption and the network.
    :param max_spool_bytes: WAL beyond it stays on the server until there is room.
    :param uploads_per_repository: how many segments are on their way to one repository at a time.
    :param ack_patience: a repository that acknowledges nothing for so long, while another does, is left
        behind; commits wait for no longer.
    :param slot_patience: how long these are waited for: a slot in use by somebody else, one that is still to
        be made on a server that has just taken another's place, or on a standby that may, a server behind
        the archive; longer than the server's wal_sender_timeout, after which it lets go of a dead receiver.
    :param recreate_slot: go on with a new slot although WAL may be missing.
    :param new_cluster: begin a new archive although the target's WAL so far is another cluster's (after
        pg_upgrade, or a new initdb).
    :param top_up_age: how far back holes in a repository are filled from the others on a start. What is
        missing for longer may have been expired on purpose.
    :param format_again: how often a repository is asked whether a newer release has raised its format since.
    :param status_file: where the state is written for those who watch.
    """

    spool: Path
    slot: str = ""
    application_name: str = APPLICATION_NAME
    synchronous: bool = False
    tail_interval: timedelta = timedelta(seconds=1)
    max_spool_bytes: int = 1024**3
    uploads_per_repository: int = 4
    ack_patience: timedelta = timedelta(seconds=30)
    slot_patience: timedelta = timedelta(minutes=2)
    longest_pause: timedelta = timedelta(seconds=30)
    recreate_slot: bool = False
    new_cluster: bool = False
    top_up_age: timedelta = timedelta(days=7)
    format_again: timedelta = timedelta(minutes=5)
    status_file: Path | None = None

    def slot_of(self, target: str) -> str:
        """The slot's name for a target; slot names know lower-case letters, digits and underscores."""
        return self.slot or f"backstop_{re.sub('[^a-z0-9_]', '_', target.lower())}"[:63]
