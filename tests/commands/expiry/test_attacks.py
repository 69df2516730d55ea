"""What would cost data although every rule was followed: deleted manifests, cut tails, clocks, lost rows."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from backstop.commands.expiry.carry_out import carry_out
from backstop.commands.expiry.plan import plan_expiry
from backstop.commands.legacy.known import look_at
from backstop.commands.legacy.places import DirectoryPlace, Kind
from backstop.commands.legacy.retire import plan_retirement
from backstop.commands.orphans.find import find_orphans
from backstop.commands.orphans.remove import remove_orphans
from backstop.commands.progress import Silent
from backstop.errors import IntegrityError
from backstop.model.lsn import Lsn, WalSegment
from backstop.model.retention import RetentionPolicy
from backstop.repository.legacy_records import LegacyRecords
from backstop.repository.pins import pin
from backstop.repository.wal_names import WalNames, covering
from backstop.storage.memory import MemoryStorage
from tests.expiring import CLUSTER, MIB, TODAY, World
from tests.legacy_making import DUMPS, dump_name

MONTH = RetentionPolicy(keep_for=timedelta(days=30))


def expire(world):
    made = plan_expiry(world.repository, settings=world.settings, now=world.now)
    return made, carry_out(made, world.repository, inventory=None, clock=world.clock)


def test_what_a_deleted_manifest_needs_is_no_orphan_while_its_version_is_there(signing):
    box = [TODAY]
    world = World(signing, storage=MemoryStorage(clock=lambda: box[0], versioned=True))
    hidden, _ = world.dump(5), world.dump(1)
    world.storage.delete(world.catalog.manifest_key(hidden))
    box[0] = TODAY + timedelta(days=30)

    found = find_orphans(world.repository, grace=timedelta(days=2), now=box[0])

    with pytest.raises(IntegrityError, match="its former version is still there"):
        remove_orphans(
            world.repository,
            found,
            grace=timedelta(days=2),
            holder="test",
            clock=lambda: box[0],
            progress=Silent(),
        )
    assert any(hidden.text in key for key in world.stored("calibrify/data/"))


def test_packs_that_a_deleted_manifest_lists_stay_while_its_version_is_there(signing):
    world = World(signing, storage=MemoryStorage(clock=lambda: TODAY, versioned=True))
    first = world.tree(10)
    hidden = world.tree(9, earlier=world.packs(first))
    world.tree(2)
    world.storage.delete(world.catalog.manifest_key(hidden))

    made, report = expire(world)

    assert not made.labels
    assert any("its former version is still there" in str(error) for error in report.unreadable)
    assert any(first.text in key for key in world.stored("calibrify/data/"))


def test_pieces_of_a_segment_stay_from_its_first_byte_on(signing):
    world = World(signing, policy=RetentionPolicy(keep_last=1, min_proven=1))
    world.base(10, start=2)
    world.wal(2, 9)
    world.base(1, start=10, start_lsn=str(Lsn(10 * 16 * MIB + 6 * MIB)))
    names, segment = WalNames("calibrify", CLUSTER), WalSegment(1, 10, 16 * MIB)
    for offset in (0, 4, 8):
        key = names.delta(segment, offset * MIB, 4 * MIB, secrets.token_hex(32))
        world.storage.upload(key, b"x")

    expire(world)

    pieces = [names.parse_delta(info) for info in world.storage.list(names.tails)]
    assert len(covering(piece for piece in pieces if piece)) == 3


def test_one_night_under_a_clock_that_is_two_months_ahead_costs_nothing_within_the_window(signing):
    world = World(signing, policy=MONTH)
    for days in range(40, -1, -1):
        world.dump(days)
    world.now = TODAY + timedelta(days=58)
    world.dump(-58)

    expire(world)

    within = [label for label in world.labels() if label.text < f"{TODAY:%Y%m%dT%H%M%SZ}"]
    assert len(within) >= 28


def test_a_drop_is_noticed_although_nothing_before_it_is_proven(signing):
    world = World(signing, policy=MONTH)
    for days in range(80, -1, -1):
        world.dump(days, proven=days == 0, rows=100_000 if days > 35 else 3)

    made, _ = expire(world)

    assert not made.labels
    assert any("less than" in sentence for sentence in made.blocked)


def test_while_dumps_have_lost_rows_base_backups_and_their_wal_stay(signing):
    world = World(signing, policy=MONTH)
    for days in range(60, -1, -1):
        world.dump(days, rows=100_000 if days > 33 else 3)
    for number, days in enumerate(range(56, -1, -7)):
        world.base(days, start=2 + number)
    world.wal(2, 12)

    made, _ = expire(world)

    assert not made.labels
    assert len(world.stored("calibrify/data/wal/")) == 11


def test_wal_of_a_kept_base_backup_that_is_dated_ahead_stays_after_an_upgrade(signing):
    world = World(signing, policy=RetentionPolicy(keep_for=timedelta(days=10), min_proven=1))
    world.base(60, start=2)
    ahead = world.base(-700, start=4)
    world.wal(2, 6)
    for key, (body, info) in list(world.storage._objects.items()):
        if "/wal/" in key:
            world.storage._objects[key] = (body, replace(info, modified_at=TODAY - timedelta(days=50)))
    for days in range(30, -1, -3):
        world.base(days, start=2 + 30 - days, system_id="7000000000000000002")
    settings = replace(world.settings, accepted=frozenset([ahead]))

    for _ in range(2):
        made = plan_expiry(world.repository, settings=settings, now=world.now)
        carry_out(made, world.repository, inventory=None, clock=world.clock)

    assert ahead in world.labels()
    assert len(world.stored(f"calibrify/data/wal/{CLUSTER}/")) >= 3


def test_a_reader_counts_although_the_clock_here_is_ahead(signing):
    world = World(signing)
    old, _ = world.dump(5), world.dump(1)
    with pin(world.storage, "calibrify", old, holder="restore", clock=lambda: TODAY):
        world.now = TODAY + timedelta(minutes=40)
        expire(world)

    assert old in world.labels()


def test_old_files_of_scripts_stay_while_new_backups_have_lost_rows(signing, tmp_path):
    world = World(signing, policy=MONTH)
    for days in range(100, 60, -1):
        (tmp_path / dump_name(TODAY - timedelta(days=days))).write_bytes(b"x" * days)
    for days in range(59, -1, -1):
        world.dump(days, rows=100_000 if days > 32 else 0)
    place, records = (
        DirectoryPlace(Kind("", "local", DUMPS), tmp_path),
        LegacyRecords(world.repository, signing.trust),
    )
    stock = look_at([place], {"local": records})

    plan = plan_retirement(place, stock.found, records=records, policies=lambda _: MONTH, now=world.now)

    assert list(plan.going) == []
