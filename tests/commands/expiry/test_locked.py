"""Expiry where everything is locked: it comes again until a lock has ended, and locks on what stays."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backstop.commands.holding import place_hold
from backstop.errors import StorageError
from backstop.model.object_lock import AHEAD, ROLLING
from backstop.model.retention import RetentionPolicy
from backstop.storage.memory import MemoryStorage
from tests.commands.expiry.carrying import expire, plan
from tests.expiring import TODAY, World
from tests.locking import DAY, MONTH, rule

A_MONTH = RetentionPolicy(keep_for=MONTH, min_proven=1)


class Bucket(MemoryStorage):
    """Remembers by what clock it goes, and can refuse to lock on."""

    def __init__(self, **given) -> None:
        self.now = TODAY
        self.refuses = False
        super().__init__(clock=lambda: self.now, versioned=True, **given)

    def extend_lock(self, key, **given):
        if self.refuses:
            raise StorageError(f"{key}: not allowed", hint="ask for that right")
        super().extend_lock(key, **given)


@pytest.fixture
def locked(signing) -> World:
    return World(signing, Bucket(lock_rule=rule(MONTH)), policy=A_MONTH)


def pass_days(world: World, days: float) -> None:
    world.now += days * DAY
    world.storage.now = world.now


def made(world: World, day: float, **given):
    """A dump that was taken then, and locked then."""
    world.storage.now = TODAY - day * DAY
    label = world.dump(day, **given)
    world.storage.now = world.now
    return label


def locked_until(world: World, label):
    return world.storage.lock(world.catalog.manifest_key(label)).until


def test_what_retention_lets_go_stays_for_its_margin_is_shown_as_locked_and_goes_afterwards(locked):
    old, _, new = made(locked, 30.5), made(locked, 30.2), made(locked, 1)

    first = plan(locked)
    assert set(first.locked) == {old}
    assert expire(locked).expired == []
    assert old in locked.labels()

    pass_days(locked, 0.6)
    report = expire(locked)

    assert report.expired == [old]
    assert report.locked == {}
    assert new in locked.labels()
    assert old.text not in "".join(locked.stored())


def test_what_is_kept_beyond_its_time_is_locked_on_and_what_is_within_it_is_not_touched(locked):
    only = made(locked, 30.5)
    assert locked_until(locked, only) == TODAY + DAY / 2

    report = expire(locked)

    assert report.renewed == [only]
    assert report.to_dict()["renewed"] == [only.text]
    assert locked_until(locked, only) == TODAY + AHEAD
    payload = [one.key for one in locked.catalog.backup(only).manifest.objects]
    assert {locked.storage.lock(key).until for key in payload} == {TODAY + AHEAD}
    assert expire(locked).renewed == []


def test_what_came_before_there_was_a_rule_is_locked_as_long_as_what_comes_now(signing):
    world = World(signing, Bucket(), policy=A_MONTH)
    before = made(world, 2)
    assert world.storage.lock(world.catalog.manifest_key(before)) is None
    world.storage.lock_rule = rule(MONTH)

    assert expire(world).renewed == [before]

    assert locked_until(world, before) == TODAY - 2 * DAY + MONTH + DAY
    payload = [one.key for one in world.catalog.backup(before).manifest.objects]
    assert {world.storage.lock(key).until for key in payload} == {locked_until(world, before)}
    assert expire(world).renewed == []


def test_a_lock_that_cannot_be_extended_is_said_and_ends_no_expiry(locked):
    gone, kept, _ = made(locked, 40), made(locked, 30.5), made(locked, 1)
    locked.storage.refuses = True

    report = expire(locked)

    assert report.expired == [gone]
    assert [sentence for sentence in report.waiting if f"the lock of {kept} could not be" in sentence]


@pytest.mark.parametrize("lasts", [timedelta(days=90), None])
def test_a_hold_locks_what_it_holds(locked, lasts):
    label = made(locked, 1)

    report = place_hold(
        locked.target,
        [locked.repository],
        label,
        reason="audit",
        who="ada",
        until=TODAY + lasts if lasts else None,
        now=TODAY,
    )

    assert report.complete
    expected = TODAY + lasts + DAY if lasts else max(TODAY + ROLLING, TODAY - DAY + MONTH + DAY)
    assert locked_until(locked, label) == expected
