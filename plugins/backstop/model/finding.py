"""What a watch found wrong: a level, a sentence that names the object, the next step."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import total_ordering
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

from backstop.model.words import one_line

CHECKS = {
    "completed": "the newest backup is there when it was due",
    "proven": "backups are proven in time",
    "size": "a backup is about as large as the ones before",
    "sync": "every repository has what it should, whole",
    "rpo": "what would be lost now is within the objective",
    "wal-gap": "no WAL is missing between base backups and now",
    "slot": "the replication slot exists, moves on and is within its bounds",
    "forecast": "a restore would take no longer than the objective",
    "drill": "disasters are rehearsed in time, and the last rehearsal showed what it should",
    "key": "keys open what is stored, and are not too old",
    "lock": "proven backups are locked as long as they are kept, where a repository locks them",
    "tampering": "what is put once was neither deleted nor overwritten",
    "deployment": "no other Airflow writes or expires backups of the target",
    "repository": "repositories answer, and take what is written",
    "space": "there is room for the next backups",
    "scratch": "nothing is left over from verifications and restores",
    "clock": "the clocks of worker, database and repository agree",
    "evidence": "records of evidence are there as they were",
    "source": "the protected database answers",
    "configuration": "every target file can be used",
    "undescribed": "every backup in a repository is of a target that is described",
    "run": "the last run of a procedure succeeded",
    "watch": "the watch itself could look at everything",
}
"""What is looked at, and what holds when nothing is found. Names are stable: alerts and links use them."""

EVERY_TARGET = "*"
"""The target of a finding that is about no single one; no target can have this name."""
EVERY_SUBJECT = "*"
"""Where (check, subject) say what could not be judged: whatever the check's subjects are."""


@total_ordering
class Level(enum.Enum):
    """How bad it is; ordered."""

    WARNING = "warning"
    """Somebody should look at it in working hours."""
    CRITICAL = "critical"
    """A restore would fail, lose more or take longer than was agreed."""

    def __lt__(self, other: Level) -> bool:
        order = list(Level)
        return order.index(self) < order.index(other)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with one target now.

    :param check: a name of :data:`CHECKS`.
    :param subject: what exactly, in few words that stay the same from run to run: ``dump``, ``tree:media``,
        ``repository s3``, ``slot backstop_calibrify``. Target, check and subject make a finding the same one.
    :param sentence: what is wrong, with figures, naming the object. No secret.
    :param next_step: what to do about it.

    Words may quote what others have named: whatever that is, they become one line that can be printed, kept
    and sent.
    """

    target: str
    check: str
    subject: str
    level: Level
    sentence: str
    next_step: str

    def __post_init__(self) -> None:
        if self.check not in CHECKS:
            raise ValueError(f"{self.check!r} is no check: {', '.join(CHECKS)}")
        for words in ("subject", "sentence", "next_step"):
            object.__setattr__(self, words, one_line(getattr(self, words)))

    @property
    def key(self) -> tuple[str, str, str]:
        """By which it is recognised."""
        return (self.target, self.check, self.subject)

    @property
    def anchor(self) -> str:
        """Where the documentation says more."""
        return f"docs/monitoring.md#{self.check}"

    def __str__(self) -> str:
        return f"{self.level.value}: {self.target}: {self.sentence} — {self.next_step}"


def worst_of_each(findings: Iterable[Finding]) -> dict[tuple[str, str, str], Finding]:
    """One of each key: the most serious of those that say the same thing is wrong."""
    worst: dict[tuple[str, str, str], Finding] = {}
    for one in findings:
        if worst.setdefault(one.key, one).level < one.level:
            worst[one.key] = one
    return worst


def judged(finding: Finding, unjudged: Collection[tuple[str, str]]) -> bool:
    """Whether its absence means something. :param unjudged: (check, subject) that could not be judged."""
    return (finding.check, finding.subject) not in unjudged and (finding.check, EVERY_SUBJECT) not in unjudged
