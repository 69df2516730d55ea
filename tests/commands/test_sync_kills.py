"""A sync that is killed at any call of a storage never leaves a manifest whose objects are missing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.model.backup import BackupKind
from backstop.repository.holds import Holds
from tests.syncing import TARGET, Killed, Repositories, Worn

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Repositories:
    """A dump, a tree that shares a pack, a chain of base backups and its WAL: in ``local`` alone."""
    world = Repositories(tmp_path, {name: Worn(name) for name in ("local", "s3")})
    world.back_up("local", "s3")
    world.back_up("local")
    first = world.back_up("local", kind=BackupKind.TREE, tree="media", objects=1)
    packs = world.published("local", first).manifest.objects
    world.back_up("local", kind=BackupKind.TREE, tree="media", objects=1, earlier=packs, refers_to=(first,))
    world.segments("local", [5])
    full = world.base_backup("local", objects=1)
    world.base_backup("local", objects=1, parent=full)
    Holds(world.repository("local")).place(full, reason="audit", who="ada", until=None, now=world.now)
    return world


def one_by_one(world: Repositories):
    return world.sync(settings={"copies_at_once": 1})


def without_base(world: Repositories) -> list[str]:
    """Base backups in ``s3`` whose parent or WAL is not there."""
    published = world.repository("s3").catalog.backups().base_backups
    labels = {one.manifest.label for one in published}
    wal = world.content("s3")["wal"]
    return [one.manifest.label.text for one in published if not wal or set(one.manifest.refers_to) - labels]


@pytest.mark.parametrize("name", ["local", "s3"])
def test_killed_at_any_call_nothing_is_half_there_and_the_next_run_finishes(world: Repositories, name: str):
    whole = {one: storage.snapshot() for one, storage in world.storages.items()}
    storage, now = world.storages[name], world.now
    storage.calls = 0
    assert one_by_one(world).complete
    total = storage.calls
    assert total > 30

    for step in range(1, total + 1):
        for one, snapshot in whole.items():
            world.storages[one].restore(snapshot)
        world.now = now
        storage.calls, storage.dies_at = 0, step
        with pytest.raises(Killed):
            one_by_one(world)
        storage.dies_at = None

        assert world.broken_promises("s3") == [], f"killed at call {step}"
        assert without_base(world) == [], f"killed at call {step}"
        # The dead run's leases run out.
        world.now += timedelta(minutes=10)
        report = one_by_one(world)
        assert report.complete, f"killed at call {step}: {report.sentences()}"
        assert world.content("s3") == world.content("local")
        assert world.broken_promises("s3") == without_base(world) == []
        assert len(Holds(world.repository("s3")).in_force(world.now)) == 1
    assert list(world.storages["s3"].list(f"{TARGET}/meta/manifests/"))
