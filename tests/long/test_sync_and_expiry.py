"""Weeks of backups that reach some repositories, of killed syncs, of expiry: in step, never in a circle."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.commands.expiry.carry_out import carry_out
from backstop.commands.expiry.plan import plan_expiry
from backstop.commands.expiry.settings import ExpirySettings
from backstop.model.backup import BackupKind
from backstop.model.retention import RetentionPolicy, apply_retention
from tests.making import STARTED, Maker
from tests.syncing import Killed, Repositories, Worn

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from backstop.model.backup import BackupLabel

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

DAYS = 30
NAMES = ("local", "s3", "paris")


class Weeks:
    """Three repositories with a retention each, and what is backed up into those that are not down."""

    def __init__(self, folder: Path, random: Random) -> None:
        self.random = random
        self.policies = {
            "local": RetentionPolicy(keep_for=timedelta(days=random.choice([5, 9]))),
            "s3": RetentionPolicy(keep_for=timedelta(days=25), weekly=random.choice([0, 8])),
            "paris": RetentionPolicy(keep_last=random.choice([1, 6]), weekly=4, daily=3, min_proven=2),
        }
        self.world = Repositories(folder, {name: Worn(name) for name in NAMES})
        self.full: BackupLabel | None = None
        self.tree: BackupLabel | None = None
        self.segment = 1
        self.kills = self.copied = self.expired = 0

    def reached(self) -> list[str]:
        """The repositories that are not down just now."""
        return [name for name in NAMES if self.random.random() < 0.75] or [self.random.choice(NAMES)]

    def back_up(self, day: int) -> None:
        world = self.world
        world.made = day * 24
        world.back_up(*self.reached())
        into = self.reached()
        packs = self._packs(into)
        refers_to = (self.tree,) if packs and self.tree else ()
        self.tree = world.back_up(
            *into, kind=BackupKind.TREE, tree="media", earlier=packs, refers_to=refers_to
        )
        into = self._archive()
        if day % 7 == 0:
            self.full = world.base_backup(*into, segment=self.segment)
        elif day % 2 and (into := self._holders(self.full, into)):
            world.base_backup(*into, segment=self.segment, parent=self.full)
        self.segment += 2
        world.now = STARTED + timedelta(days=day, hours=20)

    def _holders(self, label: BackupLabel | None, names: list[str]) -> list[str]:
        return [name for name in names if label and self.world.repository(name).catalog.has(label)]

    def _packs(self, into: list[str]):
        if self.tree is None or self._holders(self.tree, into) != into:
            return ()
        return self.world.published(into[0], self.tree).manifest.objects[-2:]

    def _archive(self) -> list[str]:
        """Two segments of WAL, the same ciphertext everywhere."""
        first, *others = into = self.reached()
        for key in self.world.segments(first, [self.segment, self.segment + 1]):
            for name in others:
                self.world.storages[name].upload(key, self.world.storages[first].read(key))
        return into

    def prove(self) -> None:
        for name in NAMES:
            catalog = self.world.repository(name).catalog
            maker = Maker(
                self.world.storages[name], self.world.keyring, self.world.signer, self.world.trust, name=name
            )
            for one in catalog.backups().backups:
                if not catalog.verifications(one).proofs and self.random.random() < 0.5:
                    maker.prove(one, signer=self.world.proof_signer, matched=self.random.random() < 0.9)

    def sync(self):
        def retention(name, candidates, now, seen):
            return apply_retention(candidates, policies=lambda label: self.policies[name], now=now, seen=seen)

        return self.world.sync(settings={"retention": retention})

    def sync_and_die(self) -> None:
        victim = self.world.storages[self.random.choice(NAMES)]
        victim.calls, victim.dies_at = 0, self.random.randrange(1, 120)
        try:
            self.sync()
        except Killed:
            self.kills += 1
        victim.dies_at = None
        self.world.now += timedelta(minutes=10)

    def expire(self, name: str, *, not_of: set[str]) -> None:
        """Nothing goes that has just been copied."""
        repository = self.world.repository(name)
        settings = ExpirySettings(policies=lambda label: self.policies[name])
        plan = plan_expiry(repository, settings=settings, now=self.world.now)
        going = {label.text for label in plan.retention.expired}
        assert not going & not_of, f"{name} expires what was copied into it a moment ago"
        self.expired += len(going)
        carry_out(plan, repository, inventory=None, clock=lambda: self.world.now)


def test_every_repository_is_in_step_every_night_and_nothing_that_went_comes_back(folder, campaign):
    trials = campaign("sync-and-expiry", 6)
    for trial in trials:
        place = folder / str(trial.number)
        place.mkdir()
        weeks = Weeks(place, trial.random)
        for day in range(DAYS):
            weeks.back_up(day)
            weeks.prove()
            if trial.random.random() < 0.5:
                weeks.sync_and_die()
            before = {name: set(weeks.world.content(name)) for name in NAMES}
            report = weeks.sync()
            assert report.sentences() == [], f"day {day}"
            again = weeks.sync()
            assert [(one.copied, one.wal_objects) for one in again.repositories] == [([], 0)] * 3, (
                f"day {day}"
            )
            for name in NAMES:
                assert weeks.world.broken_promises(name) == [], f"day {day}, {name}"
                weeks.expire(name, not_of=set(weeks.world.content(name)) - before[name])
                assert weeks.world.broken_promises(name) == [], f"day {day}, {name}, after expiry"
            weeks.copied += sum(len(one.copied) for one in report.repositories)
        assert weeks.copied
        assert weeks.expired
        trials.note(killed=weeks.kills, copied=weeks.copied, expired=weeks.expired)
