"""What is wrong with a chain of evidence, record by record. Pure.

A fault names the record and what was done to it as far as that can be told. What a change breaks behind it
(the next record's hash) is not told twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from backstop.model.canonical import format_time
from backstop.model.evidence import BEFORE_THE_FIRST
from backstop.model.file_tree import shown_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from backstop.model.evidence import ChainHead, EvidenceRecord

_NAME = re.compile(r"(?P<number>\d{8})\.json", re.ASCII)
CLOCKS_MAY_DIFFER = timedelta(minutes=15)
"""Between who wrote a record and the storage, and for the time a write takes."""


_SINGLY = 100
"""So many missing records in a row are named one by one."""


class FaultKind(str, Enum):
    """What was done."""

    CHANGED = "changed"
    UNREADABLE = "unreadable"
    UNTRUSTED = "untrusted"
    """Not signed, or by a stranger, or by a key that signs other things."""
    MISSING = "missing"
    MISPLACED = "misplaced"
    """It lies under another number than its own: reordered."""
    FOREIGN = "foreign"
    """Of another target, or another repository."""
    DUPLICATED = "duplicated"
    INSERTED = "inserted"
    """Something is where no record is, or two neighbours do not know each other."""
    BACK_DATED = "back-dated"
    POST_DATED = "post-dated"
    OVERWRITTEN = "overwritten"
    REPORT = "report"
    """The page beside a record is missing, or is not the one that was signed."""
    UNCHAINED_PROOF = "proof without evidence"
    LOST_PROOF = "proof gone"


@dataclass(frozen=True, slots=True)
class EvidenceFault:
    """One finding. :param number: of the record; None: it is about none. :param sentence: for people."""

    kind: FaultKind
    number: int | None
    sentence: str


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A file of a chain as it lies there.

    :param stored_at: by the storage's clock. :param record: None: it cannot be read.
    :param doubt: why it is not believed; empty: its signature is one we trust.
    :param stranger: it is not believed because of who signed it, or nobody did.
    """

    name: str
    sha256: str
    stored_at: datetime
    record: EvidenceRecord | None
    doubt: str = ""
    stranger: bool = False

    @property
    def number(self) -> int | None:
        """By its name."""
        return number_in(self.name)

    @property
    def believed(self) -> EvidenceRecord | None:
        """The record, when it is signed and lies under its own number."""
        if self.record is None or self.doubt or self.record.number != self.number:
            return None
        return self.record


@dataclass(frozen=True, slots=True)
class KnownHead:
    """What somebody else remembers of this chain. :param who: ``record 3 of s3``, ``the inventory``."""

    head: ChainHead
    who: str


def number_in(name: str) -> int | None:
    """Of ``00000007.json``; None: no record is called so."""
    found = _NAME.fullmatch(name)
    return (int(found["number"]) or None) if found else None


def judge_chain(
    entries: Sequence[StoredRecord],
    *,
    target: str,
    repository_id: str,
    known: Iterable[KnownHead] = (),
    reports: Mapping[str, str] | None = None,
    overwritten: Mapping[str, int] | None = None,
) -> tuple[EvidenceFault, ...]:
    """Everything that is wrong, by number; empty: nothing was found.

    :param entries: all there are. :param known: heads that others remember.
    :param reports: by name, SHA-256 of each report that lies there; None: they were not looked at.
    :param overwritten: by name, how many versions there are of it.
    """
    known = tuple(known)
    found = [*_strays(entries)]
    places = {one.number: one for one in entries if one.number is not None}
    for number in sorted(places):
        found += _own_faults(places[number], target, repository_id, places)
    own = {fault.number for fault in found}
    for number, one in places.items():
        if number not in own and (record := one.believed) is not None:
            found += _dates(one, record)
    highest = max([*places, *(one.head.number for one in known)], default=0)
    found += _gaps(places, highest, known)
    for number in sorted(places):
        found += _against_the_one_before(number, places, own)
    found += _forgotten(places, known, own)
    found += _reports(places, reports)
    for name, versions in (overwritten or {}).items():
        of = number_in(name) or number_in(f"{name[:8]}.json")
        found.append(
            EvidenceFault(
                FaultKind.OVERWRITTEN,
                of,
                f"the storage keeps {versions} versions of {shown_name(name)}, which is written once: "
                "somebody wrote over it, or took it away",
            )
        )
    return tuple(sorted(found, key=lambda fault: (fault.number is None, fault.number or 0)))


def _strays(entries: Sequence[StoredRecord]) -> Iterator[EvidenceFault]:
    named = {one.number for one in entries if one.number is not None}
    for one in entries:
        if one.number is not None:
            continue
        number = one.record.number if one.record else None
        if number in named:
            kind, what = FaultKind.DUPLICATED, f"says that it is record {number}, which lies there too"
        else:
            kind, what = FaultKind.INSERTED, "is no name of a record"
        yield EvidenceFault(kind, number, f"{shown_name(one.name)} {what}: somebody put it there")


def _own_faults(
    one: StoredRecord, target: str, repository_id: str, places: Mapping[int, StoredRecord]
) -> Iterator[EvidenceFault]:
    number, record = one.number, one.record
    if record is None:
        yield EvidenceFault(FaultKind.UNREADABLE, number, f"record {number} cannot be read: {one.doubt}")
        return
    if one.doubt:
        kind = FaultKind.UNTRUSTED if one.stranger else FaultKind.CHANGED
        yield EvidenceFault(kind, number, f"record {number} is not believed: {one.doubt}")
        return
    if (record.target, record.repository_id) != (target, repository_id):
        yield EvidenceFault(
            FaultKind.FOREIGN,
            number,
            f"record {number} is record {record.number} of target {record.target} in repository "
            f"{record.repository_id}: it was moved here",
        )
        return
    if record.number != number:
        other = places.get(record.number)
        twice = other is not None and other.sha256 == one.sha256
        yield EvidenceFault(
            FaultKind.DUPLICATED if twice else FaultKind.MISPLACED,
            number,
            f"record {record.number} lies in the place of record {number}"
            + (", and in its own too" if twice else ": the order was changed"),
        )


def _dates(one: StoredRecord, record: EvidenceRecord) -> Iterator[EvidenceFault]:
    if one.stored_at - record.recorded_at > CLOCKS_MAY_DIFFER:
        yield EvidenceFault(
            FaultKind.BACK_DATED,
            one.number,
            f"record {record.label} says that it was written at {format_time(record.recorded_at)}, and the "
            f"storage has had it only since {format_time(one.stored_at)}",
        )
    if record.recorded_at - one.stored_at > CLOCKS_MAY_DIFFER:
        yield EvidenceFault(
            FaultKind.POST_DATED,
            one.number,
            f"record {record.label} says that it was written at {format_time(record.recorded_at)}, and the "
            f"storage has had it since {format_time(one.stored_at)} already",
        )
    if record.happened_at - record.recorded_at > CLOCKS_MAY_DIFFER:
        yield EvidenceFault(
            FaultKind.POST_DATED,
            one.number,
            f"record {record.label} tells of {format_time(record.happened_at)}, later than it was written",
        )


def _gaps(
    places: Mapping[int, StoredRecord], highest: int, known: Iterable[KnownHead]
) -> Iterator[EvidenceFault]:
    newest, known = max(places, default=0), tuple(known)
    before = 0
    for after in [*sorted(places), highest + 1]:
        first, last, before = before + 1, after - 1, after
        # One file far behind the others is one finding, and not a million.
        stretches = (
            [(first, last)] if last - first >= _SINGLY else [(one, one) for one in range(first, after)]
        )
        for begin, end in stretches:
            if begin < newest:
                why = "later ones are there"
            else:
                who = [
                    f"{one.who} knows record {one.head.number}" for one in known if one.head.number >= begin
                ]
                why = "; ".join(dict.fromkeys(who))
            what = f"record {begin} is" if begin == end else f"records {begin} to {end} are"
            yield EvidenceFault(FaultKind.MISSING, begin, f"{what} missing: {why}")


def _against_the_one_before(
    number: int, places: Mapping[int, StoredRecord], faulty: set[int | None]
) -> Iterator[EvidenceFault]:
    record = places[number].believed
    if record is None or number in faulty:
        return
    before = places.get(number - 1)
    if number == 1 and record.previous_sha256 != BEFORE_THE_FIRST:
        yield EvidenceFault(
            FaultKind.MISSING, 1, "record 1 names one before it: the beginning of the chain was taken away"
        )
    if before is None or number - 1 in faulty:
        return  # told already
    if record.previous_sha256 != before.sha256:
        yield EvidenceFault(
            FaultKind.INSERTED,
            number,
            f"record {number} was written after another record than the one that is number {number - 1} now: "
            "that one was replaced, or put in between",
        )
    earlier = before.believed
    if earlier is not None and record.recorded_at < earlier.recorded_at:
        yield EvidenceFault(
            FaultKind.BACK_DATED,
            number,
            f"record {record.label} says that it was written at {format_time(record.recorded_at)}, before "
            f"the one that it follows ({format_time(earlier.recorded_at)})",
        )


def _forgotten(
    places: Mapping[int, StoredRecord], known: Iterable[KnownHead], faulty: set[int | None]
) -> Iterator[EvidenceFault]:
    for one in known:
        here = places.get(one.head.number)
        if here is not None and here.sha256 != one.head.sha256 and one.head.number not in faulty:
            yield EvidenceFault(
                FaultKind.CHANGED,
                one.head.number,
                f"record {one.head.number} is not the one that {one.who} knows: the chain was written anew",
            )


def _reports(
    places: Mapping[int, StoredRecord], reports: Mapping[str, str] | None
) -> Iterator[EvidenceFault]:
    for number, one in sorted(places.items()):
        record = one.believed
        if reports is None or record is None or not record.report_sha256:
            continue
        sha256 = reports.get(record.report_name)
        if sha256 != record.report_sha256:
            what = "is missing" if sha256 is None else "is not the one that was signed"
            yield EvidenceFault(
                FaultKind.REPORT, number, f"the report of record {record.label} {what} ({record.report_name})"
            )
