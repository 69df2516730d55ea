"""What really happened: written down by whoever made it, so that nobody has to believe a repository."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from tests.simulation.cluster import Cluster


@dataclass(frozen=True, eq=False)
class Made:
    """One backup that was published somewhere.

    :param group: what replaces it: ``dump``, the system identifier of a base backup, the name of a tree.
    :param at: its ``finished_at``; :param moment: the moment whose data it holds.
    :param needs: labels without which it cannot be restored: the chain of an incremental one.
    """

    label: str
    target: str
    group: str
    kind: str
    at: datetime
    moment: datetime
    keys: frozenset[str]
    content: int
    needs: tuple[str, ...] = ()
    cluster: Cluster | None = None
    timeline: int = 0
    start: int = 0
    end: int = 0


@dataclass(frozen=True, eq=False)
class Moment:
    """A commit: at this position of this timeline, then."""

    at: datetime
    cluster: Cluster
    timeline: int
    position: int


@dataclass
class Chronicle:
    """All that was ever made.

    :param bytes_of: each object that was ever put, by key; ciphertext is the same everywhere.
    :param verified: by repository, target and label: whether the newest *true* verification there matched.
    :param spoiled: the same triples, where a forged proof lies: nobody may believe any proof of it any more.
    :param drops: by target and group, since when it holds much less than before, and nobody has looked.
    :param accepted: target and label of backups whose drop somebody looked at.
    """

    made: dict[tuple[str, str], Made] = field(default_factory=dict)
    bytes_of: dict[str, bytes] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    verified: dict[tuple[str, str, str], bool] = field(default_factory=dict)
    spoiled: set[tuple[str, str, str]] = field(default_factory=set)
    drops: dict[tuple[str, str], datetime] = field(default_factory=dict)
    accepted: set[tuple[str, str]] = field(default_factory=set)

    def proven(self, repository: str, made: Made) -> bool:
        """Whether a restore from there really matched, and nothing says otherwise."""
        place = (repository, made.target, made.label)
        return self.verified.get(place, False) and place not in self.spoiled
