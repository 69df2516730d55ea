"""Keys come, are replaced and go; whatever is stored meanwhile is restored, or nothing is removed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from backstop.commands.keys.removal import remove_generation
from backstop.commands.keys.rotation import RotatingRing
from backstop.commands.keys.uses import KeyUses
from backstop.crypto.keyring import LocalKeyring
from backstop.errors import KeyInUseError, KeyUnavailableError, NotFoundError
from backstop.storage.memory import MemoryStorage
from tests.expiring import Signing, World

NOW = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
DAYS = timedelta(days=1)


@pytest.fixture
def ring(tmp_path):
    return LocalKeyring.create(tmp_path / "ring.json", NOW)


@pytest.fixture
def world(tmp_path):
    return World(Signing.create(tmp_path / "signing"), MemoryStorage(versioned=True))


def rotating(ring, *, by_hand=False):
    return RotatingRing(lambda: LocalKeyring.load(ring.path), by_hand, "copy the ring")


def ids(ring):
    return [one.id for one in LocalKeyring.load(ring.path).generations]


def test_a_key_wraps_for_ninety_days_and_then_another_does(ring):
    assert "wraps until 2027-02-24" in rotating(ring).rotate(now=NOW + 80 * DAYS, at_once=False)[0]
    assert len(ids(ring)) == 1

    said = rotating(ring).rotate(now=NOW + 90 * DAYS, at_once=False)

    assert "has the new key 20270224" in said[0]
    assert said[1] == "copy the ring"
    assert len(ids(ring)) == 2


def test_a_ring_whose_copy_is_made_by_hand_gets_no_key_that_exists_on_one_machine_alone(ring):
    with pytest.raises(KeyUnavailableError, match=r"a new one is due, and its copy is made by hand.*--now"):
        rotating(ring, by_hand=True).rotate(now=NOW + 90 * DAYS, at_once=False)
    assert len(ids(ring)) == 1

    rotating(ring, by_hand=True).rotate(now=NOW + DAYS, at_once=True)
    assert len(ids(ring)) == 2


def removed(ring, generation, *, uses=None, unreachable=(), now=NOW + 30 * DAYS):
    return remove_generation(
        LocalKeyring.load(ring.path), generation, uses=uses or KeyUses(), unreachable=unreachable, now=now
    )


def test_a_key_that_nothing_needs_goes_and_the_others_stay(ring):
    old = ids(ring)[0]
    newer = ring.add_generation(NOW + DAYS).generations[-1].id

    assert [one.id for one in removed(ring, old).generations] == [newer]
    assert ids(ring) == [newer]


@pytest.mark.parametrize(
    ("doubt", "said"),
    [
        (
            {"unreachable": ["s3 of calibrify"]},
            r"nobody can tell.*repository s3 of calibrify could not be looked at",
        ),
        ({"now": NOW + 2 * DAYS}, "replaced less than 2 days ago"),
    ],
)
def test_a_key_stays_while_nobody_can_tell_whether_something_needs_it(ring, doubt, said):
    old = ids(ring)[0]
    ring.add_generation(NOW + DAYS)

    with pytest.raises(KeyInUseError, match=said):
        removed(ring, old, **doubt)
    assert len(ids(ring)) == 2


def test_a_manifest_that_cannot_be_read_may_need_any_key(ring):
    old = ids(ring)[0]
    ring.add_generation(NOW + DAYS)
    uses = KeyUses()
    uses.unread.append("near: manifest x is damaged")

    with pytest.raises(KeyInUseError, match="manifest x is damaged"):
        removed(ring, old, uses=uses)


def test_the_newest_key_never_goes_and_an_unknown_one_is_named(ring):
    with pytest.raises(KeyInUseError, match="is the newest"):
        removed(ring, ids(ring)[0])
    with pytest.raises(NotFoundError, match="has no key 'x'"):
        removed(ring, "x")


def test_a_manifest_that_somebody_deleted_and_can_be_had_back_may_need_any_key(ring, world):
    old = ids(ring)[0]
    ring.add_generation(NOW + DAYS)
    label = world.dump(1)
    world.storage.delete(world.catalog.manifest_key(label))
    uses = KeyUses()
    uses.look_for_hidden(world.repository)

    with pytest.raises(
        KeyInUseError, match=f"{label}.json was deleted, and its former version is still there"
    ):
        removed(ring, old, uses=uses)
