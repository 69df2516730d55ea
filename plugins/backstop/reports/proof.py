"""What stands in the report of a proof: of a backup, or of a file that scripts made before Backstop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from backstop.model.legacy_proof import LEGACY, LegacyProof
from backstop.model.measured import Phase
from backstop.model.proof import Proof
from backstop.reports.drawing import LANE, LEFT, RIGHT, TOP, Drawing, Lane
from backstop.reports.elapsed import scale_of
from backstop.reports.judging import Judged
from backstop.reports.naming import PHASES
from backstop.reports.timeline import phase_bars

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST = 200
_TOTAL = "total"
_DISTINCT = 0.05
"""Seconds: what is between all phases and the whole is shown when it is more."""


@dataclass(frozen=True, slots=True)
class ProofView:
    """One verification. :param of: what kind of thing was restored, in words.

    :param compared: name and value of what was compared. :param facts: what identifies it.
    """

    subject: str
    of: str
    target: str
    result: Judged
    started_at: datetime
    finished_at: datetime
    differences: tuple[str, ...]
    compared: tuple[tuple[str, int | str], ...]
    facts: tuple[tuple[str, str], ...]
    isolation: str
    host: str
    phases: tuple[Phase, ...]
    drawing: Drawing | None
    legend: tuple[tuple[str, str], ...]
    most: int = _MOST


def view_proof(document: Mapping[str, Any]) -> ProofView:
    """:raises IntegrityError: it is malformed."""
    if document.get("what") == LEGACY:
        return _view(LegacyProof.from_dict(document))
    return _view(Proof.from_dict(document))


def _view(proof: Proof | LegacyProof) -> ProofView:
    phases = tuple(_phases(proof))
    names = {one.name for one in phases}
    return ProofView(
        subject=proof.name if isinstance(proof, LegacyProof) else proof.label.text,
        of=f"a legacy backup ({proof.kind})" if isinstance(proof, LegacyProof) else "a backup",
        target=proof.target,
        result=_result(proof.matched),
        started_at=proof.started_at,
        finished_at=proof.finished_at,
        differences=tuple(proof.differences),
        compared=tuple(sorted((name.replace("_", " "), value) for name, value in proof.checks.items())),
        facts=tuple(_facts(proof)),
        isolation=proof.isolation,
        host=proof.host,
        phases=phases,
        drawing=_draw(proof, phases),
        legend=tuple((name, words) for name, words in (*PHASES.items(), ("other", "other")) if name in names),
    )


def _result(matched: bool) -> Judged:
    if matched:
        return Judged("good", "Matched: what was restored is what was backed up")
    return Judged("critical", "Differed: what was restored is not what was backed up")


def _facts(proof: Proof | LegacyProof) -> Iterator[tuple[str, str]]:
    yield "Repository", proof.repository_id
    if isinstance(proof, LegacyProof):
        yield "File", proof.location
        yield "SHA-256 of the file", proof.file_sha256
    else:
        yield "PostgreSQL", _version(proof.server_version)
        yield "SHA-256 of the manifest", proof.manifest_sha256


def _version(number: int) -> str:
    return f"{number // 10_000}.{number % 10_000}" if number else "none was needed"


def _phases(proof: Proof | LegacyProof) -> Iterator[Phase]:
    """One after the other in the order of their names' own; what they leave of the whole comes last."""
    known = [name for name in PHASES if name in proof.durations]
    others = [name for name in proof.durations if name not in PHASES and name != _TOTAL]
    at, used = proof.started_at, 0.0
    for name in (*known, *others):
        seconds = max(float(proof.durations[name]), 0.0)
        yield Phase(name, at, at + timedelta(seconds=seconds))
        at, used = at + timedelta(seconds=seconds), used + seconds
    rest = float(proof.durations.get(_TOTAL, 0.0)) - used
    if (known or others) and rest > _DISTINCT:
        yield Phase("other", at, at + timedelta(seconds=rest))


def _draw(proof: Proof | LegacyProof, phases: tuple[Phase, ...]) -> Drawing | None:
    if not phases:
        return None
    scale = scale_of(proof.started_at, [one.ended_at for one in phases], (), left=LEFT, right=RIGHT)
    bars = phase_bars(phases, scale)
    lane = Lane("verification", TOP, ", ".join(one.title for one in bars), bars=bars)
    return Drawing("How long each phase took", (lane,), scale.ticks(), TOP + LANE - 8)
