"""Proofs in a repository: ``<target>/meta/proofs/<label>/<time>-<repository>.json``, believed when signed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError, ObjectMissingError
from backstop.model.backup import BackupLabel
from backstop.model.canonical import canonical_json
from backstop.model.proof import Proof
from backstop.repository.description import refuse_newer
from backstop.repository.manifest_files import json_object
from backstop.repository.published import Verifications

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backstop.crypto.signing import Signer, TrustedSigners
    from backstop.storage.base import Storage


class ProofRecords:
    """Those of one target in one storage."""

    def __init__(self, storage: Storage, target: str, *, trust: TrustedSigners) -> None:
        self._storage = storage
        self._target = target
        self._trust = trust
        self._prefix = f"{target}/meta/proofs/"

    def record(self, proof: Proof, *, signer: Signer) -> Proof:
        """Store a proof, signed by the verifier's key."""
        refuse_newer(self._storage)
        signed = signer.sign(proof)
        stamp = proof.finished_at.strftime("%Y%m%dT%H%M%S%fZ")
        key = f"{self._prefix}{proof.label}/{stamp}-{proof.repository_id}.json"
        self._storage.put_once(key, canonical_json(signed.to_dict()))
        return signed

    def keys(self) -> dict[BackupLabel, tuple[str, ...]]:
        """By backup, the keys of all there are: one listing instead of one a backup."""
        found: dict[BackupLabel, tuple[str, ...]] = {}
        for info in self._storage.list(self._prefix):
            name = info.key[len(self._prefix) :].partition("/")[0]
            with contextlib.suppress(ValueError):
                label = BackupLabel(name)
                found[label] = (*found.get(label, ()), info.key)
        return found

    def of(
        self,
        label: BackupLabel,
        *,
        repository_id: str,
        manifest_sha256: str,
        keys: Iterable[str] | None = None,
    ) -> Verifications:
        """Trusted proofs of exactly this manifest in this repository; damaged ones apart.

        :param keys: where :meth:`keys` found them; a proof that has gone since is left out.
        """
        if keys is None:
            keys = [info.key for info in self._storage.list(f"{self._prefix}{label}/")]
        proofs: list[Proof] = []
        unreadable: list[IntegrityError] = []
        for key in keys:
            try:
                proof = self._believed(key)
            except ObjectMissingError:
                continue
            except IntegrityError as error:
                unreadable.append(IntegrityError(f"proof {key}: {error.message}", hint=error.hint))
                continue
            if (
                proof.label == label
                and proof.target == self._target
                and proof.repository_id == repository_id
                and proof.manifest_sha256 == manifest_sha256
            ):
                proofs.append(proof)
        proofs.sort(key=lambda proof: proof.finished_at)
        return Verifications(tuple(proofs), tuple(unreadable))

    def _believed(self, key: str) -> Proof:
        proof = Proof.from_dict(json_object(self._storage.read(key), key))
        self._trust.verify(proof, role="proof")
        return proof
