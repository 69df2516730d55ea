"""What every repository could bring every component back to, how sure that is, and how long it would take."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from backstop.commands.recovery.sources import recovery_sources
from backstop.errors import BackstopError, NotFoundError
from backstop.model.drill_samples import oldest_first, proven_restores
from backstop.model.forecast import forecast
from backstop.model.incident_option import Reach
from backstop.model.restore_rates import SEGMENT_BYTES
from backstop.model.window import recovery_windows

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from backstop.commands.disaster.component import Sources
    from backstop.model.backup import BackupLabel, Manifest
    from backstop.model.drill_samples import Sample
    from backstop.model.window import RecoveryWindow
    from backstop.repository.catalog import Published, Repository, Verifications

_AT_A_TIME = 8


@dataclass(slots=True)
class Survey:
    """What was found.

    :param problems: by repository that could not be read, or not whole: why.
    :param samples: restores that were measured before, and when they ended, by component.
    """

    reaches: list[Reach] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    samples: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))


def survey(
    sources: Sources, components: Collection[str], *, drilled: Mapping[str, Sequence[Sample]]
) -> Survey:
    """Read manifests, proofs and names of WAL of every repository. Nothing is changed.

    :param drilled: restores of drills, by component: forecasts learn from them too.
    """
    found = Survey()
    for component, samples in drilled.items():
        found.samples[component] += samples
    for rank, repository in enumerate(sources.repositories):
        try:
            _read(found, sources, repository, rank, components)
        except BackstopError as error:
            found.problems[repository.name] = error.message
    known = {component: oldest_first(taken) for component, taken in found.samples.items()}
    found.reaches = [
        replace(
            one,
            forecast=forecast(known.get(one.component, ()), bytes=one.bytes, segments=one.segments),
        )
        for one in found.reaches
    ]
    return found


def _read(
    found: Survey, sources: Sources, repository: Repository, rank: int, components: Collection[str]
) -> None:
    repository.catalog.repository_id()
    listing = repository.catalog.backups()
    wanted = [one for one in listing.backups if one.manifest.label.component in components]
    if listing.unreadable:
        count = len(listing.unreadable)
        found.problems[repository.name] = (
            f"{count} manifests cannot be trusted: {listing.unreadable[0].message}"
        )
    proofs = _proofs(repository, wanted)
    for one in wanted:
        found.samples[one.manifest.label.component] += proven_restores(
            proofs[one.manifest.label].counting, plain_bytes=one.manifest.plain_bytes
        )
    for one in wanted:
        if not one.manifest.kind.physical:
            found.reaches.append(_fixed(one.manifest, proofs[one.manifest.label], repository, rank))
    if "base" in components and any(one.manifest.kind.physical for one in wanted):
        manifests = {one.manifest.label.text: one.manifest for one in wanted if one.manifest.kind.physical}
        try:
            windows = recovery_windows(
                recovery_sources(repository, target=sources.target, keyring=sources.keyring())
            )
        except NotFoundError:
            return
        for window in windows:
            if (reach := _window(window, manifests, proofs, repository, rank)) is not None:
                found.reaches.append(reach)


def _proofs(repository: Repository, wanted: Sequence[Published]) -> dict[BackupLabel, Verifications]:
    records = repository.catalog.proof_records
    keys = records.keys()

    def read(one: Published) -> Verifications:
        manifest = one.manifest
        return records.of(
            manifest.label,
            repository_id=manifest.repository_id,
            manifest_sha256=one.sha256,
            keys=keys.get(manifest.label, ()),
        )

    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="proofs") as pool:
        return dict(zip((one.manifest.label for one in wanted), pool.map(read, wanted), strict=True))


def _fixed(manifest: Manifest, verifications: Verifications, repository: Repository, rank: int) -> Reach:
    return Reach(
        component=manifest.label.component,
        repository=repository.name,
        label=manifest.label.text,
        begins_at=manifest.snapshot_at,
        ends_at=manifest.snapshot_at,
        stored_at=manifest.finished_at,
        proven=verifications.proven,
        doubt=_doubt(verifications),
        bytes=manifest.plain_bytes,
        rank=rank,
    )


def _window(
    window: RecoveryWindow,
    manifests: Mapping[str, Manifest],
    proofs: Mapping[BackupLabel, Verifications],
    repository: Repository,
    rank: int,
) -> Reach | None:
    chain = [manifests[label] for label in window.chain if label in manifests]
    if window.end_lsn is None or len(chain) != len(window.chain):
        return None
    newest = chain[-1]
    coverage = window.coverage
    size = coverage.runs[0].segment_bytes if coverage and coverage.runs else SEGMENT_BYTES
    written = window.end_lsn.position - window.base.start.position
    return Reach(
        component="base",
        repository=repository.name,
        label=newest.label.text,
        begins_at=window.start_time,
        ends_at=max(window.end_time or window.start_time, window.start_time),
        stored_at=newest.finished_at,
        proven=proofs[newest.label].proven,
        doubt=next(filter(None, (_doubt(proofs[one.label]) for one in chain)), ""),
        bytes=sum(one.plain_bytes for one in chain),
        segments=max(written, 0) // size,
        rank=rank,
        timeline=window.timeline,
    )


def _doubt(verifications: Verifications) -> str:
    proofs = verifications.counting
    if proofs and not proofs[-1].matched:
        return f"its last verification failed: {proofs[-1].differences[0]}"
    return ""
