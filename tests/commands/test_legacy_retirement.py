"""Old files go one by one as new backups are proven, exactly those, and a run that broke off is finished."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.legacy.known import look_at
from backstop.commands.legacy.places import BucketPlace, DirectoryPlace, Kind
from backstop.commands.legacy.retire import RetireReport, carry_out, plan_retirement
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.errors import IntegrityError, NotFoundError, StorageError, StorageUnavailableError
from backstop.model.legacy_proof import LegacyProof
from backstop.model.retention import RetentionPolicy
from backstop.repository.legacy_records import LegacyRecords
from backstop.storage.memory import MemoryStorage
from tests.legacy_making import DUMPS, dump_name
from tests.making import STARTED, Maker
from tests.protection import s3_corner

if TYPE_CHECKING:
    from backstop.commands.legacy.known import LegacyStock
    from backstop.commands.legacy.places import Place
    from backstop.commands.legacy.retire import Retirement
    from backstop.model.legacy import LegacyBackup
    from embedded.seaweedfs import EmbeddedSeaweedFS

DAY = timedelta(days=1)
NOW = STARTED + 40 * DAY


class Site:
    """A repository, and a directory of old dumps: one a day, for 60 days before the first new backup."""

    def __init__(self, folder: Path) -> None:
        create_signing_keys(folder / "signing")
        keyring = LocalKeyring.create(folder / "ring.json", STARTED)
        self.trust = TrustedSigners.load(folder / "signing" / "trusted.json")
        self.verifier = Signer.load(folder / "signing" / "proof.pem")
        writer = Signer.load(folder / "signing" / "manifest.pem")
        self.maker = Maker(MemoryStorage(), keyring, writer, self.trust)
        self.directory = folder / "old ones"
        self.directory.mkdir()
        for days in range(1, 61):
            (self.directory / dump_name(STARTED - days * DAY)).write_bytes(b"x" * days)
        self.place: Place = DirectoryPlace(Kind("", "local", DUMPS), self.directory)

    @property
    def records(self) -> LegacyRecords:
        return LegacyRecords(self.maker.repository, self.trust)

    def prove_new(self, *days: int) -> None:
        """A new backup on each of these days, proven."""
        for day in days:
            self.maker.prove(self.maker.publish(started_at=STARTED + day * DAY), signer=self.verifier)

    def stock(self) -> LegacyStock:
        return look_at([self.place], {"local": self.records})

    def plan(self, now: datetime = NOW) -> Retirement:
        return plan_retirement(
            self.place,
            self.stock().found,
            records=self.records,
            policies=lambda _: RetentionPolicy(keep_for=30 * DAY),
            now=now,
        )

    def expire(self, now: datetime = NOW) -> RetireReport:
        return carry_out(self.plan(now), records=self.records)

    def left(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_as_many_old_ones_go_as_new_ones_are_proven_and_never_one_more(site: Site):
    assert site.expire().removed == []
    site.prove_new(36, 37)
    site.maker.publish(started_at=STARTED + 38 * DAY)  # published, not proven
    assert site.expire().removed == []

    site.prove_new(39)
    report = site.expire()
    assert [one.name for one in report.removed] == [dump_name(STARTED - days * DAY) for days in (60, 59, 58)]
    assert (report.kept, site.expire().removed, len(site.left())) == ([], [], 57)

    site.prove_new(40)
    assert [one.name for one in site.expire(NOW + DAY).removed] == [dump_name(STARTED - 57 * DAY)]
    assert len(site.left()) == 56


def test_a_new_backup_that_has_expired_meanwhile_has_still_taken_a_place(site: Site):
    site.prove_new(36, 37, 38)
    assert len(site.expire().removed) == 3
    storage = site.maker.storage
    for info in list(storage.list("calibrify/meta/manifests/")):
        storage.delete(info.key)

    site.prove_new(39, 40, 41)
    assert len(site.expire(NOW + 2 * DAY).removed) == 3
    assert len(list(storage.list("calibrify/meta/legacy/retired/"))) == 6


def test_what_has_no_such_name_is_never_touched(site: Site):
    others = [
        "full_20200101_010000.sql.gz.bak",
        "full_20200101_010000 copy.sql.gz",
        "notes.txt",
        "full_2020.sql.gz",
    ]
    for name in others:
        (site.directory / name).touch()
    (site.directory / "full_20200102_010000.sql.gz").mkdir()
    outside = site.directory.parent / "outside"
    outside.write_text("precious")
    (site.directory / "full_20200103_010000.sql.gz").symlink_to(outside)
    os.mkfifo(site.directory / "full_20200104_010000.sql.gz")
    site.prove_new(*range(10, 40))

    site.expire()

    kept = {*others, *(f"full_2020010{day}_010000.sql.gz" for day in (2, 3, 4))}
    assert kept <= set(site.left())
    assert outside.read_text() == "precious"
    assert len(site.left()) == 60 - 30 + len(kept)


@pytest.mark.parametrize("step", ["before the record", "behind the record", "behind the removal"])
def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(
    site: Site, step: str, monkeypatch: pytest.MonkeyPatch
):
    site.prove_new(36, 37, 38)
    give, remove = LegacyRecords.give_place, DirectoryPlace.remove

    class Killed(BaseException):
        pass

    def give_place(records: LegacyRecords, *arguments: Any) -> None:
        if step == "before the record":
            raise Killed
        give(records, *arguments)

    def remove_file(place: DirectoryPlace, *arguments: Any) -> None:
        if step == "behind the removal":
            remove(place, *arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(LegacyRecords, "give_place", give_place)
        patch.setattr(DirectoryPlace, "remove", remove_file)
        with pytest.raises(Killed):
            site.expire()

    site.expire()

    assert len(site.left()) == 57
    assert len(site.records.places_taken()) == 3
    assert site.expire().removed == []


def test_two_runs_at_once_use_up_no_new_backup_twice(site: Site):
    site.prove_new(36, 37, 38)
    first, second = site.plan(), site.plan()

    removed = [carry_out(plan, records=site.records).removed for plan in (first, second)]

    assert len({one.name for run in removed for one in run}) == 3
    assert len(site.left()) == 57


def test_a_file_that_was_replaced_since_the_plan_stays(site: Site):
    site.prove_new(36, 37, 38)
    plan = site.plan()
    oldest = site.directory / dump_name(STARTED - 60 * DAY)
    oldest.write_bytes(b"another one")

    report = carry_out(plan, records=site.records)

    assert oldest.read_bytes() == b"another one"
    assert "is not the file that was listed" in report.kept[0]
    assert len(report.removed) == 2
    # It is another file now, and waits for a new backup of its own.
    site.prove_new(39)
    assert [one.name for one in site.expire().removed] == [oldest.name]


def test_a_new_backup_that_failed_its_next_proof_lets_nothing_go(site: Site):
    site.prove_new(35, 36, 37, 38)
    plan = site.plan()
    for published in site.maker.catalog.backups().backups:
        site.maker.prove(published, signer=site.verifier, matched=False, minutes=99)

    report = carry_out(plan, records=site.records)

    assert (report.removed, len(report.kept), len(site.left())) == ([], 4, 60)
    assert "is not proven any more" in report.kept[0]


def test_a_damaged_record_stops_everything(site: Site):
    site.prove_new(36, 37, 38)
    site.expire()
    storage = site.maker.storage
    [key, *_] = [info.key for info in storage.list("calibrify/meta/legacy/retired/")]
    storage.delete(key)
    storage.put_once(key, b'{"format": 1}')

    with pytest.raises(IntegrityError, match="says of no file that it was retired"):
        site.expire()


def test_a_repository_that_does_not_answer_lets_nothing_go(site: Site, monkeypatch: pytest.MonkeyPatch):
    site.prove_new(36, 37, 38)
    found = site.stock().found

    def unreachable(*_: object) -> Any:
        raise StorageUnavailableError("memory: no answer")

    monkeypatch.setattr(site.maker.storage, "list", unreachable)

    with pytest.raises(StorageUnavailableError):
        plan_retirement(
            site.place, found, records=site.records, policies=lambda _: RetentionPolicy(keep_for=DAY), now=NOW
        )
    assert len(site.left()) == 60


def test_of_a_run_that_fails_half_way_it_is_known_what_is_gone(site: Site, monkeypatch: pytest.MonkeyPatch):
    site.prove_new(36, 37, 38)
    remove, report = site.place.remove, RetireReport()

    def cut_off(backup: LegacyBackup) -> None:
        if report.removed:
            raise StorageUnavailableError("memory: no answer")
        remove(backup)

    monkeypatch.setattr(type(site.place), "remove", lambda _, backup: cut_off(backup))
    with pytest.raises(StorageUnavailableError):
        carry_out(site.plan(), records=site.records, report=report)

    assert [one.name for one in report.removed] == [dump_name(STARTED - 60 * DAY)]
    assert len(site.left()) == 59


@pytest.mark.parametrize("more", [b"", b', "modified_at": "x", "size_bytes": 1e999'])
def test_a_record_that_tells_no_file_apart_stops_everything(site: Site, more: bytes):
    site.prove_new(36, 37, 38)
    body = b'{"format": 1, "kind": "database", "name": "full_20261120_010000.sql.gz"' + more + b"}"
    site.maker.storage.put_once("calibrify/meta/legacy/retired/20261123T010000Z-dump.json", body)

    with pytest.raises(IntegrityError, match="says of no file that it was retired"):
        site.plan()


def test_a_place_that_is_not_there_is_named_and_the_others_are_read(site: Site):
    missing = DirectoryPlace(Kind("", "local", DUMPS), Path("/nowhere/at all"))

    stock = look_at([missing, site.place], {"local": site.records})

    assert len(stock.found) == 60
    assert "there is no /nowhere/at all" in stock.failed["/nowhere/at all"].message
    with pytest.raises(StorageError, match="there is no"):
        look_at([missing], {"local": site.records})


@pytest.mark.parametrize(("checks", "counts"), [({"tables": 3}, True), ({}, False)])
def test_a_file_that_was_restored_and_answered_wrongly_counts_and_one_that_was_not_does_not(
    site: Site, checks: dict[str, int | str], counts: bool
):
    rule = "the newest from before"
    site.prove_new(30, 31)
    [one] = [one.backup for one in site.plan().decisions if rule in "; ".join(one.reasons)]

    site.records.record(failed_proof(site, one, checks), signer=site.verifier)

    [now] = [decision for decision in site.plan().decisions if decision.backup == one]
    assert {known.backup.name: known.state for known in site.stock().found}[one.name] == "failed"
    assert (rule in "; ".join(now.reasons)) == counts


def failed_proof(site: Site, one: LegacyBackup, checks: dict[str, int | str]) -> LegacyProof:
    catalog = site.maker.catalog
    return LegacyProof(
        target=catalog.target,
        repository_id=catalog.repository_id(),
        kind=one.kind,
        name=one.name,
        location=one.location,
        file_sha256="ab" * 32,
        size_bytes=one.size_bytes,
        modified_at=one.modified_at,
        started_at=NOW,
        finished_at=NOW,
        matched=False,
        differences=("query 'all equipment is there' failed",),
        durations={"total": 1.0},
        checks=checks,
        isolation="not restored",
        host="lab",
    )


def test_a_proof_that_somebody_changed_counts_for_nothing(site: Site):
    site.maker.storage.put_once("calibrify/meta/legacy/proofs/ab/1.json", b'{"format": 1, "what": "legacy"}')

    stock = site.stock()

    assert "is malformed" in stock.unreadable[0].message
    assert {one.state for one in stock.found} == {"unproven"}


@pytest.mark.integration
def test_in_a_bucket_just_so_and_other_objects_stay(site: Site, seaweedfs: EmbeddedSeaweedFS):
    corner = s3_corner(seaweedfs)
    for days in (40, 41, 42, 43, 44):
        corner.upload(dump_name(STARTED - days * DAY), b"x")
    others = ["full_20200101_010000.sql.gz ", "deeper/full_20200101_010000.sql.gz", "full.sql.gz"]
    for key in others:
        corner.upload(key, b"x")
    site.place = BucketPlace(Kind("", "local", DUMPS), corner)
    site.prove_new(36, 37, 38)

    report = site.expire()

    assert [one.name for one in report.removed] == [dump_name(STARTED - days * DAY) for days in (44, 43, 42)]
    assert {info.key for info in corner.list("")} == {
        *others, dump_name(STARTED - 40 * DAY), dump_name(STARTED - 41 * DAY),
    }  # fmt: skip
    with pytest.raises(NotFoundError, match="is gone"), site.place.open(report.removed[0]):
        pass


def test_in_a_versioned_bucket_exactly_what_was_listed_goes_and_an_earlier_upload_waits_its_turn(site: Site):
    bucket = MemoryStorage(versioned=True)
    name = dump_name(STARTED - 60 * DAY)
    bucket.upload(name, b"first")
    bucket.delete(name)
    bucket.upload(name, b"again")
    before = [one.version_id for one in bucket.versions("") if not one.is_marker]
    site.place = BucketPlace(Kind("", "local", DUMPS), bucket)
    site.prove_new(*range(1, 40))

    assert [one.name for one in site.expire().removed] == [name]

    left = [one.version_id for one in bucket.versions("") if not one.is_marker]
    assert len(before) == 2
    assert len(left) == 1
    assert left[0] in before
