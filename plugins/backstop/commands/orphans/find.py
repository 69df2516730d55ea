"""Finds what belongs to no backup, by one listing of every version of everything below the target."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.check.wanted import wal_named
from backstop.commands.orphans.named import Named, named_objects
from backstop.commands.orphans.report import Orphan, Orphans
from backstop.repository.lock import SYNC, Holding, holding
from backstop.repository.object_keys import about_backup, is_other_meta, payload_key
from backstop.repository.pins import readers
from backstop.repository.wal_names import WalNames

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from backstop.model.backup import BackupLabel
    from backstop.repository.catalog import Repository


def find_orphans(repository: Repository, *, grace: timedelta, now: datetime) -> Orphans:
    """List orphans, and what looks like one and is not removed: too young, of a running backup, not ours.

    :param grace: what was stored more recently is left alone; an attempt at a backup is as old as its newest
        object.
    """
    named = named_objects(repository)
    search = _Search(repository, named, grace=grace, now=now)
    return search.run()


@dataclass(slots=True)
class _Search:
    repository: Repository
    named: Named
    grace: timedelta
    now: datetime
    candidates: dict[str, Orphan] = field(default_factory=dict)
    holders: dict[str, Holding | None] = field(default_factory=dict)
    whole: dict[tuple[str, str], bool] = field(default_factory=dict)
    read: dict[BackupLabel, bool] = field(default_factory=dict)

    @property
    def target(self) -> str:
        return self.repository.catalog.target

    def run(self) -> Orphans:
        found = Orphans(repository=self.repository.name, location=self.repository.location)
        found.cannot_tell += [str(error) for error in self.named.unreadable]
        for version in self.repository.storage.versions(f"{self.target}/"):
            why = self._why(version.key)
            if why is None:
                continue
            orphan = self.candidates.get(version.key)
            if orphan is None:
                orphan = self.candidates[version.key] = Orphan(version.key, *why)
            orphan.add(version)
        self._sort(found)
        for upload in self.repository.storage.incomplete_uploads(f"{self.target}/"):
            if self.now - upload.began_at >= self.grace:
                found.uploads.append(upload)
        return found

    def _sort(self, found: Orphans) -> None:
        """Into what may go and what may not."""
        newest = newest_of_groups(self.candidates.values())
        for orphan in self.candidates.values():
            if orphan.foreign:
                found.foreign.append(orphan)
            elif self._running(orphan, newest[orphan.group]):
                found.running.append(orphan)
            elif self.now - newest[orphan.group] < self.grace:
                found.young.append(orphan)
            else:
                found.removable.append(orphan)

    def _running(self, orphan: Orphan, newest_at: datetime) -> bool:
        if not orphan.lease:
            return False
        # A sync goes on with what an earlier one has copied, however long ago.
        held = self._holder(orphan.lease)
        return self._holder(SYNC) is not None or (held is not None and newest_at >= held.since)

    def _holder(self, kind: str) -> Holding | None:
        if kind not in self.holders:
            self.holders[kind] = holding(self.repository.storage, self.target, kind, now=self.now)
        return self.holders[kind]

    def _why(self, key: str) -> tuple[str, str, str] | None:
        """Why it looks like an orphan, the lease of whoever may write it, and the group it lives and dies
        with; None: it is none.
        """
        if self.named.has(key):
            return None
        if key.startswith((f"{self.target}/data/wal/", f"{self.target}/tail/")):
            return self._why_wal(key)
        if (payload := payload_key(self.target, key)) is not None:
            if payload.label in self.named.going:
                return None
            gone = payload.label not in self.named.labels
            why = f"no backup {payload.label} exists" if gone else "of an attempt that was not published"
            if any(getattr(error, "label", None) == payload.label for error in self.named.unreadable):
                # Whoever reads the list must not take it away by hand.
                why = f"the manifest of {payload.label} cannot be read, and may name it"
            return why, payload.label.lease_kind, f"{payload.label}/{payload.attempt}"
        if (about := about_backup(self.target, key)) is not None:
            left_over = about.label not in self.named.labels and about.label not in self.named.going
            if about.what not in ("proofs", "pins") or not left_over or self._is_read(about.label):
                return None
            return f"no backup {about.label} exists", about.label.lease_kind, key
        return None if is_other_meta(self.target, key) else FOREIGN

    def _why_wal(self, key: str) -> tuple[str, str, str] | None:
        named = wal_named(self.target, key)
        if named is None:
            return FOREIGN
        if named.length_bytes is None or not self._is_whole(named.system_id, named.segment):
            return None
        return f"segment {named.segment} is stored whole", "", key

    def _is_whole(self, system_id: str, segment: str) -> bool:
        if (system_id, segment) not in self.whole:
            self.whole[system_id, segment] = is_whole(self.repository, system_id, segment)
        return self.whole[system_id, segment]

    def _is_read(self, label: BackupLabel) -> bool:
        if label not in self.read:
            self.read[label] = bool(readers(self.repository.storage, self.target, label, now=self.now))
        return self.read[label]


FOREIGN = ("not a name that Backstop gives", "", "foreign")


def is_whole(repository: Repository, system_id: str, segment: str) -> bool:
    """Whether exactly one whole segment of that name is stored: then its pieces are needed no more."""
    names = WalNames(repository.catalog.target, system_id)
    prefix = f"{names.timeline(int(segment[:8], 16))}{segment}-"
    return sum(1 for info in repository.storage.list(prefix) if names.parse_segment(info)) == 1


def newest_of_groups(orphans: Iterable[Orphan]) -> dict[str, datetime]:
    """When something of each group was stored last."""
    newest: dict[str, datetime] = {}
    for orphan in orphans:
        newest[orphan.group] = max(orphan.newest_at, newest.get(orphan.group, orphan.newest_at))
    return newest
