"""The first page of an auditor's bundle: exceptions first, then what was done, and where each record is."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backstop.model.evidence import EvidenceKind
from backstop.reports.rendering import render_page
from backstop.reports.standards import Asked, asked
from backstop.reports.summaries import Summary, summary_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from backstop.model.evidence import ChainHead, EvidenceRecord
    from backstop.reports.judging import Objective

_HREF = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*", re.ASCII)
MOST = 2000


@dataclass(frozen=True, slots=True)
class Chain:
    """Where one repository's chain stood when the bundle was made. :param records: of it in this period."""

    repository: str
    repository_id: str
    records: int
    head_number: int | None
    head_sha256: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One objective over the whole period. :param worst: that was measured; None: never."""

    component: str
    name: str
    asked: tuple[timedelta, ...]
    met: int
    missed: int
    unknown: int
    worst: timedelta | None


@dataclass(frozen=True, slots=True)
class CoverView:
    """What stands on the page."""

    target: str
    begins_at: datetime
    ends_at: datetime
    exported_at: datetime
    chain_exceptions: tuple[str, ...]
    exceptions: tuple[str, ...]
    absent: tuple[str, ...]
    counts: tuple[tuple[int, str], ...]
    objectives: tuple[Measured, ...]
    asked: tuple[Asked, ...]
    chains: tuple[Chain, ...]
    found: tuple[Summary, ...]
    links: Mapping[tuple[str, int], str]
    names: Mapping[str, str]
    most: int = MOST


def render_cover(
    *,
    target: str,
    begins_at: datetime,
    ends_at: datetime,
    records: Sequence[EvidenceRecord],
    verdict: Sequence[str],
    heads: Mapping[str, ChainHead],
    names: Mapping[str, str],
    reports: Mapping[tuple[str, int], str],
    exported_at: datetime,
) -> str:
    """The cover page as self-contained HTML; the same arguments give the same bytes.

    :param records: of every chain, of this period.
    :param verdict: what verifying the chains found wrong, a sentence each; empty: nothing.
    :param heads: by repository id, its newest record.
    :param names: of repositories, by their id.
    :param reports: by repository id and number, where in the bundle a record's report lies: a relative path;
        what is none is not linked.
    """
    found = _found(records)
    repositories = sorted({*names, *heads, *(one.repository_id for one in records)})
    view = CoverView(
        target=target,
        begins_at=begins_at,
        ends_at=ends_at,
        exported_at=exported_at,
        chain_exceptions=tuple(verdict),
        exceptions=tuple(dict.fromkeys(said for one in found for said in one.exceptions)),
        absent=tuple(_absent(found)),
        counts=tuple(_counts(found)),
        objectives=tuple(_objectives(found)),
        asked=asked(found, repositories=repositories),
        chains=tuple(_chain(one, records, heads, names) for one in repositories),
        found=found,
        links={key: href for key, href in reports.items() if _HREF.fullmatch(href) and ".." not in href},
        names=names,
    )
    return render_page("cover.html", view=view)


def _found(records: Sequence[EvidenceRecord]) -> tuple[Summary, ...]:
    """Each thing once, oldest first, though every repository's chain may have it."""
    alike: dict[tuple[str, str, datetime], list[EvidenceRecord]] = defaultdict(list)
    for one in records:
        alike[one.kind.value, one.subject, one.happened_at].append(one)
    found = [
        summary_of(group[0], tuple(sorted((one.repository_id, one.number) for one in group)))
        for group in (
            sorted(group, key=lambda one: (one.repository_id, one.number)) for group in alike.values()
        )
    ]
    signed = {one.subject: one.by for one in found if one.kind is EvidenceKind.SIGN_OFF}
    found = [replace(one, by=one.by or signed.get(one.subject, "")) for one in found]
    return tuple(sorted(found, key=lambda one: (one.happened_at, one.kind.value, one.subject)))


def _absent(found: Sequence[Summary]) -> Iterator[str]:
    kinds = {one.kind for one in found}
    if EvidenceKind.PROOF not in kinds:
        yield "No backup was restored and compared in this period."
    if EvidenceKind.DRILL not in kinds:
        yield "No drill was carried out in this period."
    for one in found:
        if one.kind is EvidenceKind.DRILL and not one.by:
            yield f"Drill {one.subject} is not signed off in this period."


def _counts(found: Sequence[Summary]) -> Iterator[tuple[int, str]]:
    proofs = [one for one in found if one.kind is EvidenceKind.PROOF]
    drills = [one for one in found if one.kind is EvidenceKind.DRILL]
    incidents = [one for one in found if one.kind is EvidenceKind.INCIDENT]
    yield len({one.subject for one in proofs if one.passed}), "backups proven by a restore"
    yield sum(not one.passed for one in proofs), "restores that differed or failed"
    yield len(drills), "drills"
    yield sum(not one.passed for one in drills), "drills that failed"
    yield len(incidents), "incidents"
    yield sum(one.met is False for one in (*_asked(drills), *_asked(incidents))), "objectives missed"


def _asked(found: Sequence[Summary]) -> list[Objective]:
    return [one for summary in found for one in summary.objectives if one.asked is not None]


def _objectives(found: Sequence[Summary]) -> Iterator[Measured]:
    groups: dict[tuple[str, str], list[Objective]] = defaultdict(list)
    for one in _asked(found):
        groups[one.component, one.name].append(one)
    for (component, name), group in sorted(groups.items()):
        measured = [one.measured for one in group if one.measured is not None]
        yield Measured(
            component,
            name,
            tuple(sorted({one.asked for one in group if one.asked is not None})),
            sum(one.met is True for one in group),
            sum(one.met is False for one in group),
            sum(one.met is None for one in group),
            max(measured, default=None),
        )


def _chain(
    repository_id: str,
    records: Sequence[EvidenceRecord],
    heads: Mapping[str, ChainHead],
    names: Mapping[str, str],
) -> Chain:
    head = heads.get(repository_id)
    number, sha256 = (head.number, head.sha256) if head else (None, "")
    count = sum(one.repository_id == repository_id for one in records)
    return Chain(names.get(repository_id, repository_id), repository_id, count, number, sha256)
