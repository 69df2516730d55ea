"""A repository that fails while a backup is written to it: the others get it, and the report says so."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from backstop.errors import BackstopError, StorageFullError, StorageUnavailableError
from backstop.storage.posix import PosixStorage
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_retry import Patience
from tests.faults.conftest import BUCKET
from tests.faults.planting import SAMPLE, SmallDisk, assert_nothing_left, fill, our_sessions, payload, rows
from tests.faults.s3_proxy import (
    FaultyS3Proxy,
    answer,
    cut_answer,
    cut_request,
    lose_acknowledgement,
    stall,
    wait_until,
)
from tests.protection import Protection, protect

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from backstop.postgres.connection import ClusterConnection

pytestmark = pytest.mark.integration

MIB = 1024 * 1024
MANIFEST = "/meta/manifests/"


@pytest.fixture
def both(folder: Path, database: ClusterConnection, storage: S3Storage) -> Protection:
    """A directory, and S3 behind the proxy."""
    fill(database)
    return protect(folder, database, s3=storage)


@pytest.fixture
def only_s3(folder: Path, database: ClusterConnection, storage: S3Storage) -> Protection:
    fill(database)
    return Protection(folder=folder, source=database, storages={"s3": storage})


def seen_past_the_proxy(protection: Protection, truth: S3Storage) -> Protection:
    protection.storages["s3"] = truth
    return protection


@dataclass
class Watching:
    """Looks at the world when the snapshot is done with and only uploading is left."""

    protection: Protection
    proxy: FaultyS3Proxy
    sessions: int | None = None
    requests: int = 0

    def phase(self, name: str, *, total_bytes: int | None = None) -> None:
        if name == "upload":
            # The server may take a moment to notice that they were closed.
            with contextlib.suppress(AssertionError):
                wait_until(lambda: our_sessions(self.protection.source) == 0, seconds=1)
            self.sessions = our_sessions(self.protection.source)
            self.requests = self.proxy.count("PUT", path="/data/")

    def advance(self, done_bytes: int) -> None:
        pass


# -- S3 that misbehaves, and comes round -------------------------------------------------------------------


def test_a_backup_through_a_bad_network_is_whole_in_both_repositories(
    both: Protection, proxy: FaultyS3Proxy, truth: S3Storage
):
    for fault in (answer(503), cut_request(100_000), stall(), answer(500, "InternalError"), cut_answer(10)):
        proxy.plant(fault, method="PUT", path="/data/")
        proxy.plant(fault, method="GET")
    for path in ("/meta/lease/", "repository.json", "/data/", MANIFEST):
        proxy.plant(lose_acknowledgement(), method="PUT", path=path)
        proxy.plant(answer(503), method="PUT", path=path)

    report = both.back_up()

    assert report.repositories == {"local": "completed", "s3": "completed"}
    proxy.heal()
    seen_past_the_proxy(both, truth)
    assert both.published() == {"local": [report.label], "s3": [report.label]}
    assert both.prove(report.label, "s3").matched
    assert_nothing_left(both)


def test_a_manifest_whose_acknowledgement_was_lost_is_published_once(
    only_s3: Protection, proxy: FaultyS3Proxy, truth: S3Storage
):
    proxy.plant(lose_acknowledgement(), method="PUT", path=MANIFEST)

    report = only_s3.back_up()

    assert report.complete
    assert proxy.count("PUT", path=MANIFEST) >= 2
    assert seen_past_the_proxy(only_s3, truth).published() == {"s3": [report.label]}


def test_a_manifest_that_may_have_been_published_keeps_its_payload(
    only_s3: Protection, proxy: FaultyS3Proxy, truth: S3Storage
):
    # It is stored, its acknowledgement is lost, and nothing can be asked any more.
    proxy.plant(lose_acknowledgement(), method="PUT", path=MANIFEST)
    proxy.plant(answer(503), path=MANIFEST, times=None)

    with pytest.raises(StorageUnavailableError, match=MANIFEST) as caught:
        only_s3.back_up()

    assert caught.value.hint
    seen_past_the_proxy(only_s3, truth)
    (label,) = only_s3.published()["s3"]
    assert only_s3.prove(label, "s3").matched


# -- S3 that is down ---------------------------------------------------------------------------------------


def test_with_s3_down_for_the_whole_run_the_local_copy_is_complete_and_the_report_says_so(
    both: Protection, proxy: FaultyS3Proxy, truth: S3Storage
):
    proxy.refuse_connections()

    report = both.back_up()

    assert not report.complete
    assert report.repositories["local"] == "completed"
    assert "the endpoint cannot be reached" in report.repositories["s3"]
    assert "run again" in report.repositories["s3"]
    seen_past_the_proxy(both, truth)
    assert both.published() == {"local": [report.label], "s3": []}
    assert_nothing_left(both)


@pytest.mark.parametrize(("fault", "attempts"), [(answer(503), 12), (stall(), 6)], ids=["busy", "stalled"])
def test_s3_failing_half_way_neither_stops_the_local_copy_nor_prolongs_the_snapshot(
    both: Protection,
    proxy: FaultyS3Proxy,
    truth: S3Storage,
    broken_client: S3Client,
    corner: str,
    fault,
    attempts: int,
):
    patience = Patience(first_pause_seconds=0.5, longest_pause_seconds=0.5, attempts=attempts)
    both.storages["s3"] = S3Storage(broken_client, bucket=BUCKET, prefix=corner, patience=patience)
    proxy.plant(fault, method="PUT", path="/data/", times=None)
    watching = Watching(both, proxy)

    report = both.back_up(progress=watching)

    assert report.repositories["local"] == "completed"
    assert "/data/" in report.repositories["s3"]
    # Our sessions were gone while S3 was still being asked again.
    assert watching.sessions == 0
    assert proxy.count("PUT", path="/data/") > watching.requests
    seen_past_the_proxy(both, truth)
    assert both.published() == {"local": [report.label], "s3": []}
    assert payload(both, "s3") == []
    assert_nothing_left(both)


def test_with_every_repository_down_nothing_is_published_and_each_is_named(
    only_s3: Protection, proxy: FaultyS3Proxy, truth: S3Storage
):
    proxy.refuse_connections()

    with pytest.raises(StorageUnavailableError, match="no repository of calibrify works: s3: ") as caught:
        only_s3.back_up()

    assert caught.value.retryable
    assert "secret" not in str(caught.value)
    assert_nothing_left(only_s3)


def test_what_was_uploaded_before_the_backup_failed_is_taken_back(
    both: Protection, truth: S3Storage, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise BackstopError("planted", hint="none")

    monkeypatch.setattr("backstop.commands.database.objects.write_toc", fail)

    with pytest.raises(BackstopError, match="planted"):
        both.back_up()

    seen_past_the_proxy(both, truth)
    assert both.published() == {"local": [], "s3": []}
    assert (payload(both, "local"), payload(both, "s3")) == ([], [])
    assert_nothing_left(both)


# -- Disks that are full -----------------------------------------------------------------------------------


@pytest.mark.system
@pytest.mark.parametrize("size_bytes", [16 * 1024, 128 * 1024, 2 * MIB, 10 * MIB + 160 * 1024])
def test_with_a_full_staging_disk_nothing_is_published_and_the_disk_is_named(
    folder: Path, database: ClusterConnection, small_disk: SmallDisk, size_bytes: int
):
    fill(database)
    small_disk.resize(size_bytes)
    protection = protect(folder, database)
    protection.dump = replace(protection.dump, staging=small_disk.path / "staging")

    with pytest.raises(StorageFullError, match=str(small_disk.path)) as caught:
        protection.back_up()

    assert "free" in caught.value.hint
    assert list((small_disk.path / "staging").iterdir()) == []
    assert protection.published() == {"local": []}
    assert payload(protection) == []
    assert_nothing_left(protection)


@pytest.mark.system
def test_with_a_full_repository_disk_the_other_repository_gets_the_backup_whole(
    folder: Path, database: ClusterConnection, storage: S3Storage, small_disk: SmallDisk
):
    # Room for the one big table, not for both: something has arrived when the disk is full.
    fill(database, f"{SAMPLE}; CREATE TABLE scans AS TABLE certificates")
    small_disk.resize(6 * MIB)
    local = PosixStorage(small_disk.path / "repository")
    protection = Protection(folder=folder, source=database, storages={"local": local, "s3": storage})

    report = protection.back_up()

    assert report.repositories["s3"] == "completed"
    assert "no space left" in report.repositories["local"]
    assert str(small_disk.path) in report.repositories["local"]
    assert protection.published() == {"local": [], "s3": [report.label]}
    # What had arrived does not make the disk fuller for the next run.
    assert payload(protection) == []
    assert protection.prove(report.label, "s3").matched
    assert rows(database)["certificates"] == 3500

    small_disk.resize(64 * MIB)
    assert protection.back_up().complete
    assert_nothing_left(protection)
