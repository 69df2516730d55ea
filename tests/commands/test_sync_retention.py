"""A sync brings nothing back that expiry has let go, or would let go tonight, whatever the clock says."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.commands.expiry.carry_out import carry_out
from backstop.commands.expiry.plan import plan_expiry
from backstop.commands.expiry.settings import ExpirySettings
from backstop.model.lsn import WalSegment
from backstop.model.retention import RetentionPolicy, apply_retention
from backstop.repository.holds import Holds
from backstop.repository.wal_names import WalNames
from tests.making import Maker
from tests.syncing import SEGMENT_BYTES, TARGET, Repositories, Worn

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.model.backup import BackupLabel

POLICIES = {
    "local": RetentionPolicy(keep_for=timedelta(days=7), min_proven=3),
    "s3": RetentionPolicy(keep_for=timedelta(days=90), min_proven=3),
    "paris": RetentionPolicy(keep_last=2, min_proven=1),
}


def retention(name, candidates, now, seen):
    return apply_retention(candidates, policies=lambda label: POLICIES[name], now=now, seen=seen)


class World(Repositories):
    """``local`` keeps a week, ``s3`` a quarter, ``paris`` two backups."""

    def daily(self, *into: str) -> BackupLabel:
        self.made += 23
        return self.back_up(*into)

    def prove(self, label: BackupLabel, *names: str, matched: bool = True) -> None:
        for name in names:
            maker = Maker(self.storages[name], self.keyring, self.signer, self.trust, name=name)
            maker.prove(self.published(name, label), signer=self.proof_signer, matched=matched)

    def in_step(self, *into: str):
        report = self.sync(settings={"retention": retention}, destinations=into or None)
        assert report.complete, report.sentences()
        return {one.name: one.copied for one in report.repositories}

    def expiring(self, name: str) -> list[BackupLabel]:
        """What expiry would remove there right now."""
        settings = ExpirySettings(policies=lambda label: POLICIES[name])
        plan = plan_expiry(self.repository(name), settings=settings, now=self.now)
        return list(plan.retention.expired)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, {name: Worn(name) for name in ("local", "s3", "paris")})


def test_a_repository_gets_what_its_rules_keep_and_nothing_that_would_go_tonight(world):
    labels = [world.daily("s3") for _ in range(20)]

    copied = world.in_step()

    # A week, and the newest from before it.
    assert copied["local"] == [label.text for label in labels[-8:]]
    assert copied["paris"] == [label.text for label in labels[-2:]]
    assert world.expiring("local") == world.expiring("paris") == []
    assert world.in_step() == {"local": [], "s3": [], "paris": []}


def test_a_backup_that_was_let_go_for_a_proven_one_does_not_come_back_every_night(world, monkeypatch):
    monkeypatch.setitem(POLICIES, "local", RetentionPolicy(weekly=4, min_proven=1))
    tuesday = world.daily("local", "s3")
    wednesday = world.daily("s3")
    world.made += 7 * 24
    newest = world.daily("local", "s3")
    for label in (tuesday, newest):
        world.prove(label, "local", "s3")

    # Of that week the rules want the newest. Expiry has kept the newest that is proven there.
    assert world.in_step("local") == {"local": []}
    assert wednesday.text not in world.content("local")


@pytest.mark.parametrize("days", [365, 61, -30, -1])
def test_a_wrong_clock_brings_nothing_back_and_the_newest_is_copied_all_the_same(world, days):
    for _ in range(30):
        world.prove(world.daily("s3"), "s3")
    world.in_step("local")
    kept = set(world.content("local"))
    newest = world.daily("s3")
    right = world.now
    world.now = right + timedelta(days=days)

    report = world.sync(settings={"retention": retention}, destinations=["local"])

    (local,) = report.repositories
    assert local.copied == [newest.text]
    assert "retention was asked as of" in local.notes[0]
    assert set(world.content("local")) == {*kept, newest.text}


def test_a_hold_is_not_over_because_a_clock_ran_ahead(world):
    held = world.daily("s3")
    Holds(world.repository("s3")).place(
        held, reason="audit", who="ada", until=world.now + timedelta(days=40), now=world.now
    )
    for _ in range(30):
        world.daily("local", "s3")
    world.now += timedelta(days=50)

    assert held.text in world.in_step("local")["local"]


OLD = "6900000000000000001"
OLD_WAL = WalNames(TARGET, OLD)


class Upgraded(World):
    """A cluster that was promoted, and after that replaced: ``local`` has let it go, ``s3`` keeps it."""

    def __init__(self, folder: Path) -> None:
        names = ("local", "s3")
        super().__init__(folder, {name: Worn(name, clock=lambda: self.now) for name in names})
        self.old = [self.old_base(segment, timeline) for segment, timeline in ((5, 1), (6, 1), (7, 2))]
        for name in names:
            self.storages[name].upload(OLD_WAL.history(2, "0" * 64), b"history")
        for _ in range(14):
            self.new_base()
        self.expire("local")

    def old_base(self, segment: int, timeline: int) -> BackupLabel:
        for name in self.storages:
            key = OLD_WAL.segment(WalSegment(timeline, segment, SEGMENT_BYTES), f"{segment:064}")
            self.storages[name].upload(key, b"segment")
        return self.base_backup("local", "s3", segment=segment, system_id=OLD, timeline=timeline)

    def new_base(self) -> None:
        self.made += 23
        label = self.base_backup("local", "s3", segment=self.made)
        self.prove(label, "local", "s3")

    def expire(self, name: str) -> None:
        settings = ExpirySettings(policies=lambda label: POLICIES[name])
        plan = plan_expiry(self.repository(name), settings=settings, now=self.now)
        carry_out(plan, self.repository(name), inventory=None, clock=lambda: self.now)

    def of_old(self, name: str) -> list[str]:
        wal = [info.key for info in self.storages[name].list(OLD_WAL.whole)]
        return [*wal, *(label.text for label in self.old if label.text in self.content(name))]


def test_a_cluster_that_was_let_go_does_not_come_back_with_the_histories_of_its_timelines(tmp_path):
    world = Upgraded(tmp_path)
    assert world.of_old("local") == []
    assert len(world.of_old("s3")) == 3 + 1 + 3

    for _ in range(3):
        world.new_base()
        assert world.in_step() == {"local": [], "s3": []}
        world.expire("local")

    assert world.of_old("local") == []


def test_one_backup_that_is_held_brings_its_own_wal_and_no_other_backup_of_its_cluster(tmp_path):
    world = Upgraded(tmp_path)
    held = world.old[0]
    Holds(world.repository("s3")).place(held, reason="audit", who="ada", until=None, now=world.now)

    assert world.in_step() == {"local": [held.text], "s3": []}
    for _ in range(3):
        world.new_base()
        assert world.in_step() == {"local": [], "s3": []}
        world.expire("local")

    segment = OLD_WAL.segment(WalSegment(1, 5, SEGMENT_BYTES), f"{5:064}")
    assert world.of_old("local") == [segment, OLD_WAL.history(2, "0" * 64), held.text]
