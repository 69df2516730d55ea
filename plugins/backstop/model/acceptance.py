"""The word that a backup's drop in rows or files is meant: expiry may go on behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.backup import BackupLabel, Signature
from backstop.model.canonical import format_time, parse_time
from backstop.model.format_version import known_version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """That somebody has looked at what this backup lacks. Signed as a proof is: it lets backups go."""

    label: BackupLabel
    target: str
    who: str
    accepted_at: datetime
    signature: Signature | None = None

    def signed_part(self) -> dict[str, Any]:
        """What the signature covers; ``type`` keeps it from being taken for any other document's."""
        return {
            "accepted_at": format_time(self.accepted_at),
            "format": _FORMAT,
            "label": self.label.text,
            "target": self.target,
            "type": "acceptance",
            "who": self.who,
        }

    def to_dict(self) -> dict[str, Any]:
        document = self.signed_part()
        document["signature"] = self.signature.to_dict() if self.signature else None
        return document

    def with_signature(self, signature: Signature) -> Acceptance:
        return replace(self, signature=signature)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Acceptance:
        """:raises IntegrityError: not an acceptance."""
        try:
            known_version(raw, what="it")
            if raw["type"] != "acceptance":
                raise ValueError(f"type {raw['type']!r}")
            signature = raw["signature"]
            return cls(
                label=BackupLabel(raw["label"]),
                target=raw["target"],
                who=raw["who"],
                accepted_at=parse_time(raw["accepted_at"]),
                signature=Signature(key=signature["key"], value=signature["ed25519"]) if signature else None,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(f"it is malformed: {error}", hint="accept the drop anew") from error
