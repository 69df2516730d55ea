"""What takes space and belongs to no backup, for people and programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from backstop.storage.base import IncompleteUpload, ObjectVersion


@dataclass(slots=True)
class Orphan:
    """One key that no backup names, with everything stored under it: noncurrent versions, delete markers.

    :param why: in words. :param lease: of whoever may be writing such objects; empty: nobody needs one.
    :param group: what it lives and dies with: an attempt at a backup.
    """

    key: str
    why: str
    lease: str
    group: str
    versions: list[ObjectVersion] = field(default_factory=list)

    @property
    def foreign(self) -> bool:
        return self.group == "foreign"

    @property
    def stored_bytes(self) -> int:
        return sum(version.size_bytes for version in self.versions)

    @property
    def newest_at(self) -> datetime:
        """When something was stored under it last, by the storage's clock."""
        return max(version.modified_at for version in self.versions)

    def add(self, version: ObjectVersion) -> None:
        self.versions.append(version)

    def to_dict(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "why": self.why,
            "stored_bytes": self.stored_bytes,
            "stored_at": self.newest_at,
            "versions": len(self.versions),
        }


@dataclass(slots=True, kw_only=True)
class Orphans:
    """What was found.

    :param removable: older than the grace period, and nobody's.
    :param young: not old enough. :param running: of a backup that is being made now.
    :param foreign: of no name that Backstop gives; never removed.
    :param uploads: in parts, begun before the grace period and never finished.
    :param cannot_tell: reasons why nothing may be removed now.
    """

    repository: str
    location: str
    removable: list[Orphan] = field(default_factory=list)
    young: list[Orphan] = field(default_factory=list)
    running: list[Orphan] = field(default_factory=list)
    foreign: list[Orphan] = field(default_factory=list)
    uploads: list[IncompleteUpload] = field(default_factory=list)
    cannot_tell: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Everything by name; :meth:`counts` is the same in figures."""
        return {
            "repository": self.repository,
            "location": self.location,
            "removable": [one.to_dict() for one in self.removable],
            "young": [one.to_dict() for one in self.young],
            "running": [one.to_dict() for one in self.running],
            "foreign": [one.to_dict() for one in self.foreign],
            "incomplete_uploads": [
                {"key": one.key, "began_at": one.began_at, "stored_bytes": one.stored_bytes}
                for one in self.uploads
            ],
            "cannot_tell": self.cannot_tell,
        }

    def counts(self) -> dict[str, Any]:
        """Small enough to be passed on, whatever was found."""
        return {
            "repository": self.repository,
            **{
                name: {"objects": len(found), "stored_bytes": stored_bytes(found)}
                for name, found in (
                    ("removable", self.removable),
                    ("young", self.young),
                    ("running", self.running),
                    ("foreign", self.foreign),
                )
            },
            "incomplete_uploads": len(self.uploads),
            "cannot_tell": len(self.cannot_tell),
        }


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed, and what was left and why, in sentences."""

    objects: int
    stored_bytes: int
    uploads: int
    left: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "objects": self.objects,
            "stored_bytes": self.stored_bytes,
            "uploads": self.uploads,
            "left": list(self.left),
        }


def stored_bytes(orphans: Sequence[Orphan]) -> int:
    return sum(one.stored_bytes for one in orphans)
