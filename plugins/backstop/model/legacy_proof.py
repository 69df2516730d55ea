"""The record of a restore of a legacy backup: one file that scripts made before Backstop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.backup import Signature
from backstop.model.canonical import format_time, parse_time
from backstop.model.format_version import known_version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from backstop.model.legacy import LegacyBackup

_FORMAT = 1

LEGACY = "legacy"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyProof:
    """One verification of one file.

    :param repository_id: of the repository that holds this record, and whose backups take the file's place.
    :param file_sha256: of the file's bytes as read: the proof is of exactly them.
    :param checks: what was restored and asked: ``tables``, ``rows``, ``queries``; ``files``, ``bytes``; empty
        when it could not be restored.
    """

    target: str
    repository_id: str
    kind: str
    name: str
    location: str
    file_sha256: str
    size_bytes: int
    modified_at: datetime
    started_at: datetime
    finished_at: datetime
    matched: bool
    differences: tuple[str, ...]
    durations: Mapping[str, float]
    checks: Mapping[str, int | str]
    isolation: str
    host: str
    signature: Signature | None = None

    @property
    def label(self) -> str:
        """What errors call it."""
        return self.name

    @property
    def restored(self) -> bool:
        """Whether it could be restored, even if it did not answer as expected then."""
        return bool(self.checks)

    def is_of(self, backup: LegacyBackup) -> bool:
        """Whether it is about this file, as far as one can tell without reading it."""
        return (self.kind, self.name, self.location, self.size_bytes, self.modified_at) == (
            backup.kind, backup.name, backup.location, backup.size_bytes, backup.modified_at,
        )  # fmt: skip

    def signed_part(self) -> dict[str, Any]:
        """What the signature covers. ``what`` keeps it apart from proofs of backups, by the same key."""
        return {
            "checks": dict(self.checks),
            "differences": list(self.differences),
            "durations": dict(self.durations),
            "file_sha256": self.file_sha256,
            "finished_at": format_time(self.finished_at),
            "format": _FORMAT,
            "host": self.host,
            "isolation": self.isolation,
            "kind": self.kind,
            "location": self.location,
            "matched": self.matched,
            "modified_at": format_time(self.modified_at),
            "name": self.name,
            "repository_id": self.repository_id,
            "size_bytes": self.size_bytes,
            "started_at": format_time(self.started_at),
            "target": self.target,
            "what": LEGACY,
        }

    def to_dict(self) -> dict[str, Any]:
        return self.signed_part() | {"signature": self.signature.to_dict() if self.signature else None}

    def with_signature(self, signature: Signature) -> LegacyProof:
        return replace(self, signature=signature)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> LegacyProof:
        """Read its JSON document. :raises IntegrityError: when it is malformed."""
        try:
            known_version(raw, what=f"proof of legacy backup {raw.get('name')!r:.80}")
            if raw["what"] != LEGACY:
                raise ValueError(f"it is about a {raw['what']!r}")
            signature = raw["signature"]
            return cls(
                target=raw["target"],
                repository_id=raw["repository_id"],
                kind=raw["kind"],
                name=raw["name"],
                location=raw["location"],
                file_sha256=raw["file_sha256"],
                size_bytes=raw["size_bytes"],
                modified_at=parse_time(raw["modified_at"]),
                started_at=parse_time(raw["started_at"]),
                finished_at=parse_time(raw["finished_at"]),
                matched=raw["matched"],
                differences=tuple(raw["differences"]),
                durations=raw["durations"],
                checks=raw["checks"],
                isolation=raw["isolation"],
                host=raw["host"],
                signature=Signature(key=signature["key"], value=signature["ed25519"]) if signature else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"proof of legacy backup {raw.get('name')!r} is malformed: {error}",
                hint="verify that file again",
            ) from error
