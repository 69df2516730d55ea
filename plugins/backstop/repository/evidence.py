"""Evidence in a repository: ``<target>/meta/evidence/<number>.json`` and the report that it names beside it.

Only ever added to. Each record names the bytes of the one before; :mod:`backstop.model.evidence_chain` says
what is wrong with what lies there.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.crypto.signing import UntrustedSignerError
from backstop.errors import IntegrityError, ObjectConflictError, ObjectMissingError, StorageUnavailableError
from backstop.model.canonical import canonical_json, sha256_hex
from backstop.model.evidence import BEFORE_THE_FIRST, ChainHead, EvidenceRecord
from backstop.model.evidence_chain import StoredRecord, number_in
from backstop.repository.description import refuse_newer
from backstop.repository.manifest_files import json_object
from backstop.repository.read_ahead import read_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from backstop.crypto.signing import DocumentSigner, TrustedSigners
    from backstop.model.evidence import EvidenceKind
    from backstop.repository.catalog import Repository
    from backstop.storage.base import ObjectInfo, Storage

_TRIES = 50
"""As many others may come in between."""
_MOST_BYTES = 64 * 1024 * 1024
"""Of a record, or a report. Whoever may write here could put more than a memory holds."""
_SKEW = timedelta(minutes=5)
"""By so much clocks of two machines may differ."""


class EvidenceChain:
    """That of one target in one repository."""

    def __init__(self, storage: Storage, target: str, *, repository_id: str, trust: TrustedSigners) -> None:
        self._storage = storage
        self._target = target
        self._repository_id = repository_id
        self._trust = trust
        self._prefix = f"{target}/meta/evidence/"

    @property
    def target(self) -> str:
        return self._target

    @property
    def repository_id(self) -> str:
        return self._repository_id

    @property
    def location(self) -> str:
        """For people; no secret."""
        return f"{self._storage.location}/{self._prefix}"

    def append(
        self,
        kind: EvidenceKind,
        subject: str,
        document: Mapping[str, Any],
        *,
        happened_at: datetime,
        now: datetime,
        signer: DocumentSigner,
        render: Callable[[EvidenceRecord], str] | None = None,
        heads: Mapping[str, ChainHead] | None = None,
    ) -> EvidenceRecord:
        """Put one more record there; several may do so at a time.

        :param render: makes the report, of a record that has its number, and no signature yet.
        :param heads: by repository id, the newest records elsewhere.
        :raises IntegrityError: nobody trusts this signer: nothing was written.
        :raises StorageError: it could not be written.
        """
        refuse_newer(self._storage)
        for _ in range(_TRIES):
            number, previous_sha256, recorded_at = self._place(now)
            record = EvidenceRecord(
                target=self._target,
                repository_id=self._repository_id,
                number=number,
                kind=kind,
                subject=subject,
                happened_at=happened_at,
                recorded_at=recorded_at,
                previous_sha256=previous_sha256,
                document=document,
                heads=heads or {},
            )
            report = render(record).encode() if render else b""
            if report:
                record = replace(record, report_sha256=sha256_hex(report))
            record = signer.sign(record)
            # What nobody would believe must not be what the next one builds on.
            self._trust.verify(record, role="proof")
            if report:
                # Report before record: a crash in between leaves a page that nobody refers to, never a
                # record whose page is missing.
                self._put_report(record, report)
            try:
                self._storage.put_once(f"{self._prefix}{record.name}", canonical_json(record.to_dict()))
            except ObjectConflictError:
                continue  # somebody else took the number: what they wrote is the one before ours now
            return record
        raise StorageUnavailableError(f"others kept adding to {self.location}: this record found no place")

    def head(self) -> ChainHead | None:
        """The newest record that is believed; None: there is none.

        What anybody could put behind it must not be what others miss when it is cleared away.
        """
        newest = self.newest()
        return newest.record.head if newest and newest.record else None

    def newest(self) -> StoredRecord | None:
        """The same, as it lies there."""
        for _, info in sorted(self._numbered(), key=lambda one: one[0], reverse=True):
            found = self._look(info)
            if found is not None and self.is_own(found):
                return found
        return None

    def head_at(self, number: int) -> ChainHead | None:
        """The record of that number; None: there is none."""
        try:
            return ChainHead(number, sha256_hex(self._storage.read(f"{self._prefix}{number:08d}.json")))
        except ObjectMissingError:
            return None

    def read(self, number: int) -> EvidenceRecord:
        """One record, its signature checked; what comes before it is not.

        :raises ObjectMissingError: no such record; :raises IntegrityError: it cannot be believed.
        """
        key = f"{self._prefix}{number:08d}.json"
        record = EvidenceRecord.from_dict(json_object(self._storage.read(key), key))
        self._trust.verify(record, role="proof")
        if record.target != self._target or record.repository_id != self._repository_id:
            raise IntegrityError(
                f"record {record.label} is of target {record.target} in repository {record.repository_id}",
                hint="it was moved here; see `python -m backstop evidence verify`",
            )
        return record

    def report(self, record: EvidenceRecord) -> bytes:
        """The page that the record names.

        :raises ObjectMissingError: it is gone, or there is none; :raises IntegrityError: it was changed.
        """
        if not record.report_sha256:
            raise ObjectMissingError(f"record {record.label} has no report", hint="show the record itself")
        body = self._storage.read(f"{self._prefix}{record.report_name}")
        if sha256_hex(body) != record.report_sha256:
            raise IntegrityError(
                f"the report of record {record.label} is not the one that was signed",
                hint="use the record itself, or the report in the other repository",
            )
        return body

    def believed(self) -> Iterator[EvidenceRecord]:
        """Every record of this chain that is signed and lies in its own place, oldest first. Whether others
        are missing, or cannot be believed, ``evidence verify`` says.
        """
        for one in self.entries():
            if one.believed is not None and self.is_own(one):
                yield one.believed

    def entries(self) -> list[StoredRecord]:
        """Everything there that is no report, read and hashed, in the order of names; nothing is left out."""
        infos = [info for info in self._infos() if not info.key.endswith(".html")]
        return [one for one in read_ahead(infos, self._look, name="evidence") if one is not None]

    def reports(self) -> dict[str, str]:
        """By name, the SHA-256 of every report there."""
        infos = [info for info in self._infos() if info.key.endswith(".html")]
        found = read_ahead(infos, self._hash_of, name="evidence")
        return {name[len(self._prefix) :]: sha256 for name, sha256 in found if sha256}

    def overwritten(self) -> dict[str, int]:
        """By name, how many versions the storage keeps of it, where that is more than one: a record or report
        is written once, so somebody wrote over it, or took it away.
        """
        counts: dict[str, int] = {}
        for version in self._storage.versions(self._prefix):
            name = version.key[len(self._prefix) :]
            counts[name] = counts.get(name, 0) + 1
        return {name: count for name, count in counts.items() if count > 1}

    def _put_report(self, record: EvidenceRecord, report: bytes) -> None:
        # An older one that was changed must not keep new evidence out: verification names it.
        self._storage.put_once(f"{self._prefix}{record.report_name}", report)

    def _place(self, now: datetime) -> tuple[int, str, datetime]:
        newest = self._newest()
        if newest is None:
            return 1, BEFORE_THE_FIRST, now
        number, body = newest
        recorded_at = now
        try:
            previous = EvidenceRecord.from_dict(json_object(body, f"record {number}"))
            self._trust.verify(previous, role="proof")
            # A clock a little behind the one before makes no record that looks back-dated.
            if now < previous.recorded_at <= now + _SKEW:
                recorded_at = previous.recorded_at
        except IntegrityError:
            pass  # damaged: the chain goes on from its bytes, and verification names it
        return number + 1, sha256_hex(body), recorded_at

    def _newest(self) -> tuple[int, bytes] | None:
        """What the next record is written after: the last one of a stretch without a hole in which one at
        least is believed, or which begins at the beginning.

        Whoever may only write to the repository could otherwise use up all numbers with a single file.
        """
        for _ in range(_TRIES):
            infos = dict(self._numbered())
            last = top = 0
            try:
                for number in sorted(infos, reverse=True):
                    if number != last - 1:
                        top = number
                    last = number
                    found = self._look(infos[number])
                    if found is None:
                        raise ObjectMissingError(f"record {number}", hint="it was taken away just now")
                    if number == 1 or self.is_own(found):
                        return top, self._storage.read(f"{self._prefix}{top:08d}.json")
            except ObjectMissingError:
                continue  # the listing knows by now
            return None
        raise StorageUnavailableError(f"the records in {self.location} do not stay as they are")

    def is_own(self, found: StoredRecord) -> bool:
        """Whether it is believed, and was written for this chain: a record of another target, or of another
        repository, is signed as well.
        """
        record = found.believed
        return record is not None and (record.target, record.repository_id) == (
            self._target,
            self._repository_id,
        )

    def _numbered(self) -> Iterator[tuple[int, ObjectInfo]]:
        for info in self._infos():
            if number := number_in(self._name(info)):
                yield number, info

    def _infos(self) -> Iterator[ObjectInfo]:
        return iter(self._storage.list(self._prefix))

    def _name(self, info: ObjectInfo) -> str:
        return info.key[len(self._prefix) :]

    def _hash_of(self, info: ObjectInfo) -> tuple[str, str]:
        if info.size_bytes > _MOST_BYTES:
            return info.key, "larger than any report"
        try:
            return info.key, sha256_hex(self._storage.read(info.key))
        except ObjectMissingError:
            return info.key, ""

    def _look(self, info: ObjectInfo) -> StoredRecord | None:
        name = self._name(info)
        if info.size_bytes > _MOST_BYTES:
            return StoredRecord(name, "", info.modified_at, None, doubt="it is larger than any record")
        try:
            body = self._storage.read(info.key)
        except ObjectMissingError:
            return None
        sha256 = sha256_hex(body)
        try:
            record = EvidenceRecord.from_dict(json_object(body, name))
        except IntegrityError as error:
            return StoredRecord(name, sha256, info.modified_at, None, doubt=error.message)
        doubt, stranger = "", False
        try:
            self._trust.verify(record, role="proof")
            if canonical_json(record.to_dict()) != body:
                doubt = "says more or other things than what was signed"
        except IntegrityError as error:
            doubt, stranger = error.message, isinstance(error, UntrustedSignerError)
        return StoredRecord(name, sha256, info.modified_at, record, doubt=doubt, stranger=stranger)


def evidence_of(repository: Repository) -> EvidenceChain:
    """The chain of a repository's target there.

    :raises NotFoundError: it is no repository yet; :raises StorageUnavailableError: it does not answer.
    """
    catalog = repository.catalog
    return EvidenceChain(
        repository.storage, catalog.target, repository_id=catalog.repository_id(), trust=catalog.trust
    )
