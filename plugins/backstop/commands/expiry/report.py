"""What an expiry did, and what it left for a later run and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.commands.expiry.decide import in_words
from backstop.commands.expiry.wal import WalTally

if TYPE_CHECKING:
    from backstop.errors import IntegrityError
    from backstop.model.backup import BackupLabel
    from backstop.storage.base import Undeleted

MOST_SHOWN = 200


@dataclass(slots=True)
class ExpiryReport:
    """Filled while it goes on; after a failure it says how far that came.

    :param expired: what went whole; :param finished: those of them that an earlier run had begun.
    :param kept: what was planned to go and stays, and why.
    :param waiting: sentences: what could not be touched now; the next run tries again.
    :param locked: objects that the storage has locked, by backup or ``WAL``; the rest of it is gone.
    :param renewed: what stays and was locked on.
    :param freed_bytes: by kind of backup and ``wal``: every version that was removed.
    """

    repository: str
    target: str
    expired: list[BackupLabel] = field(default_factory=list)
    finished: list[BackupLabel] = field(default_factory=list)
    kept: dict[BackupLabel, str] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    locked: dict[str, list[Undeleted]] = field(default_factory=dict)
    freed_bytes: dict[str, int] = field(default_factory=dict)
    wal: WalTally = field(default_factory=WalTally)
    unreadable: list[IntegrityError] = field(default_factory=list)
    claims: int = 0
    renewed: list[BackupLabel] = field(default_factory=list)

    def free(self, kind: str, size_bytes: int) -> None:
        if size_bytes:
            self.freed_bytes[kind] = self.freed_bytes.get(kind, 0) + size_bytes

    @property
    def freed_in_all(self) -> int:
        return sum(self.freed_bytes.values())

    def to_dict(self) -> dict[str, Any]:
        """Bounded, for XCom and tables."""
        return {
            "repository": self.repository,
            "target": self.target,
            "expired": [label.text for label in self.expired[:MOST_SHOWN]],
            "expired_total": len(self.expired),
            "finished": [label.text for label in self.finished[:MOST_SHOWN]],
            "kept": [
                {"label": label.text, "because": why} for label, why in list(self.kept.items())[:MOST_SHOWN]
            ],
            "waiting": self.waiting[:MOST_SHOWN],
            "locked": [
                {"what": what, "objects": len(left), "until": _latest(left)}
                for what, left in list(self.locked.items())[:MOST_SHOWN]
            ],
            "renewed": [label.text for label in self.renewed[:MOST_SHOWN]],
            "claims": self.claims,
            "freed_bytes": self.freed_in_all,
            "freed_bytes_by_kind": dict(self.freed_bytes),
            "wal_objects": self.wal.objects,
            "wal_bytes": self.wal.stored_bytes,
            "unreadable": [str(error) for error in self.unreadable[:MOST_SHOWN]],
        }


def _latest(left: list[Undeleted]) -> str:
    forever = [one.lock for one in left if one.lock.until is None]
    return in_words(forever[0] if forever else max((one.lock for one in left), key=_until))


def _until(lock: Any) -> Any:
    return lock.until
