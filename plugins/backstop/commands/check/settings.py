"""How to check a repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What is read, and how fast.

    :param staging: folder for copies on their way, and for the note of how far the check has come.
    :param share: which part to read; more than 0, 1 is everything.
    :param seed: another sample, from its beginning, 1 or more; None: go on where the last check ended.
    :param restart: do not go on with a check that was killed.
    :param heal: put good copies in the place of what is damaged.
    :param jobs: objects read at the same time.
    :param note_every_bytes: how much is read between two notes; ``note_every``: how many objects.
    :param most_damaged: the check stops there; the next one goes on.
    """

    staging: Path
    share: float = 0.05
    seed: int | None = None
    restart: bool = False
    heal: bool = False
    jobs: int = 4
    note_every_bytes: int = 256 * 1024 * 1024
    note_every: int = 200
    most_damaged: int = 1000
