"""A repository that is away while the others are encrypted anew: it gets the new backups from them."""

from __future__ import annotations

import contextlib
import os
from datetime import timedelta

import pytest

from backstop.commands.database.fetch import fetch_backup
from backstop.commands.progress import Silent
from backstop.commands.reencryption.reencrypt import ReencryptionSettings, reencrypt
from backstop.crypto.keyring import LocalKeyring
from tests.making import Maker
from tests.syncing import Killed, Repositories, Worn


@pytest.fixture
def world(tmp_path):
    return Repositories(tmp_path, {"near": Worn("near"), "far": Worn("far")})


@pytest.fixture
def backup(world):
    """In both; the key that it is under does not wrap any more."""
    maker = Maker(world.storages["near"], world.keyring, world.signer, world.trust, name="near")
    label = maker.publish(files={"public.equipment": os.urandom(10_000)}).manifest.label
    world.sync()
    world.compromised = world.keyring.key_ids[0]
    world.keyring = world.keyring.add_generation(world.now)
    return label


def encrypt_anew(world):
    def clock():
        world.now += timedelta(seconds=1)
        return world.now

    return reencrypt(
        ReencryptionSettings(
            target="calibrify",
            compromised=world.compromised,
            staging=world.folder / "anew",
            holder="test",
        ),
        readers=world.repositories,
        writers=world.repositories,
        opening=world.keyring,
        keyring=world.keyring,
        signer=world.signer,
        clock=clock,
        progress=Silent(),
    )


def content(world, name, label, keyring):
    into = world.folder / f"{name}-{label}"
    repository = world.repository(name)
    manifest = repository.catalog.backup(label).manifest
    fetch_backup(repository, manifest, keyring=keyring, destination=into, jobs=1, progress=Silent())
    return {path.name: path.read_bytes() for path in into.iterdir()}


def test_it_is_written_to_every_repository_that_holds_the_old_one(world, backup):
    report = encrypt_anew(world)

    assert report.complete, report.to_dict()
    new = report.successors[backup]
    only_new = LocalKeyring(world.keyring.path, world.keyring.generations[1:])
    for name in world.storages:
        assert content(world, name, new, only_new) == content(world, name, backup, world.keyring)


def test_one_that_was_away_gets_it_by_a_sync_and_the_next_run_has_nothing_to_do(world, backup):
    world.storages["far"].down = True

    report = encrypt_anew(world)

    new = report.successors[backup]
    assert not report.complete
    assert report.done == [backup]
    assert any("far could not be looked at" in one for one in report.unlooked)

    world.storages["far"].down = False
    world.sync()
    again = encrypt_anew(world)
    assert again.complete
    assert (again.done, again.successors) == ([], {backup: new})
    only_new = LocalKeyring(world.keyring.path, world.keyring.generations[1:])
    assert content(world, "far", new, only_new) == content(world, "near", backup, world.keyring)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # Killed while it uploads
def test_killed_at_any_call_the_old_one_is_whole_and_the_next_run_and_a_sync_end_it(world, backup):
    start = {name: storage.snapshot() for name, storage in world.storages.items()}
    near = world.storages["near"]
    before = near.calls
    encrypt_anew(world)
    calls, step = near.calls - before, 3
    assert calls > 20
    for number, dies_at in enumerate(range(1, calls, step)):
        for name, storage in world.storages.items():
            storage.restore(start[name])
        near.calls, near.dies_at = 0, dies_at
        with contextlib.suppress(Killed):
            encrypt_anew(world)
        near.dies_at = None
        world.now += timedelta(hours=2)  # leases of the dead run have run out

        report = encrypt_anew(world)

        assert report.complete, (number, report.to_dict())
        world.sync()
        for name in world.storages:
            manifests = [one.manifest for one in world.repository(name).catalog.backups().backups]
            assert [one.label for one in manifests] == [backup, report.successors[backup]]
            stored = {info.key for info in world.storages[name].list("calibrify/data/")}
            assert {one.key for manifest in manifests for one in manifest.objects} <= stored
