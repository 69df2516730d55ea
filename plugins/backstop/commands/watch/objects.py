"""Whether what manifests name is there, as large as it should be: newest backups each time, others by turns.

Each backup has its turn once a day, by the clock, so that nothing has to be remembered: within a day every
object of every backup has been looked for. A watch that was late makes up for the turns of the last hour.
What was found damaged is looked at each time until it is whole. Names and sizes are compared, no content:
that is what ``check-objects`` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.watch.part import Part
from backstop.commands.watch.turns import has_turn, turns_now
from backstop.commands.watch.wording import named
from backstop.errors import BackstopError, IntegrityError, NotFoundError
from backstop.model.backup import BackupLabel
from backstop.model.finding import Finding, Level
from backstop.model.observation import RepositorySeen
from backstop.repository.expiring import ExpiringMarks
from backstop.repository.read_ahead import read_ahead

if TYPE_CHECKING:
    from collections.abc import Collection

    from backstop.commands.watch.shelf import Shelf
    from backstop.commands.watch.sight import Sight
    from backstop.repository.catalog import Published

EVERY_ONE_WITHIN = timedelta(days=1)
LARGE_ONES_WITHIN = timedelta(hours=1)
LARGE = 2000
"""The newest backup, when it names more objects than this, is looked at once an hour, not each time."""


@dataclass(slots=True)
class _Lister:
    """The objects of a repository, one listing for each backup of a database, one for all packs of a tree."""

    shelf: Shelf
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)

    def size(self, key: str) -> int | None:
        folder = "/".join(key.split("/")[:4]) + "/"
        if folder not in self.sizes:
            listed = self.shelf.repository.storage.list(folder)
            self.sizes[folder] = {info.key: info.size_bytes for info in listed}
        return self.sizes[folder].get(key)

    def damage(self, published: Published) -> list[str]:
        """In words, what is wrong with each object that is not there as its manifest says."""
        found = []
        for stored in published.manifest.objects:
            size = self.size(stored.key)
            if size is None:
                found.append(f"{stored.key} is not there")
            elif size != stored.stored_bytes:
                found.append(f"{stored.key} has {size} bytes instead of {stored.stored_bytes}")
        return found


def look_at_objects(sight: Sight) -> Part:
    """What is missing in each repository, and a finding where something is."""
    seen: list[RepositorySeen] = []
    findings: list[Finding] = []
    unseen: list[str] = []
    unjudged = {("sync", f"objects in {name}") for name in sight.down}
    for shelf in sight.shelves.values():
        lister = _Lister(shelf)
        try:
            damaged = _damaged(lister, chosen(sight, shelf))
            finding = _finding(sight, shelf, damaged) if damaged else None
        except BackstopError as error:
            unseen.append(f"the objects in {shelf.name}: {error.message}")
            unjudged.add(("sync", f"objects in {shelf.name}"))
            continue
        findings += [finding] if finding else []
        shelf.damaged = frozenset(damaged)
        labels = {*damaged, *shelf.unreadable_labels}
        seen.append(
            RepositorySeen(
                name=shelf.name,
                location=shelf.repository.location,
                reachable=True,
                missing_objects=sum(map(len, damaged.values())),
                damaged=tuple(sorted(label.text for label in labels)),
            )
        )
    return Part(tuple(seen), tuple(findings), tuple(unseen), frozenset(unjudged))


def chosen(sight: Sight, shelf: Shelf) -> list[BackupLabel]:
    """Whose objects are looked for this time."""
    newest: dict[str, BackupLabel] = {}
    for label, known in sorted(shelf.backups.items(), key=lambda one: (one[1].manifest.finished_at, one[0])):
        newest[known.label.component] = label
    turns = turns_now(sight)

    def due(label: BackupLabel, within: timedelta) -> bool:
        return has_turn(label.text, turns, within=within, rhythm=sight.rhythm)

    each_time = {
        label
        for label in newest.values()
        if shelf.backups[label].objects <= LARGE or due(label, LARGE_ONES_WITHIN)
    }
    by_turns = {label for label in shelf.backups if due(label, EVERY_ONE_WITHIN)}
    before = sight.previous.repository(shelf.name) if sight.previous else None
    again = {BackupLabel(text) for text in before.damaged if BackupLabel.is_one(text)} if before else set()
    return sorted(each_time | by_turns | (again & shelf.backups.keys()))


def _damaged(lister: _Lister, labels: Collection[BackupLabel]) -> dict[BackupLabel, list[str]]:
    """What lacks objects, and what. A manifest that cannot be believed any more is noted on the shelf.

    :raises StorageError: the repository does not answer.
    """
    shelf, damaged = lister.shelf, {}

    def read(label: BackupLabel) -> Published | IntegrityError | None:
        try:
            return shelf.repository.catalog.backup(label)
        except IntegrityError as error:
            return error
        except NotFoundError:
            return None

    for label, found in zip(labels, read_ahead(labels, read, name="objects"), strict=True):
        if isinstance(found, IntegrityError):
            shelf.unreadable[label.text] = found.message
            shelf.unreadable_labels[label] = found
            shelf.backups.pop(label, None)
        elif found is not None and (lacks := lister.damage(found)):
            damaged[label] = lacks
    if not damaged:
        return {}
    expiring = ExpiringMarks(shelf.repository).labels()
    return {
        label: lacks
        for label, lacks in damaged.items()
        if label not in expiring and shelf.repository.catalog.has(label)
    }


def _finding(sight: Sight, shelf: Shelf, damaged: dict[BackupLabel, list[str]]) -> Finding:
    whole = {label: _whole_in(sight, shelf, label) for label in damaged}
    alone = [label for label, elsewhere in whole.items() if elsewhere is None]
    worst = max(alone or damaged)
    count = sum(map(len, damaged.values()))
    objects = "1 object" if count == 1 else f"{count} objects"
    place = shelf.repository.location
    if alone:
        next_step = (
            f"no repository has {named(alone)} whole: take a new backup now, then find out who deletes in "
            f"{place}"
        )
    else:
        heal = f"check-objects --heal --target {sight.target.name} --repository {shelf.name}"
        next_step = (
            f"`python -m backstop {heal}` takes them from {whole[worst]}; find out who deletes in {place}"
        )
    verb = "is" if count == 1 else "are"
    return Finding(
        sight.target.name,
        "sync",
        f"objects in {shelf.name}",
        Level.CRITICAL if alone else Level.WARNING,
        f"{objects} of {named(list(damaged))} in {shelf.name} {verb} not as the manifest says: "
        f"{damaged[worst][0]}",
        next_step,
    )


def _whole_in(sight: Sight, damaged: Shelf, label: BackupLabel) -> str | None:
    """Another repository that answers and has all of it."""
    for name, shelf in sight.shelves.items():
        if shelf is damaged or label not in shelf.backups:
            continue
        try:
            if not _Lister(shelf).damage(shelf.repository.catalog.backup(label)):
                return name
        except BackstopError:
            continue
    return None
