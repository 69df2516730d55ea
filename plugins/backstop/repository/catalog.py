"""What backups a repository holds: manifests and proofs, published once, read only when signed."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from backstop.errors import IntegrityError, NotFoundError, ObjectConflictError, ObjectMissingError
from backstop.model.backup import BackupLabel, Manifest
from backstop.model.canonical import canonical_json, sha256_hex
from backstop.model.format_version import REPOSITORY_FORMAT
from backstop.model.words import printable
from backstop.repository.description import REPOSITORY_KEY, Description
from backstop.repository.locks import BackupLocks
from backstop.repository.manifest_files import is_wanted, json_object, label_of
from backstop.repository.proof_records import ProofRecords
from backstop.repository.published import (
    Listing,
    Published,
    UnreadableManifestError,
    Verifications,
    is_proven,
)
from backstop.repository.read_ahead import read_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from backstop.crypto.signing import Signer, TrustedSigners
    from backstop.model.evidence import EvidenceRecord
    from backstop.model.legacy_proof import LegacyProof
    from backstop.model.proof import Proof
    from backstop.storage.base import Storage, Undeleted

__all__ = [
    "REPOSITORY_KEY",
    "Catalog",
    "Listing",
    "Published",
    "Repository",
    "UnreadableManifestError",
    "Verifications",
    "in_repository",
    "is_proven",
]


class Catalog:
    """Manifests and proofs of one target in one storage."""

    def __init__(self, storage: Storage, target: str, *, trust: TrustedSigners) -> None:
        self._storage = storage
        self._target = target
        self._trust = trust
        self._proofs = ProofRecords(storage, target, trust=trust)
        self._repository_id: str | None = None

    @property
    def target(self) -> str:
        return self._target

    @property
    def trust(self) -> TrustedSigners:
        """Whom manifests, proofs and releases of holds are believed."""
        return self._trust

    def repository_id(self, *, create: bool = False) -> str:
        """The id in ``repository.json``; with ``create``, an empty place is made a repository first.

        :raises NotFoundError: nothing there that says it is a repository.
        :raises FormatTooNewError: a newer Backstop has raised its version; :raises IntegrityError: damaged.
        """
        if self._repository_id is None:
            self._repository_id = self._read_repository_id(create=create)
        return self._repository_id

    def _read_repository_id(self, *, create: bool) -> str:
        try:
            return Description.read(self._storage).id
        except ObjectMissingError:
            if not create:
                raise NotFoundError(
                    f"{self._storage.location} is not a Backstop repository: no {REPOSITORY_KEY}",
                    hint="check its path, bucket and prefix in targets.yaml; the first backup creates it",
                ) from None
        self._refuse_to_orphan()
        document = {"format": REPOSITORY_FORMAT, "id": secrets.token_hex(8)}
        # Another first backup may have been quicker; its id is read below.
        with contextlib.suppress(ObjectConflictError):
            self._storage.put_once(REPOSITORY_KEY, canonical_json(document))
        return Description.read(self._storage).id

    def _refuse_to_orphan(self) -> None:
        """Every manifest names its repository's id: under a new one none of them would be believed."""
        for info in self._storage.list(f"{self._target}/meta/manifests/"):
            known = "the id that its manifests name"
            with contextlib.suppress(IntegrityError, ObjectMissingError, KeyError):
                known = printable(str(json_object(self._storage.read(info.key), info.key)["repository_id"]))
            raise IntegrityError(
                f"{self._storage.location} holds backups of {self._target}, but its {REPOSITORY_KEY} is gone",
                hint=f'put it back: {{"format": {REPOSITORY_FORMAT}, "id": "{known}"}}',
            )

    def manifest_key(self, label: BackupLabel) -> str:
        """Where its manifest lies, or would."""
        return f"{self._target}/meta/manifests/{label}.json"

    def publish(self, manifest: Manifest, *, signer: Signer, ensure_held: Callable[[], None]) -> Published:
        """Make a backup exist. Its payload must be durable already.

        :param ensure_held: raises when our lease is not the newest any more.
        :raises ObjectConflictError: another backup has this label.
        :raises StorageError: something that it refers to cannot be locked as long as it will be.
        """
        signed = signer.sign(manifest)
        body = canonical_json(signed.to_dict())
        locks = BackupLocks(self._storage, self)
        # The lease is checked last before the manifest: a holder that slept through its own expiry
        # must not publish beside its successor.
        locked_on = locks.before_publishing(manifest)
        ensure_held()
        self._storage.put_once(self.manifest_key(manifest.label), body)
        if locked_on is not None:
            locks.manifest(manifest.label, locked_on)
        return Published(signed, sha256_hex(body))

    def has(self, label: BackupLabel) -> bool:
        """Whether the label is taken here, by a readable manifest or a damaged one."""
        return self._storage.stat(self.manifest_key(label)) is not None

    def backup(self, label: BackupLabel) -> Published:
        """One backup, its signature checked.

        :raises NotFoundError: no such backup here; :raises IntegrityError: damaged or untrusted.
        """
        key = self.manifest_key(label)
        try:
            body = self._storage.read(key)
        except ObjectMissingError:
            raise NotFoundError(
                f"no backup {label} of {self._target} in {self._storage.location}",
                hint=f"see `python -m backstop list --target {self._target}`",
            ) from None
        return self._believed(body, label, where=f"{self._storage.location}/{key}")

    def same(self, label: BackupLabel, sha256: str) -> Published:
        """A manifest that was believed a while ago, read again: the same bytes need no second check.

        :raises NotFoundError: it has gone; :raises IntegrityError: it is another one by now.
        """
        key = self.manifest_key(label)
        body = self._storage.read(key)
        if sha256_hex(body) != sha256:
            raise IntegrityError(
                f"{self._storage.location}/{key} is not what it was a while ago",
                hint="it was changed meanwhile; run again",
            )
        return Published(Manifest.from_dict(json_object(body, key)), sha256)

    def manifest_within(self, body: bytes, label: BackupLabel, *, where: str) -> Published:
        """The manifest that another document holds as ``manifest``, judged as if it lay in its own place.

        :raises IntegrityError: damaged, untrusted, or of another backup or repository.
        """
        manifest = json_object(body, where).get("manifest")
        if not isinstance(manifest, dict):
            raise IntegrityError(f"{where} holds no manifest", hint="it was damaged; remove it by hand")
        try:
            body = canonical_json(manifest)
        except ValueError as error:  # JSON has numbers and characters that we never write
            raise IntegrityError(f"{where} is malformed", hint="it was damaged; remove it by hand") from error
        return self._believed(body, label, where=where)

    def _believed(self, body: bytes, label: BackupLabel, *, where: str) -> Published:
        document = json_object(body, where)
        manifest = Manifest.from_dict(document)
        if manifest.label != label or manifest.target != self._target:
            raise IntegrityError(
                f"{where} is the manifest of {manifest.label} of {manifest.target}",
                hint="somebody moved manifests; restore from the other repository",
            )
        if manifest.repository_id != self.repository_id():
            raise IntegrityError(
                f"{where} was published in repository {manifest.repository_id}, "
                f"and this is {self.repository_id()}",
                hint="objects were copied by hand; restore from the repository that it names",
            )
        try:
            written = canonical_json(manifest.to_dict())
        except (TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(
                f"{where} is malformed ({type(error).__name__})",
                hint="it was changed; use the copy in the other repository",
            ) from error
        self._trust.verify(manifest, role="manifest", written=written)
        if written != body:
            # The signature covers what we read; a reader of other fields, or by hand, might be misled.
            raise IntegrityError(
                f"{where} says more or other things than what was signed",
                hint="it was changed; use the copy in the other repository",
            )
        return Published(manifest, sha256_hex(body))

    def withdraw(self, label: BackupLabel) -> tuple[Undeleted, ...]:
        """Take the manifest away: from then on there is no such backup here. Its payload stays.

        :returns: versions of it that the storage has locked: then the backup is still there.
        """
        doomed = list(self._storage.versions_of(self.manifest_key(label)))
        return self._storage.delete_many((one.key, one.version_id) for one in doomed)

    def put_back(self, published: Published) -> None:
        """Undo :meth:`withdraw`, while all of its payload is there."""
        self._storage.put_once(
            self.manifest_key(published.manifest.label), canonical_json(published.manifest.to_dict())
        )

    def backups(self) -> Listing:
        """Every backup here, oldest first by ``finished_at``; damaged manifests apart."""
        found: list[Published] = []
        unreadable: list[IntegrityError] = []
        for one in self.each():
            if isinstance(one, IntegrityError):
                unreadable.append(one)
            else:
                found.append(one)
        found.sort(key=lambda published: published.manifest.finished_at)
        return Listing(tuple(found), tuple(unreadable))

    def each(
        self, *, wanted: Callable[[BackupLabel], bool] = lambda label: True
    ) -> Iterator[Published | UnreadableManifestError]:
        """Every backup here, read several at a time and not kept, in the order of names; of a manifest that
        is damaged, trusted by nobody or oddly named its error. One that is removed meanwhile is left out.

        :param wanted: by the label alone, before anything is read; oddly named ones always come.
        """
        looked = read_ahead(self._names(wanted), self._look, name="manifest")
        return (one for one in looked if one is not None)

    def _names(self, wanted: Callable[[BackupLabel], bool]) -> Iterator[str]:
        prefix = f"{self._target}/meta/manifests/"
        for info in self._storage.list(prefix):
            name = info.key[len(prefix) :]
            self.repository_id()  # Not in the threads, where its absence would pass for a removed backup.
            if is_wanted(name, wanted):
                yield name

    def _look(self, name: str) -> Published | UnreadableManifestError | None:
        label: BackupLabel | None = None
        try:
            label = label_of(name, self._storage.location)
            return self.backup(label)
        except NotFoundError:
            return None
        except IntegrityError as error:
            return UnreadableManifestError(error.message, hint=error.hint, label=label)

    def labels(self) -> Iterator[tuple[BackupLabel, datetime]]:
        """Every label that is taken here, and when, by the storage's clock, it was. No manifest is read."""
        prefix = f"{self._target}/meta/manifests/"
        for info in self._storage.list(prefix):
            with contextlib.suppress(IntegrityError):
                yield label_of(info.key[len(prefix) :], self._storage.location), info.modified_at

    @property
    def proof_records(self) -> ProofRecords:
        """All proofs of the target here, whatever they are of."""
        return self._proofs

    def record_proof(self, proof: Proof, *, signer: Signer) -> Proof:
        """Store a proof, signed by the verifier's key."""
        return self._proofs.record(proof, signer=signer)

    def proofs(self, published: Published) -> tuple[Proof, ...]:
        """Trusted proofs of exactly this manifest in this repository, oldest first.

        :raises IntegrityError: a proof is damaged, or signed by nobody we trust.
        """
        found = self.verifications(published)
        if found.unreadable:
            raise found.unreadable[0]
        return found.proofs

    def verifications(self, published: Published) -> Verifications:
        """Trusted proofs of exactly this manifest in this repository; damaged ones apart."""
        manifest = published.manifest
        return self._proofs.of(
            manifest.label, repository_id=manifest.repository_id, manifest_sha256=published.sha256
        )


class EvidenceBook(Protocol):
    """Makes evidence of proofs (:mod:`backstop.commands.evidence.book`)."""

    def enter_proof(self, repository: Repository, proof: Proof | LegacyProof, *, now: datetime) -> list[str]:
        """Never raises: what could not be done comes back in sentences."""
        ...

    def enter_again(self, repository: Repository, record: EvidenceRecord, *, now: datetime) -> list[str]:
        """The same of what another repository's record tells of."""
        ...


@dataclass(frozen=True, slots=True)
class Repository:
    """A place where a target's backups live: its name in targets.yaml, its bytes, its catalogue.

    :param evidence: makes evidence of every proof that is recorded here; None: nobody keeps any.
    """

    name: str
    storage: Storage = field(repr=False)
    catalog: Catalog = field(repr=False)
    evidence: EvidenceBook | None = field(default=None, repr=False, compare=False)

    @property
    def location(self) -> str:
        return self.storage.location


def in_repository(
    manifest: Manifest, *, repository_id: str, epoch: int, version_ids: Mapping[str, str | None]
) -> Manifest:
    """The same backup as it lies in one repository.

    :param epoch: of our lease there; :param version_ids: object key to version id there.
    """
    return replace(
        manifest,
        repository_id=repository_id,
        epoch=epoch,
        objects=tuple(replace(stored, version_id=version_ids[stored.key]) for stored in manifest.objects),
    )
