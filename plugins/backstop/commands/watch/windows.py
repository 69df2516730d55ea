"""To which moments each repository can bring the cluster back, by the names of its WAL alone.

Everything is listed once an hour, spread over the targets, and whenever there is a reason: a new base backup,
a new timeline, a missing segment that has come back. In between only WAL behind the newest known end is
listed. So a segment that is lost at the end shows at once, one that vanishes from long ago within an hour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.watch.gaps import judge_holes
from backstop.commands.watch.listing import list_everything, list_from, read_histories
from backstop.commands.watch.missing_copies import keeps_wal
from backstop.commands.watch.part import Part
from backstop.commands.watch.spans import Hole, is_gap, stretches
from backstop.commands.watch.turns import has_turn, turns_now
from backstop.errors import BackstopError
from backstop.model.lsn import DEFAULT_SEGMENT_BYTES, Lsn, WalSegment
from backstop.model.observation import RepositorySeen
from backstop.model.retention_candidate import segment_bytes_of
from backstop.model.timeline import TimelineSpan
from backstop.model.wal_path import cover
from backstop.model.window import BaseBackup, RecoverySources, recovery_windows
from backstop.repository.wal_archive import WalArchive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.commands.watch.shelf import Shelf
    from backstop.commands.watch.sight import Sight
    from backstop.model.backup import Manifest
    from backstop.model.observation import WindowSeen

EVERYTHING_WITHIN = timedelta(hours=1)
_CLOCKS_DIFFER = timedelta(minutes=2)


@dataclass(slots=True)
class _Looked:
    """One repository. :param holes: None: they could not be judged this time."""

    windows: tuple[WindowSeen, ...] = ()
    holes: tuple[Hole, ...] | None = None
    seen: RepositorySeen | None = None
    unseen: str = ""


def look_at_wal(sight: Sight) -> Part:
    """Windows; the repositories' sizes; a finding where WAL is missing."""
    looked: dict[str, _Looked] = {}
    unseen: list[str] = []
    for name, shelf in sight.shelves.items():
        try:
            looked[name] = _Looking(sight, shelf).look()
        except BackstopError as error:
            looked[name] = _Looked(windows=_windows_before(sight, name), unseen=error.message)
        if looked[name].unseen:
            unseen.append(f"the WAL in {name}: {looked[name].unseen}")
    for name in sight.down:
        looked[name] = _Looked(windows=_windows_before(sight, name))
    windows = tuple(window for one in looked.values() for window in one.windows)
    findings = [
        finding
        for name, one in looked.items()
        if name in sight.shelves
        and one.holes
        and (finding := judge_holes(sight, sight.shelves[name], one.windows, one.holes))
    ]
    return Part(
        seen=(*windows, *(one.seen for one in looked.values() if one.seen)),
        findings=tuple(findings),
        unseen=tuple(unseen),
        unjudged=frozenset(
            ("wal-gap", f"WAL in {name}") for name, one in looked.items() if one.holes is None
        ),
    )


@dataclass(frozen=True, slots=True)
class _Looking:
    sight: Sight
    shelf: Shelf

    def look(self) -> _Looked:
        before = self.sight.previous.repository(self.shelf.name) if self.sight.previous else None
        manifests = self._manifests()
        if self._everything_is_due(before, manifests):
            return self._everything(manifests)
        windows, holes = self._newest_only(manifests)
        if windows is None:
            return self._everything(manifests)
        seen = self._seen(before.stored_bytes if before else None, before)
        return _Looked(windows, holes, seen)

    # -- Everything ------------------------------------------------------------------------------------------

    def _everything_is_due(self, before: RepositorySeen | None, manifests: Sequence[Manifest]) -> bool:
        if self.sight.thorough:
            return True
        now, name = self.sight.now, f"{self.sight.target.name} {self.shelf.name}"
        if before is None or before.listed_at is None or now - before.listed_at > 1.2 * EVERYTHING_WITHIN:
            return True
        if has_turn(name, turns_now(self.sight), within=EVERYTHING_WITHIN, rhythm=self.sight.rhythm):
            return True
        labels = {manifest.label.text for manifest in manifests}
        windowed = {label for window in self._before for label in window.bases}
        new = any(
            self.shelf.stored_at[manifest.label] > before.listed_at - _CLOCKS_DIFFER for manifest in manifests
        )
        otherwise = bool(windowed - labels) or self._damage_changed(before)
        return new or otherwise or self._mended(manifests)

    def _damage_changed(self, before: RepositorySeen) -> bool:
        now = {label.text for label in self.shelf.damaged if label.kind.physical}
        return now != {label for label in before.damaged if label.endswith(("-full", "-incr"))}

    def _mended(self, manifests: Sequence[Manifest]) -> bool:
        """A segment behind which a window ended is there again."""
        if not manifests:
            return False
        archive = self._archive(manifests)
        for window in self._before:
            if window.gap:
                missing = self._segment(window.end_lsn, window.timeline, manifests)
                if archive.find(missing) is not None:
                    return True
        return False

    def _everything(self, manifests: Sequence[Manifest]) -> _Looked:
        system_id = manifests[-1].system_id if manifests else None
        size = _segment_bytes(manifests)
        found = list_everything(self.shelf.repository, system_id=system_id, segment_bytes=size)
        seen = self._seen(found.stored_bytes, None)
        if system_id is None or found.wal is None:
            return _Looked(holes=(), seen=seen)
        keyring = self.sight.target.keyring() if found.histories else None
        histories, problem = read_histories(
            self.shelf.repository, found.histories, system_id=system_id, keyring=keyring
        )
        sources = RecoverySources([self._base(manifest) for manifest in manifests], found.wal, histories)
        windows, holes = stretches(
            recovery_windows(sources),
            found.wal,
            repository=self.shelf.name,
            now=self.sight.now,
            wanted=self._wanted,
        )
        return _Looked(windows, None if problem else holes, seen, problem)

    def _base(self, manifest: Manifest) -> BaseBackup:
        lacks = "it lacks objects" if manifest.label in self.shelf.damaged else ""
        return BaseBackup.from_manifest(manifest, unusable=lacks)

    def _wanted(self, segment: WalSegment) -> bool:
        return keeps_wal(self.sight, self.shelf, segment, system_id=self._manifests()[-1].system_id)

    # -- Only what is new ------------------------------------------------------------------------------------

    def _newest_only(
        self, manifests: Sequence[Manifest]
    ) -> tuple[tuple[WindowSeen, ...] | None, tuple[Hole, ...] | None]:
        """The windows of before, the newest of them carried on; None: everything has to be listed.

        Holes are None where only a look at everything can tell: what was found before stands.
        """
        newest = next((window for window in self._before if window.newest), None)
        if newest is None or not manifests:
            return self._before, None if manifests else ()
        archive = self._archive(manifests)
        beyond = f"{archive.names.whole}{newest.timeline + 1:08X}"
        if next(iter(archive.storage.list(beyond)), None) is not None:
            return None, None  # another timeline has begun
        end = Lsn.parse(newest.end_lsn)
        first = self._segment(newest.end_lsn, newest.timeline, manifests)
        wal = list_from(archive, first)
        coverage = cover(wal, (TimelineSpan(newest.timeline, Lsn(0), None),), end)
        gap = is_gap(coverage, wal, now=self.sight.now)
        carried = replace(
            newest,
            end_lsn=str(max(end, coverage.end or end)),
            ends_at=max(newest.ends_at, coverage.written_by or newest.ends_at),
            newest=not gap,
            gap=gap,
            ends_because=coverage.ends_because if gap else "",
        )
        windows = tuple(carried if window is newest else window for window in self._before)
        return windows, (Hole(coverage.ends_because, coverage.stops_at),) if gap else None

    # -- Both ------------------------------------------------------------------------------------------------

    @property
    def _before(self) -> tuple[WindowSeen, ...]:
        return _windows_before(self.sight, self.shelf.name)

    def _manifests(self) -> list[Manifest]:
        """Of base backups there, the newest last."""
        physical = [known.manifest for label, known in self.shelf.backups.items() if label.kind.physical]
        if self.shelf.name not in self.sight.target.settings.wal_repositories:
            return []
        return sorted(physical, key=lambda manifest: (manifest.snapshot_at, manifest.label))

    def _archive(self, manifests: Sequence[Manifest]) -> WalArchive:
        repository = self.shelf.repository
        return WalArchive(repository.storage, repository.catalog.target, manifests[-1].system_id)

    def _segment(self, position: str, timeline: int, manifests: Sequence[Manifest]) -> WalSegment:
        return WalSegment.containing(
            Lsn.parse(position), timeline=timeline, size_bytes=_segment_bytes(manifests)
        )

    def _seen(self, stored_bytes: int | None, before: RepositorySeen | None) -> RepositorySeen:
        return RepositorySeen(
            name=self.shelf.name,
            location=self.shelf.repository.location,
            reachable=True,
            stored_bytes=stored_bytes,
            listed_at=before.listed_at if before else self.sight.now,
        )


def _windows_before(sight: Sight, repository: str) -> tuple[WindowSeen, ...]:
    if sight.previous is None:
        return ()
    return tuple(window for window in sight.previous.windows if window.repository == repository)


def _segment_bytes(manifests: Sequence[Manifest]) -> int:
    if not manifests:
        return DEFAULT_SEGMENT_BYTES
    return segment_bytes_of(manifests[-1]) or DEFAULT_SEGMENT_BYTES
