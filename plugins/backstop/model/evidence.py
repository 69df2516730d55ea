"""What an auditor is shown: records, each of which names the one before, signed. Pure.

One chain for each target in each repository: ``<target>/meta/evidence/<number>.json``. A record that is
changed no longer has its signature; one that is taken away, put in between or moved breaks the hashes of
those behind it; the newest ones are missed by whoever knows a later head (another repository, the inventory,
an export that somebody kept).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.backup import Signature
from backstop.model.canonical import canonical_json, format_time, parse_time, sha256_hex
from backstop.model.format_version import known_version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_FORMAT = 1

BEFORE_THE_FIRST = "0" * 64
_SHA256 = re.compile(r"[0-9a-f]{64}")


class EvidenceKind(str, Enum):
    """What a record is of."""

    PROOF = "proof"
    """A verification; ``document`` is the proof as it is signed and stored by itself."""
    DRILL = "drill"
    """A :class:`~backstop.model.drill.DrillRecord`."""
    SIGN_OFF = "sign-off"
    """Of a drill, where it came later than the drill's own record."""
    INCIDENT = "incident"
    """Its journal and what came of it."""


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The newest record of a chain, as somebody knew it.

    :param sha256: of the record's bytes, which are its canonical JSON, signature included.
    """

    number: int
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        return {"number": self.number, "sha256": self.sha256}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> ChainHead:
        """:raises ValueError: it is none."""
        head = cls(raw["number"], raw["sha256"])
        if type(head.number) is not int or head.number < 1 or not _SHA256.fullmatch(head.sha256):
            raise ValueError(f"{raw!r} is no head of a chain")
        return head


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """One link.

    :param number: from one on. :param subject: a backup's label, a drill's or an incident's id.
    :param happened_at: when what it tells of ended; :param recorded_at: when it was put here.
    :param previous_sha256: of the canonical JSON, signature included, of the record before.
    :param report_sha256: of the report beside it, :attr:`report_name`; empty: there is none.
    :param heads: by repository id: the newest record there when this one was written, so that no repository
        can lose its newest ones unnoticed.
    """

    target: str
    repository_id: str
    number: int
    kind: EvidenceKind
    subject: str
    happened_at: datetime
    recorded_at: datetime
    previous_sha256: str
    document: Mapping[str, Any]
    report_sha256: str = ""
    heads: Mapping[str, ChainHead] = field(default_factory=dict)
    signature: Signature | None = None

    @property
    def label(self) -> str:
        """As what others' errors name it."""
        return f"{self.number} ({self.kind.value} {self.subject})"

    @property
    def name(self) -> str:
        """Of its file: ``00000007.json``."""
        return f"{self.number:08d}.json"

    @property
    def report_name(self) -> str:
        """Of its report's file. Two who write number 7 at the same time never share it."""
        return f"{self.number:08d}-{self.report_sha256[:16]}.html" if self.report_sha256 else ""

    @property
    def head(self) -> ChainHead:
        """As others remember it."""
        return ChainHead(self.number, self.sha256)

    def signed_part(self) -> dict[str, Any]:
        """What the signature covers."""
        return {
            "document": dict(self.document),
            "format": _FORMAT,
            "happened_at": format_time(self.happened_at),
            "heads": {known: head.to_dict() for known, head in self.heads.items()},
            "kind": self.kind.value,
            "number": self.number,
            "previous_sha256": self.previous_sha256,
            "recorded_at": format_time(self.recorded_at),
            "report_sha256": self.report_sha256,
            "repository_id": self.repository_id,
            "subject": self.subject,
            "target": self.target,
        }

    def to_dict(self) -> dict[str, Any]:
        document = self.signed_part()
        document["signature"] = self.signature.to_dict() if self.signature else None
        return document

    def with_signature(self, signature: Signature) -> EvidenceRecord:
        return replace(self, signature=signature)

    @property
    def sha256(self) -> str:
        """What the next one names."""
        return sha256_hex(canonical_json(self.to_dict()))

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> EvidenceRecord:
        """:raises IntegrityError: it is malformed."""
        try:
            known_version(raw, what=f"record {raw.get('number')!r:.80} of evidence")
            if type(raw["number"]) is not int or raw["number"] < 1:
                raise ValueError(f"number {raw['number']!r}")
            return cls(
                target=raw["target"],
                repository_id=raw["repository_id"],
                number=raw["number"],
                kind=EvidenceKind(raw["kind"]),
                subject=raw["subject"],
                happened_at=parse_time(raw["happened_at"]),
                recorded_at=parse_time(raw["recorded_at"]),
                previous_sha256=raw["previous_sha256"],
                document=dict(raw["document"]),
                report_sha256=_hash_or_nothing(raw["report_sha256"]),
                heads={str(known): ChainHead.from_dict(head) for known, head in raw["heads"].items()},
                signature=Signature.from_dict(raw["signature"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"record {raw.get('number')!r} of evidence is malformed: {error}",
                hint="compare it with the copy in the other repository",
            ) from error


def _hash_or_nothing(text: str) -> str:
    if text and not _SHA256.fullmatch(text):
        raise ValueError(f"{text!r} is no SHA-256")
    return text
