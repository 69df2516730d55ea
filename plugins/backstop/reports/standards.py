"""What auditors ask for, in our words, and what the records of a period say was done.

Only counted figures; what the records cannot show is named beside them. Nothing here claims that anything is
complied with: that is for whoever audits to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.model.evidence import EvidenceKind
from backstop.reports.naming import component_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.reports.summaries import Summary


@dataclass(frozen=True, slots=True)
class Asked:
    """One requirement. :param source: where it stands; :param asks: in our words.

    :param done: what these records show, a sentence each. :param beyond: what they do not show.
    """

    source: str
    asks: str
    done: tuple[str, ...]
    beyond: str


def asked(found: Sequence[Summary], *, repositories: Sequence[str]) -> tuple[Asked, ...]:
    """:param repositories: names of those whose chains the records are from."""
    proofs, drills = _of(found, EvidenceKind.PROOF), _of(found, EvidenceKind.DRILL)
    incidents = _of(found, EvidenceKind.INCIDENT)
    return (
        Asked(
            "ISO/IEC 27001:2022, Annex A, 8.13 Information backup",
            "Copies of information, software and systems are kept, and are tested regularly, as the"
            " organisation's own policy on backups says.",
            (*_proved(proofs), *_drilled(drills)),
            "The policy itself, and whether these tests are as many as it wants.",
        ),
        Asked(
            "ISO/IEC 27002:2022, 8.13 (guidance on the same)",
            "Restoring is tried out, not over the original, and its time is held against what the plan"
            " allows; failed backups are noticed and dealt with.",
            (*_measured(drills), *_noticed(found)),
            "Where the media are kept and who can reach them; how long backups have to be kept.",
        ),
        Asked(
            "SOC 2, Trust Services Criteria (AICPA TSP 100, 2017 with the points of focus of 2022), A1.2",
            "Backup of data and the infrastructure to recover with are in place, operated, maintained and"
            " watched, so that the entity's objectives of availability can be met.",
            (*_proved(proofs), *_kept(proofs, repositories), *_happened(incidents)),
            "Protection against fire, water and loss of power, and the recovery site itself.",
        ),
        Asked(
            "SOC 2, the same, A1.3",
            "The procedures of the recovery plan are tested, and so is whether what was backed up is whole"
            " and complete.",
            (*_drilled(drills), *_measured(drills), *_signed(found)),
            "Parts of the continuity plan that are not about data, such as places to work and people.",
        ),
    )


def _of(found: Sequence[Summary], kind: EvidenceKind) -> list[Summary]:
    return [one for one in found if one.kind is kind]


def _proved(proofs: Sequence[Summary]) -> Iterator[str]:
    if not proofs:
        yield "No backup was restored and compared in this period."
        return
    backups = {one.subject for one in proofs}
    proven = {one.subject for one in proofs if one.passed}
    yield (
        f"{_count(len(proofs), 'restore')} of {_count(len(backups), 'backup')} into scratch, each compared"
        f" with what was backed up; of {_count(len(proven), 'backup')} a restore matched."
    )


def _kept(proofs: Sequence[Summary], repositories: Sequence[str]) -> Iterator[str]:
    read = {repository for one in proofs for repository, _ in one.numbers}
    if read:
        many = _count(len(repositories), "repository", "repositories")
        yield f"Backups were read from {len(read)} of {many}."


def _drilled(drills: Sequence[Summary]) -> Iterator[str]:
    if not drills:
        yield "No drill was carried out in this period."
        return
    passed = sum(one.passed for one in drills)
    scenarios = sorted({one.what for one in drills})
    yield f"{_count(len(drills), 'drill')}, of which {passed} passed; rehearsed: {'; '.join(scenarios)}."


def _measured(drills: Sequence[Summary]) -> Iterator[str]:
    objectives = [one for drill in drills for one in drill.objectives if one.asked is not None]
    if not objectives:
        yield "No objective was measured by a drill in this period."
        return
    met, missed = (sum(one.met is value for one in objectives) for value in (True, False))
    names = sorted({component_in_words(one.component) for one in objectives})
    yield (
        f"Downtime and loss were measured {len(objectives)} times against an objective, for"
        f" {', '.join(names)}: {met} met, {missed} missed, {len(objectives) - met - missed} not known."
    )


def _noticed(found: Sequence[Summary]) -> Iterator[str]:
    failed = sum(bool(one.exceptions) for one in found)
    yield f"{_count(failed, 'record')} with an exception; each is on this page."


def _happened(incidents: Sequence[Summary]) -> Iterator[str]:
    if not incidents:
        yield "No incident was recorded in this period."
        return
    recovered = sum(one.passed for one in incidents)
    yield f"{_count(len(incidents), 'incident')} recorded with a timeline, of which {recovered} recovered."


def _signed(found: Sequence[Summary]) -> Iterator[str]:
    drills = {one.subject for one in found if one.kind is EvidenceKind.DRILL}
    signed = {one.subject for one in found if one.by and one.subject in drills}
    people = sorted({one.by for one in found if one.by})
    if drills:
        yield f"{len(signed)} of {_count(len(drills), 'drill')} signed off" + (
            f", by {', '.join(people)}." if people else "."
        )


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
