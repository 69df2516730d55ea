"""What the dice say about one disaster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.long.wal_site import FAR, NEAR

if TYPE_CHECKING:
    import random

#: Nothing is killed before the recovery.
NOTHING = "nothing"


@dataclass(frozen=True)
class Plan:
    """What the dice say.

    :param incrementals: on top of the full base backup, where the server can.
    :param before: what goes wrong first, and heals or not.
    :param strike: what is killed in the end.
    :param goal: where recovery is to go; a repository that does not reach so far is asked for the latest.
    """

    major: int
    segment_mb: int
    clients: int
    incrementals: int
    switches: bool
    before: str
    lasts_seconds: float
    heals: bool
    strike: str
    spool_lost: bool
    quiet_seconds: float
    goal: str
    inclusive: bool
    repository: str
    alone: bool
    check_pages: bool

    @classmethod
    def thrown(cls, dice: random.Random, *, major: int | None = None) -> Plan:
        version = dice.choice((18, 18, 18, 16))
        plan = cls(
            major=major or version,
            segment_mb=dice.choice((1, 1, 16)),
            clients=dice.randint(2, 4),
            incrementals=dice.choice((0, 0, 1, 2)),
            switches=dice.random() < 0.3,
            before=dice.choice(
                ("", "", "", "server restarted", "server killed", "near away", "far refuses",
                 "far is overloaded", "far hangs", "receiver killed", "line hangs")
            ),
            lasts_seconds=dice.uniform(0.3, 2.5),
            heals=dice.random() < 0.6,
            strike=dice.choice(("server", "server and receiver", "receiver and server", "receiver", NOTHING)),
            spool_lost=dice.random() < 0.5,
            quiet_seconds=dice.uniform(0.1, 3.0),
            goal=dice.choice(("latest", "latest", "time", "lsn", "xid", "name")),
            inclusive=dice.random() < 0.7,
            repository=dice.choice((NEAR, FAR)),
            alone=dice.random() < 0.5,
            check_pages=dice.random() < 0.2,
        )  # fmt: skip
        return plan
