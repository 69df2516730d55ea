"""What can be wrong with a target of the fleet: one each of its first ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from backstop.model.finding import Finding, Level

KEY = "backstop-local/6f1e0d2c4b5a6978"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, and what a watch says of it.

    :param check: empty: it finds nothing.
    :param seen_ago: how long ago the newest watch was.
    """

    name: str
    check: str = ""
    subject: str = ""
    level: Level = Level.CRITICAL
    sentence: str = ""
    next_step: str = ""
    seen_ago: timedelta = timedelta(minutes=2)

    def finding(self, target: str) -> Finding | None:
        """As the watch hands it on."""
        if not self.check:
            return None
        return Finding(target, self.check, self.subject, self.level, self.sentence, self.next_step)


TROUBLES = (
    Trouble("none"),
    Trouble(
        "never backed up",
        "completed",
        "dump",
        sentence="no dump has ever been published",
        next_step="unpause back_up_database and look into its first run",
    ),
    Trouble(
        "s3 down",
        "repository",
        "repository s3",
        Level.WARNING,
        "repository s3 does not answer: connection refused",
        "check the endpoint; sync tops it up when it is back",
    ),
    Trouble(
        "gap",
        "wal-gap",
        "repository s3",
        Level.WARNING,
        "segment 0000000100000004000000A2 is missing: 20 h cannot be recovered to",
        "nothing brings these hours back; the windows before and after stand",
    ),
    Trouble(
        "unproven",
        "proven",
        "dump",
        sentence="no dump has been proven for 4 days: 4 verifications differed",
        next_step="read the differences of the newest proof",
    ),
    Trouble(
        "late",
        "completed",
        "dump",
        sentence="the dump due at 01:00 three days ago is not there",
        next_step="look into back_up_database: is it paused?",
    ),
    Trouble("stale", seen_ago=timedelta(minutes=20)),
    Trouble("never watched"),
    Trouble(
        "rpo",
        "rpo",
        "base",
        sentence="17 min would be lost now; the objective is 5 min",
        next_step="see why WAL does not arrive: docs/wal-service.md",
    ),
    Trouble(
        "key",
        "key",
        KEY,
        sentence=f"key {KEY} is pending deletion, and 137 backups need it",
        next_step="cancel its deletion now",
    ),
)
