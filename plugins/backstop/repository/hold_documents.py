"""What the documents of a backup's holds say, and what doubt about one of them means."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.canonical import sha256_hex
from backstop.model.hold import Hold, HoldDocument, Release
from backstop.model.words import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.crypto.signing import TrustedSigners
    from backstop.model.backup import BackupLabel

_HINT = "place the hold, or release it, anew; then remove the damaged object"
MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class StoredHold:
    """One document; ``body`` is None where it is too large to be one of ours."""

    number: int
    key: str
    body: bytes | None

    @property
    def sha256(self) -> str:
        return sha256_hex(self.key.encode() if self.body is None else self.body)


def judge(
    label: BackupLabel, target: str, stored: Sequence[StoredHold], *, trust: TrustedSigners
) -> tuple[Hold, ...]:
    """The holds that these documents are, with what releases say of them.

    A document that cannot be read, or is of another backup, is a hold in force; a release that cannot be
    believed is none.
    """
    holds: list[Hold] = []
    releases: list[tuple[StoredHold, Release]] = []
    for one in stored:
        try:
            raw = parse(one.body)
            if raw.get("type") == "release":
                releases.append((one, Release.from_dict(raw)))
                continue
            document = HoldDocument.from_dict(raw)
            if document.label != label or document.target != target:
                raise IntegrityError(f"it is a hold on {document.label} of {document.target}", hint=_HINT)
            holds.append(replace(document.hold(one.number), sha256=one.sha256))
        except IntegrityError as error:
            holds.append(_damaged(label, one, error))
    by_document = {hold.sha256: hold for hold in holds}
    for one, release in releases:
        hold = by_document.get(release.hold_sha256)
        try:
            _believe(label, target, release, trust)
        except IntegrityError as error:
            # It releases nothing; and it is shown, on what it wanted to release.
            hold = hold or _damaged(label, one, error)
            if hold.released_at is None:
                hold = replace(hold, damage=f"a release of it cannot be believed: {error.message}")
        else:
            if hold is None:
                continue  # of a hold that is not here: nothing to release
            hold = replace(
                hold, released_at=release.released_at, released_by=printable(release.who), damage=None
            )
        by_document[hold.sha256] = hold
    return tuple(by_document.values())


def _believe(label: BackupLabel, target: str, release: Release, trust: TrustedSigners) -> None:
    if release.label != label or release.target != target:
        raise IntegrityError(f"it is of {release.label} of {release.target}", hint="release the hold anew")
    trust.verify(release, role="proof")


def parse(body: bytes | None) -> dict[str, Any]:
    """A document's JSON object. :raises IntegrityError: it is none."""
    if body is None:
        raise IntegrityError(f"it has more than {MAX_BYTES} bytes", hint=_HINT)
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"it is not JSON ({len(body)} bytes)", hint=_HINT) from error
    if not isinstance(raw, dict):
        raise IntegrityError("it is not a JSON object", hint=_HINT)
    return raw


def _damaged(label: BackupLabel, stored: StoredHold, error: IntegrityError) -> Hold:
    return Hold(
        label=label,
        number=stored.number,
        reason=f"a document that cannot be believed: {error.message}",
        who="somebody unknown",
        placed_at=None,
        until=None,
        sha256=stored.sha256,
        damage=error.message,
    )
