"""What a check found, for people, programs and exit codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.commands.check.reread import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from backstop.model.backup import BackupLabel

_NAMED = 20


@dataclass(frozen=True, slots=True)
class Damaged:
    """One object that is not what it must be.

    :param what: a clause: ``is missing``. :param lost: backups that cannot be restored from here.
    :param cut: base backups that can be recovered, but not past this WAL.
    :param healed_from: the repository that had a good copy; empty: it is damaged still, and ``why_not`` says
        why.
    """

    key: str
    what: str
    lost: tuple[BackupLabel, ...] = ()
    cut: tuple[BackupLabel, ...] = ()
    healed_from: str = ""
    why_not: str = ""

    @property
    def healed(self) -> bool:
        return bool(self.healed_from)

    def sentence(self) -> str:
        """Which object, what that means, what became of it."""
        if self.healed:
            return f"{self.key} {self.what}; healed with the copy of {self.healed_from}"
        meaning = []
        if self.what == HIDDEN:
            meaning.append("its version is whole, and can be restored until the bucket removes it")
        if self.lost:
            meaning.append(f"cannot be restored from here: {_labels(self.lost)}")
        if self.cut:
            meaning.append(f"cannot be recovered past it: {_labels(self.cut)}")
        consequence = "; ".join(meaning) or "no backup needs it"
        why_not = f"; not healed: {self.why_not}" if self.why_not else ""
        return f"{self.key} {self.what}; {consequence}{why_not}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "what": self.what,
            "lost": [str(label) for label in self.lost],
            "cut": [str(label) for label in self.cut],
            "healed_from": self.healed_from or None,
            "why_not": self.why_not,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """One finished check of one repository.

    :param share: that was asked for.
    :param objects: read, and ``unjudged`` of them: WAL that no key ring was there for.
    :param seconds: that this run took, a part of the check where it went on with an earlier one.
    :param read_bytes: by this run.
    :param unreadable: manifests that cannot be trusted, in words: what only they name was not looked at.
    :param disproved: backups whose failed verification was recorded.
    :param remarks: what else should be known.
    """

    repository: str
    location: str
    started_at: datetime
    finished_at: datetime
    share: float
    objects: int
    stored_bytes: int
    unjudged: int
    seconds: float
    read_bytes: int
    damaged: tuple[Damaged, ...]
    unreadable: tuple[str, ...] = ()
    disproved: tuple[BackupLabel, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def bad(self) -> bool:
        """Whether anything is damaged still."""
        return bool(self.unreadable) or any(not one.healed for one in self.damaged)

    @property
    def bytes_per_second(self) -> float:
        return self.read_bytes / max(self.seconds, 0.001)

    def sentences(self) -> Iterator[str]:
        """Everything that is wrong, and what was done about it."""
        yield from (f"not to be trusted: {error}" for error in self.unreadable)
        yield from (one.sentence() for one in self.damaged)
        if self.disproved:
            yield f"no longer proven in {self.repository}: {_labels(self.disproved)}"
        yield from self.remarks

    def to_dict(self) -> dict[str, Any]:
        """For JSON; of many damaged objects all."""
        return {
            "repository": self.repository,
            "location": self.location,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "share": self.share,
            "objects": self.objects,
            "stored_bytes": self.stored_bytes,
            "unjudged": self.unjudged,
            "seconds": round(self.seconds, 3),
            "bytes_per_second": round(self.bytes_per_second),
            "damaged": [one.to_dict() for one in self.damaged],
            "unreadable": list(self.unreadable),
            "disproved": [str(label) for label in self.disproved],
            "remarks": list(self.remarks),
        }


def _labels(labels: tuple[BackupLabel, ...]) -> str:
    rest = len(labels) - _NAMED
    return ", ".join([*map(str, labels[:_NAMED]), *([f"and {rest} more"] if rest > 0 else [])])
