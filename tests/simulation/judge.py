"""Looks before and after everything that removes or copies, and says what must not have happened."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.backup import BackupLabel
from tests.simulation.oracle import Sight
from tests.simulation.policies import policy_of
from tests.simulation.step import after_sync, failures, in_step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tests.simulation.chronicle import Made, Moment
    from tests.simulation.world import World


@dataclass
class Watch:
    """What one run said of itself.

    :param refused: why it did nothing; :param blocked: what it held back, in its own words.
    :param failed: what went wrong; :param died: whether it was killed, or its repository fell silent.
    """

    refused: str = ""
    failed: list[str] = field(default_factory=list)
    died: bool = False
    blocked: tuple[str, ...] = ()


@dataclass
class Findings:
    """What a simulation showed.

    :param violations: sentences, each with its day; none is what everybody hopes for.
    :param counts: how often what happened.
    """

    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class Judge:
    """Knows what was recoverable, held and read, and how far each recovery window has moved on."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.findings = Findings()
        self._held: dict[tuple[str, str, str, int], datetime | None] = {}
        self._read: set[tuple[str, str, str]] = set()
        self._known: dict[tuple[str, str], set[Moment]] = {}
        self._moved_to: dict[tuple[str, str], datetime] = {}
        self.brought_back: Counter[tuple[str, str, str]] = Counter()
        self.removed: dict[tuple[str, str], set[str]] = {}
        self._sights: dict[tuple[str, str], Sight] = {}
        #: Repositories and targets in which something stood in the way of tonight's expiry.
        self.hindered: set[tuple[str, str]] = set()
        self.day = 0

    def say(self, sentence: str) -> None:
        self.findings.violations.append(f"day {self.day}: {sentence}")

    def reading(self, repository: str, target: str, label: str) -> None:
        self._read.add((repository, target, label))
        self.hindered.add((repository, target))

    def nobody_reads(self) -> None:
        self._read.clear()

    def hold(self, repository: str, target: str, label: str, number: int, until: datetime | None) -> None:
        self._held[repository, target, label, number] = until

    def release(self, repository: str, target: str, label: str, number: int) -> None:
        self._held.pop((repository, target, label, number), None)

    def in_force(self, repository: str, target: str, label: str) -> bool:
        """Whether somebody holds it there, by the true time, or reads it."""
        place = (repository, target, label)
        held = [until for held, until in self._held.items() if held[:3] == place]
        return place in self._read or any(until is None or until > self.world.now for until in held)

    def wanted_anywhere(self, target: str, label: str) -> bool:
        """The same in any repository: holds are brought to the others."""
        return any(self.in_force(name, target, label) for name in self.world.shelves)

    def sight(self, repository: str, target: str) -> Sight:
        """Looked at anew only where anything has changed: proofs are objects, too."""
        known = self._sights.get((repository, target))
        if known is None or known.changes != self.world.shelves[repository].changes:
            known = self._sights[repository, target] = Sight(self.world, repository, target)
        return known

    @contextmanager
    def watching(self, target: str, what: str, repository: str = "") -> Iterator[Watch]:
        """Judge what is done in the block, in the named repository or in all that can be reached."""
        names = [name for name in self.world.reachable() if repository in ("", name)]
        before = {name: self.sight(name, target) for name in names}
        others = {name: self._outside(name, target) for name in names}
        for sight in before.values():
            self._remember(sight)
        watch = Watch()
        yield watch
        for name, sight in before.items():
            after = self.sight(name, target)
            if self._outside(name, target) != others[name]:
                self.say(f"{what} of {target} in {name} changed what belongs to another target")
            if what == "expiry":
                self._after_expiry(sight, after, watch)
            if what == "sync":
                after_sync(self, sight, after)
            elif what != "expiry" and sight.labels - after.labels:
                self.say(f"{what} removed backups from {name}: {sorted(sight.labels - after.labels)[:3]}")
            if after is not sight:
                self._still_recoverable(after, what)
                self._still_whole(after, what)
            self._count(what, sight, after, watch)
        if what == "sync" and not watch.died:
            failures(self, target, watch.failed)
        if what == "sync" and not watch.failed and not watch.died and len(names) == len(self.world.shelves):
            in_step(self, target)

    def _outside(self, repository: str, target: str) -> int:
        shelf = self.world.shelves[repository]
        return len(shelf) - len(shelf.keys(f"{target}/"))

    def _count(self, what: str, before: Sight, after: Sight, watch: Watch) -> None:
        counts = self.findings.counts
        counts[f"{what} runs"] += 1
        counts[f"{what} refused"] += bool(watch.refused)
        counts[f"{what} died"] += watch.died
        counts[f"{what} failed"] += bool(watch.failed)
        counts[f"{what} blocked"] += bool(watch.blocked)
        counts[f"backups removed by {what}"] += len(before.labels - after.labels)
        counts[f"backups copied by {what}"] += len(after.labels - before.labels)
        prefix = f"{after.target}/"
        counts[f"objects fewer after {what}"] += max(0, before.objects - len(after.shelf.keys(prefix)))

    def _remember(self, before: Sight) -> None:
        """What can be recovered must be recoverable as long as the policy says."""
        place = (before.repository, before.target)
        begin = self.begins(*place)
        moments = [
            one
            for one in self.world.chronicle.moments
            if one.at >= begin and one.cluster.target == before.target
        ]
        known = self._known.setdefault(place, set())
        known |= before.recoverable([one for one in moments if one not in known])

    def begins(self, repository: str, target: str) -> datetime:
        """The recovery window of base backups there, by the latest clock that expiry could believe."""
        policy = policy_of(repository, BackupLabel("20260101T000000Z-full"))
        return self._moved_to.get((repository, target), self.world.now) - policy.keep_for

    def _after_expiry(self, before: Sight, after: Sight, watch: Watch) -> None:
        name, target = before.repository, before.target
        gone = sorted(
            (before.backups[label] for label in before.labels - after.labels), key=lambda one: one.at
        )
        if watch.died:
            self.hindered.add((name, target))
        if watch.died or not watch.refused:
            moved_to = self.believed_now(before)
            self._moved_to[name, target] = max(self._moved_to.get((name, target), moved_to), moved_to)
        for made in gone:
            self._may_go(made, before, after, watch)
        self.removed.setdefault((name, target), set()).update(made.label for made in gone)
        for made in gone:
            # Should it ever come back, it is a new copy.
            self.world.chronicle.verified.pop((name, target, made.label), None)
            self.world.chronicle.spoiled.discard((name, target, made.label))

    def _may_go(self, made: Made, before: Sight, after: Sight, watch: Watch) -> None:
        """Judge the removal of one backup."""
        name, target, proven = before.repository, before.target, before.proven
        what = f"expiry removed {made.label} of {target} from {name}"
        policy = policy_of(name, BackupLabel(made.label))
        if watch.refused and not watch.died:
            self.say(f"{what}, although it refused: {watch.refused}")
        if self.in_force(name, target, made.label):
            self.say(f"{what}, which is held or read")
        if self.believed_now(before) - made.at < policy.keep_for:
            self.say(f"{what}, which is younger than {policy.keep_for.days} days")
        of_group = [one for one in proven if one.group == made.group]
        newer = [one for one in of_group if one.at > made.at]
        if made.cluster:
            # Another cluster's count, once there are enough of them: the old one has been replaced.
            others = [one for one in proven if one.cluster and one.at > made.at and one not in of_group]
            newer = others if len(others) >= policy.min_proven else newer
        staying = [one for one in newer if one.label in after.labels]
        if made in of_group and len(staying) < policy.min_proven:
            self.say(f"{what}, one of the newest {policy.min_proven} proven of {made.group}")
        if not staying:
            self.say(f"{what}, and nothing newer of {made.group} is proven")
        if self.dropped(before, made.group):
            self.say(f"{what}, although {made.group} holds much less than before, and nobody looked")

    def believed_now(self, sight: Sight) -> datetime:
        """What expiry may take for the time: its clock, but no more than two days after the newest backup."""
        newest = max((made.at for made in sight.backups.values()), default=self.world.now)
        return min(self.world.clock(), newest + timedelta(days=2))

    def dropped(self, sight: Sight, group: str) -> bool:
        since = self.world.chronicle.drops.get((sight.target, group))
        return since is not None and any(
            made.group == group and made.at > since for made in sight.backups.values()
        )

    def _still_recoverable(self, after: Sight, what: str) -> None:
        name, target = after.repository, after.target
        begin = self.begins(name, target)
        known = {one for one in self._known.get((name, target), ()) if one.at >= begin}
        self._known[name, target] = known
        lost = known - after.recoverable(known)
        if lost:
            first = min(lost, key=lambda one: one.at)
            self.say(
                f"after {what}, {len(lost)} moments of {target} cannot be recovered from {name} any more, "
                f"the first {first.at:%Y-%m-%d %H:%M}, timeline {first.timeline} of {first.cluster.system_id}"
            )
            self._known[name, target] -= lost

    def _still_whole(self, after: Sight, what: str) -> None:
        for label in sorted(after.labels):
            why = after.whole(after.backups[label])
            if why:
                self.say(f"after {what}, in {after.repository}: {why}")
