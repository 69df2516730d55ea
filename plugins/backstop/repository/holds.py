"""Holds in a repository: ``<target>/meta/holds/<label>/<n>.json``, each put once, none rewritten or removed.

Placing a hold adds a document, and so does releasing one; they share one row of numbers. A document that
cannot be read counts as a hold in force, a release that cannot be believed as none.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from backstop.errors import (
    BackupExpiringError,
    ConfigurationError,
    IntegrityError,
    NotFoundError,
    ObjectConflictError,
    ObjectMissingError,
)
from backstop.model.backup import BackupLabel
from backstop.model.canonical import canonical_json
from backstop.model.hold import HoldDocument, Release, words
from backstop.repository.description import refuse_newer
from backstop.repository.hold_documents import MAX_BYTES, StoredHold, judge, parse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from backstop.crypto.signing import Signer
    from backstop.model.hold import Hold
    from backstop.repository.catalog import Repository


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
        :raises BackupExpiringError: its expiry has begun. If the backup was still there the hold is stored,
            and expiry that sees it in time keeps the backup; the error says that nobody knows yet.
        """
        label = document.label
        if not self._catalog.has(label):
            raise self._absence(label)
        number = self._put(label, document.to_json())
        # Expiry first says what it is about to remove, then looks for holds, and we do it the other way
        # round: of two at once, at least one sees the other.
        if self._is_expiring(label):
            raise BackupExpiringError(
                f"expiry of {label} of {self._target} in {self._name} had begun when the hold was placed",
                hint="run `expire` there, then look: the backup has stayed, or is gone",
            )
        if not self._catalog.has(label):
            raise self._absence(label)
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
        return judge(label, self._target, self._stored(label), trust=self._catalog.trust)

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

    def document(self, label: BackupLabel, sha256: str) -> HoldDocument | None:
        """A hold as it is stored, to be placed in another repository too; None: it cannot be read here."""
        for stored in self._stored(label):
            if stored.sha256 == sha256:
                return HoldDocument.from_dict(parse(stored.body))
        return None

    def documents(self, label: BackupLabel) -> tuple[bytes, ...]:
        """Holds and releases as they are stored, for another repository; see :meth:`adopt`."""
        return tuple(stored.body for stored in self._stored(label) if stored.body is not None)

    def adopt(self, label: BackupLabel, body: bytes) -> bool:
        """Store another repository's document, unless it is here. :returns: whether it was not."""
        if any(stored.body == body for stored in self._stored(label)):
            return False
        self._put(label, body)
        return True

    def _is_expiring(self, label: BackupLabel) -> bool:
        return self._storage.stat(f"{self._target}/meta/expiring/{label}.json") is not None

    def _absence(self, label: BackupLabel) -> BackupExpiringError | NotFoundError:
        if self._is_expiring(label):
            return BackupExpiringError(f"{label} of {self._target} is being removed from {self._name}")
        return NotFoundError(
            f"no backup {label} of {self._target} in {self._name}: nothing to hold",
            hint=f"see `python -m backstop list --target {self._target} --all`",
        )

    def _put(self, label: BackupLabel, body: bytes) -> int:
        """Under the first number that nobody has. The same bytes again are the same document."""
        refuse_newer(self._storage)
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

    def _stored(self, label: BackupLabel) -> list[StoredHold]:
        prefix = f"{self._prefix}{label}/"
        found: list[StoredHold] = []
        for info in self._storage.list(prefix):
            name = info.key[len(prefix) :].removesuffix(".json")
            number = int(name) if name.isascii() and name.isdigit() else 0
            try:
                body = self._storage.read(info.key) if info.size_bytes <= MAX_BYTES else None
            except ObjectMissingError:
                continue  # it has just gone with its backup
            found.append(StoredHold(number, info.key, body))
        return sorted(found, key=lambda one: one.number)
