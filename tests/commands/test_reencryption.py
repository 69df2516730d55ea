"""After a compromise: everything that a key protects is encrypted anew, and nothing is lost on the way."""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from moto.server import ThreadedMotoServer

from backstop.commands.database.fetch import fetch_backup
from backstop.commands.expiry.carry_out import carry_out
from backstop.commands.expiry.plan import plan_expiry
from backstop.commands.expiry.settings import ExpirySettings
from backstop.commands.progress import Silent
from backstop.commands.reencryption.reencrypt import ReencryptionSettings, reencrypt
from backstop.crypto.header import wrapping_keys
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.kms import KmsKeyring, kms_clients
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.errors import BackstopError, ConfigurationError, StorageUnavailableError
from backstop.model.backup import BackupKind, BackupLabel
from backstop.model.reencryption import REENCRYPTED_FROM, reencrypted_from
from backstop.model.retention import RetentionPolicy
from backstop.repository.holds import Holds
from backstop.storage.memory import MemoryStorage
from backstop.storage.posix import PosixStorage
from tests.making import STARTED, Maker
from tests.model.retaining import planned, tree
from tests.trees import ProtectedTree

DAY = timedelta(days=1)
NOW = STARTED + 3 * DAY
CONTENT = {"public.equipment": os.urandom(100_000)}


class Compromised:
    """A target whose key ring had a key that somebody else may have."""

    def __init__(self, folder, storage):
        self.folder = folder
        self.ring = LocalKeyring.create(folder / "ring.json", STARTED - DAY)
        create_signing_keys(folder / "signing")
        self.proofs = Signer.load(folder / "signing" / "proof.pem")
        self.storage = storage
        self.maker = self.made()
        self.key = self.ring.key_ids[0]
        self.now = NOW

    def made(self):
        return Maker(
            self.storage,
            self.ring,
            Signer.load(self.folder / "signing" / "manifest.pem"),
            TrustedSigners.load(self.folder / "signing" / "trusted.json"),
        )

    def rotate(self):
        self.ring = self.ring.add_generation(NOW - DAY)
        self.maker = self.made()

    @property
    def without_the_key(self):
        """A ring that has only what came after."""
        return LocalKeyring(self.ring.path, self.ring.generations[1:])

    def clock(self):
        self.now += timedelta(seconds=1)
        return self.now

    def reencrypt(self, **changes):
        return reencrypt(
            ReencryptionSettings(
                target="calibrify",
                compromised=self.key,
                staging=self.folder / "staging",
                holder="test",
            ),
            **{
                "readers": [self.maker.repository],
                "writers": [self.maker.repository],
                "opening": self.ring,
                "keyring": self.ring,
                "signer": self.maker.signer,
                "clock": self.clock,
                "progress": Silent(),
                **changes,
            },
        )

    def reencrypt_or_fail(self, **changes):
        """What became of it, whatever it was."""
        try:
            return self.reencrypt(**changes).to_dict()
        except BackstopError as error:
            return error

    def labels(self):
        return [one.manifest.label for one in self.maker.catalog.backups().backups]

    def content(self, label, keyring, name):
        into = self.folder / f"fetched-{name}"
        manifest = self.maker.catalog.backup(label).manifest
        fetch_backup(
            self.maker.repository, manifest, keyring=keyring, destination=into, jobs=1, progress=Silent()
        )
        return {path.name: path.read_bytes() for path in into.iterdir()}

    def plan(self, **rules):
        return plan_expiry(
            self.maker.repository,
            settings=ExpirySettings(
                policies=lambda label: RetentionPolicy(**{"keep_last": 2, "min_proven": 1, **rules}),
                holder="test",
            ),
            now=self.clock(),
        )


@pytest.fixture(params=["posix", "memory"])
def compromised(request, tmp_path):
    folder = PosixStorage(tmp_path / "repository")
    return Compromised(tmp_path, folder if request.param == "posix" else MemoryStorage(clock=lambda: NOW))


def test_what_the_key_protected_is_readable_without_it_and_equal_to_the_last_byte(compromised):
    old = compromised.maker.publish(files=CONTENT, packed={"small": b"x"})
    compromised.rotate()
    newer = compromised.maker.publish(started_at=STARTED + DAY)

    report = compromised.reencrypt()

    assert report.complete
    new = report.successors[old.manifest.label]
    assert report.done == [old.manifest.label]
    assert compromised.labels() == [old.manifest.label, new, newer.manifest.label]
    before = compromised.content(old.manifest.label, compromised.ring, "before")
    assert compromised.content(new, compromised.without_the_key, "after") == before
    for stored in compromised.maker.catalog.backup(new).manifest.objects:
        with compromised.storage.open(stored.key) as source:
            assert wrapping_keys(source, name=stored.key) == compromised.ring.key_ids


def test_a_key_that_still_wraps_is_refused_before_anything_is_written(compromised):
    compromised.maker.publish()

    with pytest.raises(ConfigurationError, match=r"still wraps new backups.*rotate"):
        compromised.reencrypt()

    assert len(compromised.labels()) == 1


def test_of_a_key_of_kms_it_is_not_said_that_rotating_it_would_help(compromised):
    arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    compromised.ring, compromised.key = KmsKeyring([arn], client_for=lambda region: None), arn

    with pytest.raises(ConfigurationError, match="still wraps") as caught:
        compromised.reencrypt()

    assert "--escrow-key" in caught.value.hint
    assert "rotate-keys" not in caught.value.hint


MULTI_REGION = "arn:aws:kms:{}:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
NEAR, FAR = MULTI_REGION.format("eu-central-1"), MULTI_REGION.format("eu-west-1")


def test_a_replica_of_the_key_in_another_region_is_no_other_key(compromised):
    compromised.ring, compromised.key = KmsKeyring([NEAR], client_for=lambda region: None), FAR

    with pytest.raises(ConfigurationError, match="still wraps") as caught:
        compromised.reencrypt()

    assert "a replica in another region has the same material" in caught.value.hint


@pytest.fixture
def kms_client_for():
    """moto's server, a MOCK of KMS."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield kms_clients(access_key_id="mock", secret_access_key="mock", endpoint_url=f"http://{host}:{port}")
    server.stop()


def test_what_the_key_wrapped_is_found_and_counted_under_the_name_of_its_replica(
    compromised, kms_client_for, monkeypatch
):
    monkeypatch.setattr("moto.kms.models.generate_key_id", lambda _: f"mrk-{uuid.uuid4().hex}")
    made = kms_client_for("eu-west-1").create_key(MultiRegion=True)
    far = made["KeyMetadata"]["Arn"]
    ring, compromised.ring = compromised.ring, KmsKeyring([far], client_for=kms_client_for)
    compromised.maker = compromised.made()
    published = compromised.maker.publish()
    with compromised.storage.open(published.manifest.objects[0].key) as stored:
        compromised.storage.upload("calibrify/data/wal/1/00000001/" + "0" * 24, stored.read())
    compromised.key = far.replace("eu-west-1", "eu-central-1")

    report = compromised.reencrypt(dry_run=True, keyring=ring)

    assert report.wanted == [published.manifest.label]
    assert set(report.wal_objects.values()) == {1}


def test_a_second_run_finds_the_work_done(compromised):
    compromised.maker.publish()
    compromised.rotate()
    first = compromised.reencrypt()

    again = compromised.reencrypt()

    assert again.complete
    assert (again.wanted, again.done, again.successors) == ([], [], first.successors)
    assert len(compromised.labels()) == 2


class Failing:
    """A storage that fails at the n-th write and at all that follow."""

    def __init__(self, storage, at):
        self._storage, self._left = storage, at

    def __getattr__(self, name):
        return getattr(self._storage, name)

    def _write(self, name, *args, **options):
        self._left -= 1
        if self._left < 0:
            raise StorageUnavailableError("the worker was killed")
        return getattr(self._storage, name)(*args, **options)

    def put_once(self, *args, **options):
        return self._write("put_once", *args, **options)

    def upload(self, *args, **options):
        return self._write("upload", *args, **options)

    def delete(self, *args, **options):
        raise StorageUnavailableError("the worker was killed")


@pytest.mark.parametrize("at", range(14))
def test_cut_off_at_any_write_everything_old_is_restorable_and_the_next_run_ends_it(tmp_path, at):
    compromised = Compromised(tmp_path, MemoryStorage(clock=lambda: NOW))
    labels = [
        compromised.maker.publish(started_at=STARTED + number * DAY, files=CONTENT).manifest.label
        for number in range(2)
    ]
    compromised.rotate()
    broken = Failing(compromised.storage, at)
    writer = replace(
        compromised.maker.repository,
        storage=broken,
        catalog=Maker(broken, compromised.ring, compromised.maker.signer, compromised.maker.trust).catalog,
    )

    cut = compromised.reencrypt_or_fail(writers=[writer])

    for number, label in enumerate(compromised.labels()):
        assert compromised.content(label, compromised.ring, f"{number}")["public.equipment"]
    compromised.now += timedelta(hours=2)  # leases of the killed run have run out
    report = compromised.reencrypt()
    assert report.complete, (cut, report.to_dict())
    assert set(report.successors) == set(labels)
    assert len(compromised.labels()) == 4


def test_a_damaged_backup_gets_no_successor_and_is_named(compromised):
    old = compromised.maker.publish(files=CONTENT)
    good = compromised.maker.publish(started_at=STARTED + DAY)
    compromised.rotate()
    stored = old.manifest.objects[-1]
    for version in list(compromised.storage.versions_of(stored.key)):
        compromised.storage.delete(stored.key, version_id=version.version_id)

    report = compromised.reencrypt()

    assert not report.complete
    assert list(report.failed) == [old.manifest.label]
    assert report.done == [good.manifest.label]
    assert len(compromised.labels()) == 3


def test_the_old_one_goes_only_once_the_new_one_is_proven_and_days_are_not_counted_twice(compromised):
    old = [compromised.maker.publish(started_at=STARTED + number * DAY) for number in range(2)]
    for one in old:
        compromised.maker.prove(one, signer=compromised.proofs)
    compromised.rotate()
    report = compromised.reencrypt()

    # Both days and both copies of each: were they counted as four, the first day would go.
    assert compromised.plan().labels == ()

    new = report.successors[old[0].manifest.label]
    compromised.maker.prove(compromised.maker.catalog.backup(new), signer=compromised.proofs)
    plan = compromised.plan()
    assert plan.labels == (old[0].manifest.label,)
    assert "holds the same, encrypted anew, and is proven" in plan.doomed[0].reasons[0]

    carry_out(plan, compromised.maker.repository, inventory=None, clock=compromised.clock)
    assert old[0].manifest.label not in compromised.labels()
    assert compromised.content(new, compromised.without_the_key, "left")["toc.dat"] == b"PGDMP"


def test_a_backup_that_only_says_it_holds_the_same_lets_nothing_go(compromised):
    good = compromised.maker.publish(files=CONTENT)
    label = BackupLabel.at(STARTED + timedelta(seconds=1), BackupKind.DUMP)
    other = [
        compromised.maker.put(label, f"t/{number}", b"other", layout=one.layout, name=one.name)
        for number, one in enumerate(good.manifest.objects)
    ]
    forged = replace(
        compromised.maker.manifest(label, other, STARTED),
        finished_at=good.manifest.finished_at + timedelta(microseconds=1),
    )
    forged = replace(forged, summary={**forged.summary, REENCRYPTED_FROM: good.manifest.label.text})
    published = compromised.maker.catalog.publish(
        forged, signer=compromised.maker.signer, ensure_held=lambda: None
    )
    for one in (good, published):
        compromised.maker.prove(one, signer=compromised.proofs)

    assert reencrypted_from(published.manifest) == good.manifest.label
    assert compromised.plan().labels == ()


def test_packs_that_backups_of_a_tree_share_are_encrypted_anew_once_and_the_next_backup_refers_to_them(
    tmp_path,
):
    protected = ProtectedTree(
        tmp_path,
        {"local": MemoryStorage(clock=lambda: NOW), "second": PosixStorage(tmp_path / "second")},
        now=datetime(2026, 11, 23, 2, tzinfo=timezone.utc),
    )
    for number in range(20):
        (protected.source / f"file{number}").write_bytes(os.urandom(3000))
    first = protected.back_up()
    protected.now += DAY
    (protected.source / "more").write_bytes(os.urandom(3000))
    second = protected.back_up()
    key = protected.keyring.key_ids[0]
    protected.keyring = protected.keyring.add_generation(protected.now)
    repositories = [protected.repository(name) for name in protected.storages]

    report = reencrypt(
        ReencryptionSettings(
            target="calibrify", compromised=key, staging=tmp_path / "staging", holder="test"
        ),
        readers=repositories,
        writers=repositories,
        opening=protected.keyring,
        keyring=protected.keyring,
        signer=protected.signer,
        clock=protected.clock,
        progress=Silent(),
    )

    assert report.complete, report.to_dict()
    protected.keyring = LocalKeyring(protected.keyring.path, protected.keyring.generations[1:])
    new = [report.successors[BackupLabel(one.label)] for one in (first, second)]
    for name in protected.storages:
        manifests = [protected.repository(name).catalog.backup(label).manifest for label in new]
        shared = {one.key for one in manifests[0].objects} & {one.key for one in manifests[1].objects}
        assert {one.name for one in manifests[0].objects if one.layout == "chunks"} >= {
            one.name for one in manifests[1].objects if one.key in shared
        }
        assert shared
        assert manifests[1].refers_to == (new[0],)
        assert key not in manifests[1].keys
    protected.now += DAY
    third = protected.back_up()
    assert third.new_files == 0
    assert set(protected.manifest(third).refers_to) <= set(new)
    assert protected.contents(third) == protected.on_disk()


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(compromised):
    old = compromised.maker.publish()
    compromised.rotate()
    before = {info.key for info in compromised.storage.list("")}

    report = compromised.reencrypt(dry_run=True)

    assert report.wanted == [old.manifest.label]
    assert not report.complete
    assert {info.key for info in compromised.storage.list("")} == before


def base(compromised, started_at, parent=None):
    """A base backup; an incremental one with its parent."""
    kind = BackupKind.INCREMENTAL if parent else BackupKind.FULL
    label = BackupLabel.at(started_at, kind)
    objects = [
        compromised.maker.put(label, name, os.urandom(1000), layout=layout, name=name)
        for name, layout in (("base/000001", "base"), ("backup_manifest", "file"))
    ]
    manifest = replace(
        compromised.maker.manifest(label, objects, started_at),
        start_lsn="0/2000028",
        end_lsn="0/3000028",
        database="",
        parent=parent.manifest.label if parent else None,
        refers_to=(*parent.manifest.refers_to, parent.manifest.label) if parent else (),
        summary={"wal_segment_bytes": 16 * 1024 * 1024},
    )
    return compromised.maker.catalog.publish(
        manifest, signer=compromised.maker.signer, ensure_held=lambda: None
    )


def test_a_chain_follows_the_backup_that_it_builds_on_also_where_another_key_protects_it(compromised):
    full = base(compromised, STARTED)
    compromised.rotate()
    first = base(compromised, STARTED + timedelta(hours=1), full)
    second = base(compromised, STARTED + timedelta(hours=2), first)

    report = compromised.reencrypt()

    assert report.complete
    new = [report.successors[one.manifest.label] for one in (full, first, second)]
    last = compromised.maker.catalog.backup(new[2]).manifest
    assert last.parent == new[1]
    assert last.refers_to == (new[0], new[1])

    # While the last of the chain has no proof, it needs the old ones, and each of them stays.
    for label in new[:2]:
        compromised.maker.prove(compromised.maker.catalog.backup(label), signer=compromised.proofs)
    assert compromised.plan().labels == ()
    compromised.maker.prove(compromised.maker.catalog.backup(new[2]), signer=compromised.proofs)
    assert set(compromised.plan().labels) == {one.manifest.label for one in (full, first, second)}


def test_an_incremental_one_whose_chain_is_another_stands_for_nothing(compromised):
    full, other = base(compromised, STARTED), base(compromised, STARTED + timedelta(minutes=1))
    old = base(compromised, STARTED + timedelta(hours=1), full)
    forged = replace(
        old.manifest,
        label=BackupLabel.at(STARTED + timedelta(hours=1, seconds=1), BackupKind.INCREMENTAL),
        finished_at=old.manifest.finished_at + timedelta(microseconds=1),
        parent=other.manifest.label,
        refers_to=(other.manifest.label,),
        summary={**old.manifest.summary, REENCRYPTED_FROM: old.manifest.label.text},
        signature=None,
    )
    published = compromised.maker.catalog.publish(
        forged, signer=compromised.maker.signer, ensure_held=lambda: None
    )
    for one in (full, other, old, published):
        compromised.maker.prove(one, signer=compromised.proofs)

    assert old.manifest.label not in compromised.plan(keep_last=4).labels


def test_a_held_backup_stays_with_its_successor_and_a_hold_on_neither_lets_the_old_go(compromised):
    old = compromised.maker.publish()
    compromised.rotate()
    new = compromised.reencrypt().successors[old.manifest.label]
    compromised.maker.prove(compromised.maker.catalog.backup(new), signer=compromised.proofs)
    Holds(compromised.maker.repository).place(
        old.manifest.label, reason="a lawsuit", who="ada", until=None, now=compromised.clock()
    )

    assert compromised.plan().labels == ()


def test_a_share_of_a_tree_that_was_restored_proves_too_little_to_let_the_old_one_go():
    old, new = tree(2), replace(tree(2), replaces=tree(2).label)
    new = replace(
        new,
        label=BackupLabel(f"{old.label.text[:14]}1Z-tree-media"),
        finished_at=old.finished_at + timedelta(microseconds=1),
    )

    def goes(**known):
        return planned([old, replace(new, **known)], keep_last=5).expired

    assert goes(proven_whole=False) == ()
    assert goes(proven=False) == ()
    assert goes(kept_because=("a hold",)) == (old.label,)
    assert goes() == (old.label,)
