"""What a re-encryption did, and what is left to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backstop.errors import BackstopError
    from backstop.model.backup import BackupLabel


@dataclass(slots=True)
class ReencryptionReport:
    """Of one target.

    :param wanted: what the key protects and what needs that, and has no successor yet, oldest first.
    :param successors: old label to new one, of this run and of earlier ones.
    :param done: of those, the old ones that this run encrypted anew.
    :param failed: old labels that were not, and why; the next run tries again.
    :param unlooked: what could not be looked at, in sentences: the key may protect more than was found.
    :param wal_objects: by repository, WAL and pieces of it that the key opens; they are left as they are.
    :param notes: sentences for people about repositories that went without.
    """

    target: str
    key: str
    wanted: list[BackupLabel] = field(default_factory=list)
    successors: dict[BackupLabel, BackupLabel] = field(default_factory=dict)
    done: list[BackupLabel] = field(default_factory=list)
    failed: dict[BackupLabel, BackstopError] = field(default_factory=dict)
    unlooked: list[str] = field(default_factory=list)
    wal_objects: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    plain_bytes: int = 0
    stored_bytes: int = 0

    @property
    def complete(self) -> bool:
        """Whether every backup that the key protects has a successor."""
        return not self.failed and not self.unlooked and len(self.done) == len(self.wanted)

    @property
    def retryable(self) -> bool:
        """Whether time alone may heal what is missing."""
        return not self.unlooked and all(error.retryable for error in self.failed.values())

    def to_dict(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "key": self.key,
            "wanted": [label.text for label in self.wanted],
            "successors": {old.text: new.text for old, new in sorted(self.successors.items())},
            "done": [label.text for label in self.done],
            "failed": {label.text: str(error) for label, error in self.failed.items()},
            "unlooked": list(self.unlooked),
            "wal_objects": dict(self.wal_objects),
            "notes": list(self.notes),
            "plain_bytes": self.plain_bytes,
            "stored_bytes": self.stored_bytes,
            "complete": self.complete,
        }
