"""At each publication everything that the new backup refers to is locked as long as the backup itself."""

from __future__ import annotations

import pytest

from backstop.errors import NotFoundError, ObjectMissingError
from backstop.repository.locks import BackupLocks
from backstop.storage.memory import MemoryStorage
from tests.expiring import TODAY, Signing, World
from tests.locking import DAY, MONTH, rule


class Noting(MemoryStorage):
    """Notes in which order things were locked on and put."""

    def __init__(self, **given) -> None:
        super().__init__(**given)
        self.acts: list[str] = []

    def put_once(self, key, data):
        self.acts.append(key)
        return super().put_once(key, data)

    def extend_lock(self, key, **given):
        self.acts.append(key)
        super().extend_lock(key, **given)


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Signing:
    return Signing.create(tmp_path_factory.mktemp("signing") / "keys")


@pytest.fixture
def world(signing: Signing) -> World:
    return World(signing, Noting(clock=lambda: TODAY, versioned=True, lock_rule=rule()))


def ends(world: World, key: str):
    return world.storage.lock(key).until


def due(day: float):
    """When the lock of a backup of that day ends."""
    return TODAY - day * DAY + MONTH + DAY


def test_packs_that_a_new_backup_refers_to_are_locked_as_long_as_it_is(world):
    old = world.tree(20)
    packs = world.packs(old)
    assert {ends(world, one.key) for one in packs} == {due(20)}

    world.tree(0, earlier=packs)

    assert {ends(world, one.key) for one in packs} == {due(0)}
    assert ends(world, world.catalog.manifest_key(old)) == due(20), "the old backup itself goes when it would"


def test_the_whole_chain_of_an_incremental_and_its_manifests_are_locked_as_long_as_it_is(world):
    full = world.base(14, start=0)
    first = world.base(7, parent=full, start=1)
    world.base(0, parent=first, start=2)

    for label in (full, first):
        assert ends(world, world.catalog.manifest_key(label)) == due(0)
        assert {ends(world, one.key) for one in world.catalog.backup(label).manifest.objects} == {due(0)}


def test_wal_that_a_base_backup_cannot_be_started_without_is_locked_as_long_as_it_is(signing):
    early = [TODAY - 5 * DAY]
    storage = MemoryStorage(clock=lambda: early[0], versioned=True, lock_rule=rule())
    world = World(signing, storage)
    before, needed = world.wal(0, 0), world.wal(1, 2)  # as of a standby, whose last checkpoint is old
    early[0] = TODAY

    world.base(0, start=1)

    assert {ends(world, key) for key in needed} == {due(0)}
    assert {ends(world, key) for key in before} == {due(5)}


def test_it_is_all_locked_before_the_manifest_makes_the_backup_exist(world):
    packs = world.packs(world.tree(20))
    world.storage.acts.clear()

    label = world.tree(0, earlier=packs)

    acts = world.storage.acts
    manifest = acts.index(world.catalog.manifest_key(label))
    assert all(acts.index(one.key) < manifest for one in packs)


def test_a_backup_whose_pack_has_gone_is_not_published(world):
    packs = world.packs(world.tree(20))
    world.storage._objects.pop(packs[0].key)

    with pytest.raises(ObjectMissingError):
        world.tree(0, earlier=packs)

    assert len(world.labels()) == 1


def test_locking_on_a_backup_locks_its_payload_its_proofs_and_last_its_manifest(world):
    label = world.dump(20)
    world.storage.acts.clear()

    BackupLocks(world.storage, world.catalog).extend(label, due(0))

    assert world.storage.acts[-1] == world.catalog.manifest_key(label)
    about = {one.key for one in world.storage.list(f"{world.target}/") if label.text in one.key}
    assert len(about) == 4
    assert {ends(world, key) for key in about} == {due(0)}
    assert world.storage.lock("repository.json").until == due(0)


def test_a_backup_that_is_not_there_cannot_be_locked_on(world):
    label = world.dump(20)
    world.storage._objects.pop(world.catalog.manifest_key(label))

    with pytest.raises(NotFoundError):
        BackupLocks(world.storage, world.catalog).extend(label, due(0))
