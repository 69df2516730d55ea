"""The record of a restore that matched, or did not match, the backup's own fingerprint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.backup import BackupLabel, Signature
from backstop.model.canonical import format_time, parse_time
from backstop.model.format_version import known_version
from backstop.model.kinds import require_counts, require_figures, require_moments, require_texts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Proof:
    """One verification of one backup from one repository.

    :param manifest_sha256: of the manifest bytes that were read; a proof binds to exactly them.
    :param durations: seconds by phase: ``fetch``, ``restore``, ``compare``, ``probe``, ``total``.
    :param differences: empty when ``matched``; else one sentence each, naming the object.
    :param checks: what was compared, for people and auditors: ``tables``, ``rows``, ``queries``.
    :param isolation: how the scratch server was kept from the rest of the machine, in words.
    """

    label: BackupLabel
    target: str
    repository_id: str
    manifest_sha256: str
    started_at: datetime
    finished_at: datetime
    matched: bool
    differences: tuple[str, ...]
    durations: Mapping[str, float]
    checks: Mapping[str, int | str]
    server_version: int
    isolation: str
    host: str
    signature: Signature | None = None

    def require_kinds(self) -> None:
        """:raises TypeError, ValueError: a value is of another kind than those that Backstop writes."""
        require_texts((self.target, self.repository_id, self.manifest_sha256, self.isolation, self.host))
        require_texts(self.differences)
        require_counts((self.server_version,))
        require_figures(self.checks)
        require_figures(self.durations)
        require_moments((self.started_at, self.finished_at))
        if type(self.matched) is not bool or any(isinstance(one, str) for one in self.durations.values()):
            raise TypeError("`matched` is yes or no, durations are numbers")

    def signed_part(self) -> dict[str, Any]:
        """What the signature covers."""
        return {
            "checks": dict(self.checks),
            "differences": list(self.differences),
            "durations": dict(self.durations),
            "finished_at": format_time(self.finished_at),
            "format": _FORMAT,
            "host": self.host,
            "isolation": self.isolation,
            "label": self.label.text,
            "manifest_sha256": self.manifest_sha256,
            "matched": self.matched,
            "repository_id": self.repository_id,
            "server_version": self.server_version,
            "started_at": format_time(self.started_at),
            "target": self.target,
        }

    def to_dict(self) -> dict[str, Any]:
        document = self.signed_part()
        document["signature"] = self.signature.to_dict() if self.signature else None
        return document

    def with_signature(self, signature: Signature) -> Proof:
        return replace(self, signature=signature)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Proof:
        """Read a proof's JSON document.

        :raises IntegrityError: when it is malformed.
        """
        try:
            known_version(raw, what=f"proof of {raw.get('label')!r:.80}")
            signature = raw["signature"]
            proof = cls(
                label=BackupLabel(raw["label"]),
                target=raw["target"],
                repository_id=raw["repository_id"],
                manifest_sha256=raw["manifest_sha256"],
                started_at=parse_time(raw["started_at"]),
                finished_at=parse_time(raw["finished_at"]),
                matched=raw["matched"],
                differences=tuple(raw["differences"]),
                durations=raw["durations"],
                checks=raw["checks"],
                server_version=raw["server_version"],
                isolation=raw["isolation"],
                host=raw["host"],
                signature=Signature(key=signature["key"], value=signature["ed25519"]) if signature else None,
            )
            proof.require_kinds()
            return proof
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"proof of {raw.get('label')!r} is malformed: {error}",
                hint="verify the backup again",
            ) from error
