"""A hold: this backup stays, whatever retention says, until its time is over or somebody releases it.

Placing one needs no key, since a hold can only keep more. Releasing one lets backups go, so a release is
signed as proofs are (docs/adr/0013).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backstop.errors import ConfigurationError, IntegrityError
from backstop.model.backup import BackupLabel, Signature
from backstop.model.canonical import canonical_json, format_time, parse_time, sha256_hex
from backstop.model.format_version import known_version
from backstop.model.words import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_FORMAT = 1

MAX_WORDS = 500
"""Characters of a reason; it stands in tables."""

_HINT = "a damaged hold counts as one: place it anew, then remove the damaged object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One hold on one backup in one repository.

    :param number: of its document among those of the backup in this repository.
    :param until: None until it is released; ``placed_at`` is None of a damaged one.
    :param sha256: of its document: what a release names. Equal in every repository.
    :param released_at: None while nobody has; :param released_by: in words.
    :param damage: in words, when its document or a release of it cannot be believed; it is in force then.
    """

    label: BackupLabel
    number: int
    reason: str
    who: str
    placed_at: datetime | None
    until: datetime | None
    sha256: str
    released_at: datetime | None = None
    released_by: str | None = None
    damage: str | None = None

    def in_force(self, now: datetime) -> bool:
        """Whether the backup must stay because of it."""
        return self.released_at is None and (self.until is None or now < self.until)

    def state(self, now: datetime) -> str:
        """``in force``, ``over`` (its time), or ``released``."""
        if self.released_at is not None:
            return "released"
        return "in force" if self.in_force(now) else "over"

    def __str__(self) -> str:
        """``hold 1 by ada until 2026-12-01 00:00Z: audit of the year``."""
        until = f" until {self.until:%Y-%m-%d %H:%MZ}" if self.until else ""
        return f"hold {self.number} by {self.who}{until}: {self.reason}"

    def to_dict(self) -> dict[str, Any]:
        """For people and programs that ask; not what is stored."""
        return {
            "label": self.label.text,
            "number": self.number,
            "reason": self.reason,
            "who": self.who,
            "placed_at": self.placed_at and format_time(self.placed_at),
            "until": self.until and format_time(self.until),
            "released_at": self.released_at and format_time(self.released_at),
            "released_by": self.released_by,
            "damage": self.damage,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldDocument:
    """What is stored of a hold, the same bytes in every repository.

    :param id: random: two holds never have the same bytes.
    """

    id: str
    label: BackupLabel
    target: str
    reason: str
    who: str
    placed_at: datetime
    until: datetime | None

    def to_json(self) -> bytes:
        return canonical_json(
            {
                "format": _FORMAT,
                "id": self.id,
                "label": self.label.text,
                "placed_at": format_time(self.placed_at),
                "reason": self.reason,
                "target": self.target,
                "type": "hold",
                "until": self.until and format_time(self.until),
                "who": self.who,
            }
        )

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> HoldDocument:
        """:raises IntegrityError: not a hold, as far as this program can tell."""
        try:
            known_version(raw, what="it")
            if raw["type"] != "hold":
                raise ValueError(f"type {raw['type']!r}")
            return cls(
                id=printable(raw["id"]),
                label=BackupLabel(raw["label"]),
                target=raw["target"],
                reason=printable(raw["reason"]),
                who=printable(raw["who"]),
                placed_at=parse_time(raw["placed_at"]),
                until=parse_time(raw["until"]) if raw["until"] is not None else None,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(f"it is malformed: {error}", hint=_HINT) from error

    def hold(self, number: int) -> Hold:
        """As it lies in a repository under this number, and nobody has released it."""
        return Hold(
            label=self.label,
            number=number,
            reason=self.reason,
            who=self.who,
            placed_at=self.placed_at,
            until=self.until,
            sha256=sha256_hex(self.to_json()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The word that a hold is over, signed with the key that signs proofs.

    :param hold_sha256: of the very document; so it releases nothing else, now or later.
    """

    label: BackupLabel
    target: str
    hold_sha256: str
    who: str
    released_at: datetime
    signature: Signature | None = None

    def signed_part(self) -> dict[str, Any]:
        """What the signature covers; ``type`` keeps it from being taken for any other document's."""
        return {
            "format": _FORMAT,
            "hold_sha256": self.hold_sha256,
            "label": self.label.text,
            "released_at": format_time(self.released_at),
            "target": self.target,
            "type": "release",
            "who": self.who,
        }

    def to_dict(self) -> dict[str, Any]:
        document = self.signed_part()
        document["signature"] = self.signature.to_dict() if self.signature else None
        return document

    def with_signature(self, signature: Signature) -> Release:
        return replace(self, signature=signature)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Release:
        """:raises IntegrityError: not a release."""
        try:
            known_version(raw, what="it")
            if raw["type"] != "release":
                raise ValueError(f"type {raw['type']!r}")
            signature = raw["signature"]
            return cls(
                label=BackupLabel(raw["label"]),
                target=raw["target"],
                hold_sha256=str(raw["hold_sha256"]),
                who=raw["who"],
                released_at=parse_time(raw["released_at"]),
                signature=Signature(key=signature["key"], value=signature["ed25519"]) if signature else None,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(f"it is malformed: {error}", hint=_HINT) from error


def words(text: str, what: str) -> str:
    """Somebody's words on one line, fit to be stored and shown.

    :raises ConfigurationError: none, too many, or characters that are not for reading.
    """
    line = " ".join(text.split())
    if not line:
        raise ConfigurationError(f"the {what} is missing", hint="it is shown with the backup")
    if len(line) > MAX_WORDS or not line.isprintable():
        raise ConfigurationError(
            f"the {what} is one line of at most {MAX_WORDS} printable characters",
            hint="shorten it; a ticket's number tells the rest",
        )
    return line
