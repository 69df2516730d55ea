"""What a repository records of legacy backups: proofs of restores, and whose place each new backup took.

``<target>/meta/legacy/proofs/<sha256 of the file>/<utc>.json`` and
``<target>/meta/legacy/retired/<label>.json``, each put once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.backup import BackupLabel
from backstop.model.canonical import canonical_json, format_time
from backstop.model.format_version import known_version
from backstop.model.legacy_proof import LegacyProof
from backstop.repository.description import refuse_newer

if TYPE_CHECKING:
    from backstop.crypto.signing import Signer, TrustedSigners
    from backstop.model.legacy import LegacyBackup
    from backstop.repository.catalog import Repository

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class LegacyRecords:
    """Of one target in one repository."""

    repository: Repository
    trust: TrustedSigners

    def proofs(self) -> tuple[list[LegacyProof], list[IntegrityError]]:
        """Trusted ones, oldest first; and one error for each that is damaged or signed by nobody we trust."""
        found: list[LegacyProof] = []
        unreadable: list[IntegrityError] = []
        own = self.repository.catalog.repository_id()
        for info in self.repository.storage.list(f"{self._prefix}proofs/"):
            try:
                proof = LegacyProof.from_dict(self._read(info.key))
                self.trust.verify(proof, role="proof")
            except IntegrityError as error:
                unreadable.append(IntegrityError(f"{info.key}: {error.message}", hint=error.hint))
                continue
            if proof.target == self.repository.catalog.target and proof.repository_id == own:
                found.append(proof)
        return sorted(found, key=lambda proof: proof.finished_at), unreadable

    def record(self, proof: LegacyProof, *, signer: Signer) -> LegacyProof:
        """Store a proof, signed by the verifier's key."""
        refuse_newer(self.repository.storage)
        signed = signer.sign(proof)
        stamp = proof.finished_at.strftime("%Y%m%dT%H%M%S%fZ")
        key = f"{self._prefix}proofs/{proof.file_sha256}/{stamp}.json"
        self.repository.storage.put_once(key, canonical_json(signed.to_dict()))
        return signed

    def places_taken(self) -> dict[BackupLabel, dict[str, Any]]:
        """By new backup, the file whose place it has been given: ``kind``, ``name`` and what tells it apart.

        :raises IntegrityError: a record is damaged; nothing more is retired until somebody looked.
        """
        taken = {}
        prefix = f"{self._prefix}retired/"
        for info in self.repository.storage.list(prefix):
            try:
                label = BackupLabel(info.key[len(prefix) :].removesuffix(".json"))
                record = self._read(info.key)
                known_version(record, what=f"{self.repository.location}/{info.key}")
                words = {name: str(record[name]) for name in ("kind", "name", "modified_at")}
                taken[label] = {**record, **words, "size_bytes": int(record["size_bytes"])}
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise IntegrityError(
                    f"{self.repository.location}/{info.key} says of no file that it was retired: {error}",
                    hint="nothing more is retired meanwhile; look who wrote it, then remove it by hand",
                ) from error
        return taken

    def give_place(self, backup: LegacyBackup, label: BackupLabel) -> None:
        """Record that this new backup takes the place of that file, before the file goes.

        :raises ObjectConflictError: it has taken another one's place already.
        """
        document = {
            "format": _FORMAT,
            "kind": backup.kind,
            "location": backup.location,
            "modified_at": format_time(backup.modified_at),
            "name": backup.name,
            "size_bytes": backup.size_bytes,
        }
        refuse_newer(self.repository.storage)
        self.repository.storage.put_once(f"{self._prefix}retired/{label}.json", canonical_json(document))

    @property
    def _prefix(self) -> str:
        return f"{self.repository.catalog.target}/meta/legacy/"

    def _read(self, key: str) -> dict[str, Any]:
        try:
            document = json.loads(self.repository.storage.read(key))
        except (ValueError, RecursionError) as error:
            raise IntegrityError(f"{key} is not JSON", hint="verify the legacy backup again") from error
        if not isinstance(document, dict):
            raise IntegrityError(f"{key} is not a JSON object", hint="verify the legacy backup again")
        return document
