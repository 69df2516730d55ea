"""Drops that somebody has looked at: ``<target>/meta/accepted/<label>.json``, put once.

One that cannot be believed counts as not there: expiry then waits, as it did before.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError, NotFoundError, ObjectConflictError
from backstop.model.acceptance import Acceptance
from backstop.model.backup import BackupLabel
from backstop.model.canonical import canonical_json
from backstop.model.hold import words
from backstop.repository.description import refuse_newer

if TYPE_CHECKING:
    from datetime import datetime

    from backstop.crypto.signing import Signer
    from backstop.repository.catalog import Repository

log = logging.getLogger(__name__)


class Acceptances:
    """Those of one target in one repository."""

    def __init__(self, repository: Repository) -> None:
        self._storage = repository.storage
        self._catalog = repository.catalog
        self._name = repository.name
        self._prefix = f"{repository.catalog.target}/meta/accepted/"

    def accept(self, label: BackupLabel, *, who: str, now: datetime, signer: Signer) -> None:
        """Store that the drop in this backup is meant; once it is, again is success.

        :param signer: of proofs.
        :raises NotFoundError: no such backup here.
        """
        if not self._catalog.has(label):
            raise NotFoundError(
                f"no backup {label} of {self._catalog.target} in {self._name}: nothing to accept",
                hint=f"see `python -m backstop list --target {self._catalog.target} --all`",
            )
        if self._is_accepted(label):
            return
        refuse_newer(self._storage)
        said = signer.sign(
            Acceptance(label=label, target=self._catalog.target, who=words(who, "name"), accepted_at=now)
        )
        self._catalog.trust.verify(said, role="proof")
        try:
            self._storage.put_once(f"{self._prefix}{label}.json", canonical_json(said.to_dict()))
        except ObjectConflictError:
            if not self._is_accepted(label):  # else somebody else was quicker
                raise

    def labels(self) -> frozenset[BackupLabel]:
        """Backups whose drop was accepted by somebody we trust."""
        names = [
            info.key[len(self._prefix) :].removesuffix(".json") for info in self._storage.list(self._prefix)
        ]
        known = [BackupLabel(name) for name in names if BackupLabel.is_one(name)]
        return frozenset(label for label in known if self._is_accepted(label))

    def _is_accepted(self, label: BackupLabel) -> bool:
        key = f"{self._prefix}{label}.json"
        try:
            raw = json.loads(self._storage.read(key))
            said = Acceptance.from_dict(raw if isinstance(raw, dict) else {})
            self._catalog.trust.verify(said, role="proof")
        except NotFoundError:
            return False
        except (IntegrityError, ValueError, RecursionError) as error:
            log.warning("%s/%s accepts nothing: %s", self._storage.location, key, error)
            return False
        return said.label == label and said.target == self._catalog.target
