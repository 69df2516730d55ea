"""Holds in a repository: ``<target>/meta/holds/<label>/<n>.json``, each put once, none rewritten or removed.

Placing a hold adds a document, and so does releasing one; they share one row of numbers. A document that
cannot be read counts as a hold in force, a release that cannot be believed as none.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backstop.errors import (
    BackupExpiringError,
    ConfigurationError,
    IntegrityError,
    NotFoundError,
    ObjectConflictError,
)
from backstop.model.backup import BackupLabel
from backstop.model.canonical import canonical_json, sha256_hex
from backstop.model.hold import Hold, HoldDocument, Release, printable, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from backstop.crypto.signing import Signer
    from backstop.repository.catalog import Repository

_MAX_BYTES = 64 * 1024


def new_hold(
    target: str, label: BackupLabel, *, reason: str, who: str, until: datetime | None, now: datetime
) -> HoldDocument:
    """A hold that lies nowhere yet; placed in several repositories it is the same one.

    :param until: None: until it is released.
    :raises ConfigurationError: no reason, nobody's, or over before it begins.
    """
    if until is not None and until.tzinfo is None:
        raise ConfigurationError(
            "the end of a hold needs a time zone", hint="write it as 2027-01-31T00:00:00Z"
        )
    if until is not None and until <= now:
        raise ConfigurationError(
            f"the hold on {label} would be over already", hint="name a later end, or none"
        )
    return HoldDocument(
        id=secrets.token_hex(8),
        label=label,
        target=target,
        reason=words(reason, "reason"),
        who=words(who, "name"),
        placed_at=now,
        until=until,
    )


@dataclass(frozen=True, slots=True)
class _Stored:
    """One document; ``body`` is None where it is too large to be one of ours."""

    number: int
    key: str
    body: bytes | None

    @property
    def sha256(self) -> str:
        return sha256_hex(self.key.encode() if self.body is None else self.body)


class Holds:
    """Those on one target's backups in one repository. Read anew at each call: expiry asks twice."""

    def __init__(self, repository: Repository) -> None:
        self._storage = repository.storage
        self._catalog = repository.catalog
        self._name = repository.name
        self._target = repository.catalog.target
        self._prefix = f"{self._target}/meta/holds/"

    def place(
        self, label: BackupLabel, *, reason: str, who: str, until: datetime | None, now: datetime
    ) -> Hold:
        """Keep the backup from expiring. See :meth:`add`, :func:`new_hold` for what is refused."""
        return self.add(new_hold(self._target, label, reason=reason, who=who, until=until, now=now))

    def add(self, document: HoldDocument) -> Hold:
        """Store a hold; one that is here already stays as it is.

        :raises NotFoundError: no such backup here.
        :raises BackupExpiringError: the backup is being expired at this moment.
        """
        label = document.label
        self._require(label)
        number = self._put(label, document.to_json())
        # Expiry first says what it is about to remove, then looks for holds, and we do it the other way
        # round: of two at once, at least one sees the other.
        self._require(label)
        return document.hold(number)

    def release(self, label: BackupLabel, number: int, *, who: str, now: datetime, signer: Signer) -> Hold:
        """Let the backup go, as far as this hold goes.

        :param signer: of proofs: what lets backups go must not be up to whoever can write them.
        :raises NotFoundError: no such hold here.
        """
        for hold in sorted(self.of(label), key=lambda one: one.released_at is not None):
            if hold.number == number:
                return self.release_same(label, hold.sha256, who=who, now=now, signer=signer)
        raise NotFoundError(
            f"{label} of {self._target} has no hold {number} in {self._name}",
            hint=f"see `python -m backstop holds --target {self._target}`",
        )

    def release_same(
        self, label: BackupLabel, sha256: str, *, who: str, now: datetime, signer: Signer
    ) -> Hold:
        """Release the hold with this document. :raises NotFoundError: it is not here."""
        hold = next((one for one in self.of(label) if one.sha256 == sha256), None)
        if hold is None:
            raise NotFoundError(
                f"{label} of {self._target} has no such hold in {self._name}",
                hint=f"see `python -m backstop holds --target {self._target}`",
            )
        if hold.released_at is not None:
            return hold
        release = signer.sign(
            Release(
                label=label,
                target=self._target,
                hold_sha256=sha256,
                who=words(who, "name"),
                released_at=now,
            )
        )
        # Believed here before it is stored: a stranger's word would lie there and do nothing.
        self._catalog.trust.verify(release, role="proof")
        self._put(label, canonical_json(release.to_dict()))
        return replace(hold, released_at=now, released_by=release.who)

    def of(self, label: BackupLabel) -> tuple[Hold, ...]:
        """Every hold there has been on this backup, in the order they came, released ones among them.

        :raises StorageError: the repository cannot be asked; then nothing may be expired.
        """
        return self._judge(label, self._stored(label))

    def all(self) -> Mapping[BackupLabel, tuple[Hold, ...]]:
        """Every hold on any backup of the target here, released ones among them.

        :raises IntegrityError: something lies there that names no backup, so nobody knows what it holds.
        """
        held, strays = self.survey()
        if strays:
            raise strays[0]
        return held

    def survey(self) -> tuple[Mapping[BackupLabel, tuple[Hold, ...]], tuple[IntegrityError, ...]]:
        """As :meth:`all`, with what names no backup apart: for people, who can see to it."""
        labels: set[BackupLabel] = set()
        strays: list[IntegrityError] = []
        for info in self._storage.list(self._prefix):
            name = info.key[len(self._prefix) :].partition("/")[0]
            if BackupLabel.is_one(name):
                labels.add(BackupLabel(name))
                continue
            strays.append(
                IntegrityError(
                    f"{self._storage.location}/{info.key} is a hold on no backup that could be",
                    hint="place what was meant with `python -m backstop hold`, then remove it by hand",
                )
            )
        return {label: self.of(label) for label in sorted(labels, key=str)}, tuple(strays)

    def in_force(self, now: datetime) -> Mapping[BackupLabel, tuple[Hold, ...]]:
        """Backups that must stay now because of a hold, and those holds. Raises as :meth:`all`."""
        held = {
            label: tuple(hold for hold in holds if hold.in_force(now)) for label, holds in self.all().items()
        }
        return {label: holds for label, holds in held.items() if holds}

    def documents(self, label: BackupLabel) -> tuple[bytes, ...]:
        """Holds and releases as they are stored, for another repository; see :meth:`adopt`."""
        return tuple(stored.body for stored in self._stored(label) if stored.body is not None)

    def adopt(self, label: BackupLabel, body: bytes) -> bool:
        """Store another repository's document, unless it is here. :returns: whether it was not."""
        if any(stored.body == body for stored in self._stored(label)):
            return False
        self._put(label, body)
        return True

    def _require(self, label: BackupLabel) -> None:
        if self._storage.stat(f"{self._target}/meta/expiring/{label}.json") is not None:
            raise BackupExpiringError(
                f"{label} of {self._target} is being expired in {self._name} at this moment",
                hint="run it again once that expiry has ended: it either stays, or is gone",
            )
        if not self._catalog.has(label):
            raise NotFoundError(
                f"no backup {label} of {self._target} in {self._name}: nothing to hold",
                hint=f"see `python -m backstop list --target {self._target} --all`",
            )

    def _put(self, label: BackupLabel, body: bytes) -> int:
        """Under the first number that nobody has. The same bytes again are the same document."""
        stored = self._stored(label)
        for one in stored:
            if one.body == body:
                return one.number
        number = max((one.number for one in stored), default=0) + 1
        while True:
            try:
                self._storage.put_once(f"{self._prefix}{label}/{number}.json", body)
            except ObjectConflictError:
                number += 1  # somebody else was quicker
            else:
                return number

    def _stored(self, label: BackupLabel) -> list[_Stored]:
        prefix = f"{self._prefix}{label}/"
        found: list[_Stored] = []
        for info in self._storage.list(prefix):
            name = info.key[len(prefix) :].removesuffix(".json")
            number = int(name) if name.isascii() and name.isdigit() else 0
            body = self._storage.read(info.key) if info.size_bytes <= _MAX_BYTES else None
            found.append(_Stored(number, info.key, body))
        return sorted(found, key=lambda one: one.number)

    def _judge(self, label: BackupLabel, stored: Sequence[_Stored]) -> tuple[Hold, ...]:
        holds: list[Hold] = []
        releases: list[tuple[_Stored, Release]] = []
        for one in stored:
            try:
                raw = _json(one.body)
                if raw.get("type") == "release":
                    releases.append((one, Release.from_dict(raw)))
                    continue
                document = HoldDocument.from_dict(raw)
                if document.label != label or document.target != self._target:
                    raise IntegrityError(f"it is a hold on {document.label} of {document.target}")
                holds.append(replace(document.hold(one.number), sha256=one.sha256))
            except IntegrityError as error:
                holds.append(_damaged(label, one, error))
        by_document = {hold.sha256: hold for hold in holds}
        for one, release in releases:
            hold = by_document.get(release.hold_sha256)
            try:
                self._believe(label, release)
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

    def _believe(self, label: BackupLabel, release: Release) -> None:
        if release.label != label or release.target != self._target:
            raise IntegrityError(f"it is of {release.label} of {release.target}")
        self._catalog.trust.verify(release, role="proof")


def _json(body: bytes | None) -> dict[str, Any]:
    if body is None:
        raise IntegrityError(f"it has more than {_MAX_BYTES} bytes")
    try:
        raw = json.loads(body)
    except ValueError as error:
        raise IntegrityError(f"it is not JSON ({len(body)} bytes)") from error
    if not isinstance(raw, dict):
        raise IntegrityError("it is not a JSON object")
    return raw


def _damaged(label: BackupLabel, stored: _Stored, error: IntegrityError) -> Hold:
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
