"""What runs every night: the program's own commands, with this world's clock and settings."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.commands.expiry.carry_out import carry_out
from backstop.commands.expiry.plan import plan_expiry
from backstop.commands.expiry.settings import ExpirySettings
from backstop.commands.orphans.find import find_orphans
from backstop.commands.orphans.remove import remove_orphans
from backstop.commands.progress import Silent
from backstop.commands.sync.settings import SyncSettings
from backstop.commands.sync.sync import sync_repositories
from backstop.model.backup import BackupLabel
from backstop.model.retention import apply_retention
from backstop.repository.holds import Holds
from tests.simulation.policies import GRACE, policy_of
from tests.simulation.world import LOCAL, REMOTE

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from backstop.model.retention import RetentionPlan, RetentionPolicy
    from backstop.repository.catalog import Repository
    from tests.simulation.judge import Judge
    from tests.simulation.world import World

_LABEL = re.compile(r"\d{8}T\d{6}Z-(?:dump|full|incr|tree-\w+)")


class Procedures:
    """Sync, then expiry and orphans in each repository; and people who hold backups and let them go."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.sync_settings = SyncSettings(
            staging=folder / "staging",
            places=lambda label: (LOCAL, REMOTE),
            wal_places=(LOCAL, REMOTE),
            retention=self._retention,
        )
        self._placed: list[tuple[Repository, str, int]] = []

    def sync(self, target: str) -> list[str]:
        """Copy what one repository has and the other should have. :returns: what went wrong."""
        report = sync_repositories(
            target=target,
            repositories=self.world.repositories(target),
            signer=self.world.writer,
            settings=self.sync_settings,
            clock=self.world.clock,
            holder="sync",
            progress=Silent(),
        )
        return report.sentences()

    def _retention(self, name: str, candidates: Any, now: datetime, seen: Any) -> RetentionPlan:
        accepted = [BackupLabel(label) for _, label in self.world.chronicle.accepted]
        return apply_retention(candidates, policies=policies_of(name), now=now, seen=seen, accepted=accepted)

    def expire(self, repository: Repository, judge: Judge) -> tuple[str, ...]:
        """Plan, and carry the plan out. :returns: what it held back, in words."""
        target = repository.catalog.target
        settings = ExpirySettings(policies=policies_of(repository.name), accepted=self.accepted(target))
        plan = plan_expiry(repository, settings=settings, now=self.world.clock())
        if self.world.dice.random() < 0.2:
            # Not everything was approved.
            judge.hindered.add((repository.name, target))
            plan = plan.only([label for label in plan.labels if self.world.dice.random() < 0.5])
        carry_out(plan, repository, inventory=None, clock=self.world.clock)
        return plan.blocked

    def remove_orphans(self, repository: Repository) -> None:
        """Of attempts that died, what is older than the grace period."""
        found = find_orphans(repository, grace=GRACE, now=self.world.clock())
        remove_orphans(
            repository,
            found,
            grace=GRACE,
            holder="orphans",
            clock=self.world.clock,
            progress=Silent(),
        )

    def accepted(self, target: str) -> frozenset[BackupLabel]:
        return frozenset(
            BackupLabel(label) for name, label in self.world.chronicle.accepted if name == target
        )

    def look_at(self, target: str, sentence: str) -> None:
        """Somebody reads what expiry says, and accepts what it names: a backup that a wrong clock dated
        ahead, or lower numbers that were looked at before. What fell just now takes longer (see ``shocks``).
        """
        chronicle = self.world.chronicle
        for label in _LABEL.findall(sentence.partition("accept ")[2]):
            made = chronicle.made[target, label]
            ahead = not self.world.wrong_by and made.at > self.world.now
            if ahead or (target, made.group) not in chronicle.drops:
                chronicle.accepted.add((target, label))

    def hold(self, repository: Repository, label: str, judge: Judge) -> None:
        """Somebody wants to keep a backup, until a day or until it is said otherwise."""
        world = self.world
        days = world.dice.choice((3, 20, 90, None))
        until = None if days is None else world.now + timedelta(days=days)
        if until is not None and until <= world.clock():
            return
        placed = Holds(repository).place(
            BackupLabel(label), reason="an audit", who="somebody", until=until, now=world.clock()
        )
        self._placed.append((repository, label, placed.number))
        judge.hold(repository.name, repository.catalog.target, label, placed.number, until)

    def release_some(self, judge: Judge) -> None:
        """Somebody does not need it any more: it is released wherever it lies, once everything answers."""
        world = self.world
        if any(shelf.down for shelf in world.shelves.values()):
            return
        for placed in list(self._placed):
            if world.dice.random() > 0.03:
                continue
            self._placed.remove(placed)
            repository, label, number = placed
            target = repository.catalog.target
            same = [one for one in Holds(repository).of(BackupLabel(label)) if one.number == number]
            for one in world.repositories(target):
                for hold in Holds(one).of(BackupLabel(label)):
                    if same and hold.sha256 == same[0].sha256:
                        Holds(one).release_same(
                            BackupLabel(label), hold.sha256, who="somebody", now=world.clock(),
                            signer=world.verifier,
                        )  # fmt: skip
            judge.release(repository.name, target, label, number)


def policies_of(name: str) -> Callable[[BackupLabel], RetentionPolicy]:
    """Of one repository."""
    return lambda label: policy_of(name, label)
