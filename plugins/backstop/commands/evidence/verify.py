"""``evidence verify``: every chain of a target, judged by what lies there and what others remember of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.commands.evidence.heads import heads_in_records
from backstop.commands.evidence.proofs import judge_proofs, stored_proofs
from backstop.errors import BackstopError, NotFoundError, StorageError
from backstop.model.evidence import ChainHead
from backstop.model.evidence_chain import EvidenceFault, FaultKind, KnownHead, judge_chain
from backstop.repository.evidence import evidence_of
from backstop.repository.evidence_heads import known_heads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from backstop.model.evidence import EvidenceRecord
    from backstop.model.evidence_chain import StoredRecord
    from backstop.repository.catalog import Repository
    from backstop.repository.evidence import EvidenceChain
    from backstop.repository.inventory import Inventory


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """One chain.

    :param records: those that are believed, oldest first. :param head: the newest that is believed.
    :param remarks: sentences about what is no fault.
    """

    repository: Repository
    repository_id: str
    records: tuple[EvidenceRecord, ...]
    head: ChainHead | None
    faults: tuple[EvidenceFault, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvidenceVerdict:
    """A target's. :param unread: by the name of the repository, why it could not be judged.

    :param remarks: such as an inventory that does not answer.
    """

    target: str
    chains: tuple[ChainVerdict, ...]
    unread: Mapping[str, BackstopError]
    lost: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Nothing was found. What could not be read is not judged by it."""
        return not self.lost and not any(chain.faults for chain in self.chains)

    @property
    def heads(self) -> dict[str, ChainHead]:
        """By repository id: to be kept somewhere else."""
        return {chain.repository_id: chain.head for chain in self.chains if chain.head is not None}

    def sentences(self) -> list[str]:
        """Every fault, with its repository."""
        return [
            *self.lost,
            *(f"{one.repository.name}: {fault.sentence}" for one in self.chains for fault in one.faults),
        ]


def verify_evidence(
    repositories: Sequence[Repository],
    *,
    target: str,
    inventory: Inventory | None = None,
    now: datetime,
    kept: Mapping[str, KnownHead] | None = None,
) -> EvidenceVerdict:
    """Judge the target's chain in each of these repositories. Nothing is changed.

    Records that somebody adds meanwhile are no fault.

    :param kept: by repository id, what somebody kept of an earlier export or verification.
    """
    read: list[tuple[Repository, EvidenceChain, list[StoredRecord]]] = []
    unread: dict[str, BackstopError] = {}
    known: dict[str, list[KnownHead]] = {}
    for repository in repositories:
        try:
            chain = evidence_of(repository)
            entries = chain.entries()
        except BackstopError as error:
            unread[repository.name] = error
            continue
        read.append((repository, chain, entries))
        own = [one for one in entries if chain.is_own(one)]
        for repository_id, heads in heads_in_records(own, where=repository.name).items():
            known.setdefault(repository_id, []).extend(heads)
    remarks: list[str] = []
    for repository_id, head in _in_inventory(inventory, target, remarks).items():
        known.setdefault(repository_id, []).append(KnownHead(head, "the inventory"))
    for repository_id, one in (kept or {}).items():
        known.setdefault(repository_id, []).append(one)
    chains: list[ChainVerdict] = []
    for repository, chain, entries in read:
        try:
            heads = _not_newer(chain, entries, known.get(chain.repository_id, ()))
            chains.append(_judge(repository, chain, entries, heads, now))
        except StorageError as error:
            unread[repository.name] = error
    names: dict[str, list[str]] = {}
    for repository, chain, _ in read:
        names.setdefault(chain.repository_id, []).append(repository.name)
    lost = (*_copies(names), *_lost(known, names, unread))
    return EvidenceVerdict(target, tuple(chains), unread, lost, tuple(remarks))


def _judge(
    repository: Repository,
    chain: EvidenceChain,
    entries: list[StoredRecord],
    known: Sequence[KnownHead],
    now: datetime,
) -> ChainVerdict:
    own = [one for one in entries if chain.is_own(one)]
    records = tuple(record for one in own if (record := one.believed) is not None)
    remarks: list[str] = []
    faults = list(
        judge_chain(
            entries,
            target=chain.target,
            repository_id=chain.repository_id,
            known=known,
            reports=chain.reports(),
            overwritten=_overwritten(chain, remarks),
        )
    )
    proofs, said = judge_proofs(repository, stored_proofs(repository), records, now=now)
    faults += _softer_signatures(records)
    newest = max(own, key=lambda one: one.number or 0, default=None)
    head = ChainHead(newest.number or 0, newest.sha256) if newest else None
    return ChainVerdict(repository, chain.repository_id, records, head, (*faults, *proofs), (*remarks, *said))


def _not_newer(
    chain: EvidenceChain, entries: Sequence[StoredRecord], known: Sequence[KnownHead]
) -> list[KnownHead]:
    """Without what was added after the chain was read."""
    newest = max((one.number or 0 for one in entries if chain.is_own(one)), default=0)
    return [one for one in known if one.head.number <= newest or chain.head_at(one.head.number) != one.head]


def _softer_signatures(records: Sequence[EvidenceRecord]) -> list[EvidenceFault]:
    """Once KMS signs, a key that lies in a file should sign no more: who took it could go on by it."""
    since: EvidenceRecord | None = None
    found = []
    for record in records:
        algorithm = record.signature.algorithm if record.signature else ""
        if algorithm != "ed25519":
            since = since or record
        elif since is not None:
            found.append(
                EvidenceFault(
                    FaultKind.UNTRUSTED,
                    record.number,
                    f"record {record.label} is signed by a key in a file, though AWS KMS has signed "
                    f"from record {since.number} on",
                )
            )
    return found


def _overwritten(chain: EvidenceChain, remarks: list[str]) -> dict[str, int]:
    try:
        return chain.overwritten()
    except StorageError as error:
        remarks.append(f"whether anything was written over was not looked at: {error.message}")
        return {}


def _in_inventory(inventory: Inventory | None, target: str, remarks: list[str]) -> Mapping[str, ChainHead]:
    if inventory is None:
        return {}
    try:
        return known_heads(inventory.connection, target)
    except BackstopError as error:
        remarks.append(f"what the inventory remembers was not looked at: {error.message}")
        return {}


def _copies(names: Mapping[str, Sequence[str]]) -> list[str]:
    """Repositories that cannot witness for each other. :param names: by repository id."""
    return [
        f"repositories {' and '.join(same)} have the same id, {repository_id}: one is a copy of the "
        "other, or both are one"
        for repository_id, same in sorted(names.items())
        if len(same) > 1
    ]


def _lost(
    known: Mapping[str, Sequence[KnownHead]],
    read: Mapping[str, object],
    unread: Mapping[str, BackstopError],
) -> tuple[str, ...]:
    """Chains that somebody remembers, where no repository has their id any more."""
    if any(not isinstance(error, NotFoundError) for error in unread.values()):
        return ()  # it may be one of those that do not answer
    found = []
    for repository_id, heads in sorted(known.items()):
        if repository_id not in read:
            newest = max(heads, key=lambda one: one.head.number)
            found.append(
                f"no repository of the target has the id {repository_id}, of whose chain {newest.who} knows "
                f"record {newest.head.number}"
            )
    return tuple(found)
