"""A directory that archive_command fills is shipped, compared before anything is accepted, and pruned."""

from __future__ import annotations

import random
import struct
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from backstop.commands.wal.directory import ship_directory
from backstop.crypto.keyring import KeyGeneration, LocalKeyring
from backstop.errors import ConfigurationError, IntegrityError, SourceError, StorageUnavailableError
from backstop.model.lsn import MEBIBYTE, Lsn, WalSegment
from backstop.repository.catalog import Catalog, Repository
from backstop.repository.wal_archive import WalArchive
from backstop.storage.memory import MemoryStorage
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from tests.commands.archiving import Protected, wait_for

if TYPE_CHECKING:
    from pathlib import Path

SYSTEM = "7437297352034519234"
FIRST = WalSegment(1, 5, MEBIBYTE)


class Away(MemoryStorage):
    down = False

    def list(self, prefix):
        if self.down:
            raise StorageUnavailableError(f"{self.location} does not answer")
        return super().list(prefix)


class Shipping:
    """A directory, two repositories and the command on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.directory = folder / "archive"
        self.directory.mkdir()
        self.storages = {"one": Away("one"), "two": Away("two")}
        self.keyring = LocalKeyring(folder / "ring", [KeyGeneration.generate(datetime.now(timezone.utc))])

    def ship(self, *, system_id: str = SYSTEM, prune: bool = True):
        return ship_directory(
            target="calibrify",
            directory=self.directory,
            system_id=system_id,
            repositories=[
                Repository(name, storage, Catalog(storage, "calibrify", trust=None))
                for name, storage in self.storages.items()
            ],
            keyring=self.keyring,
            spool=self.folder / "spool",
            prune=prune,
        )

    def archive(self, name: str) -> WalArchive:
        return WalArchive(self.storages[name], "calibrify", SYSTEM)

    def segment(self, segment: WalSegment, *, system_id: str = SYSTEM, seed: int = 0) -> bytes:
        head = struct.pack(
            "<HHIQI4xQII",
            0xD116,
            2,
            segment.timeline,
            segment.start.position,
            0,
            int(system_id),
            MEBIBYTE,
            8192,
        )
        data = head + random.Random(seed).randbytes(MEBIBYTE - len(head))
        (self.directory / segment.name).write_bytes(data)
        return data

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


@pytest.fixture
def shipping(tmp_path: Path) -> Shipping:
    return Shipping(tmp_path)


def test_segments_and_histories_are_in_every_repository_before_they_are_pruned(shipping, tmp_path):
    data = shipping.segment(FIRST)
    (shipping.directory / "00000002.history").write_bytes(b"1\t0/500000\tpromoted\n")

    report = shipping.ship()

    assert report.shipped == report.pruned == ("000000010000000000000005", "00000002.history")
    assert report.problems == ()
    assert shipping.left == []
    for name in ("one", "two"):
        shipping.archive(name).fetch_segment(FIRST, tmp_path / name, keyring=shipping.keyring)
        assert (tmp_path / name).read_bytes() == data
        assert shipping.archive(name).read_history(2, keyring=shipping.keyring).startswith(b"1\t0/500000")


def test_what_is_no_complete_segment_is_left_alone(shipping):
    for name in (f"{FIRST}.partial", f"{FIRST}.00000028.backup", "README"):
        (shipping.directory / name).write_bytes(b"?")
    data = shipping.segment(FIRST)
    (shipping.directory / FIRST.name).write_bytes(data[:-1])
    (shipping.directory / FIRST.next().name).write_bytes(b"")

    report = shipping.ship()

    assert report.unfinished == (FIRST.name, FIRST.next().name)
    assert report.shipped == report.pruned == report.problems == ()
    assert len(shipping.left) == 5


def test_a_repository_that_is_away_keeps_the_file_in_the_directory(shipping):
    shipping.segment(FIRST)
    shipping.storages["two"].down = True

    report = shipping.ship()

    assert report.shipped == (FIRST.name,)
    assert report.pruned == ()
    assert [error.message for error in report.problems] == ["memory://two does not answer"]
    shipping.storages["two"].down = False
    assert shipping.ship().pruned == (FIRST.name,)
    assert shipping.archive("two").find(FIRST) is not None


def test_a_file_that_differs_from_what_is_archived_is_neither_shipped_nor_pruned(shipping):
    shipping.segment(FIRST)
    shipping.ship()
    shipping.segment(FIRST, seed=1)

    report = shipping.ship()

    (problem,) = report.problems
    assert isinstance(problem, IntegrityError)
    assert f"{FIRST} differs from what memory://one has under its name" in problem.message
    assert shipping.left == [FIRST.name]
    assert len(list(shipping.archive("one").segments(1))) == 1


def test_a_segment_of_another_cluster_is_refused_by_its_own_words(shipping):
    shipping.segment(FIRST, system_id="6000000000000000001")

    (problem,) = shipping.ship().problems

    assert isinstance(problem, SourceError)
    assert "it is of cluster 6000000000000000001" in problem.message
    assert shipping.left == [FIRST.name]
    assert list(shipping.storages["one"].list("")) == []


def test_a_segment_under_another_name_is_refused(shipping):
    shipping.segment(FIRST)
    (shipping.directory / FIRST.name).rename(shipping.directory / FIRST.next().name)

    (problem,) = shipping.ship().problems

    assert f"it holds WAL from {FIRST.start} on, not from {FIRST.end}" in problem.message


def test_what_is_archived_already_is_pruned_without_being_shipped_again(shipping):
    shipping.segment(FIRST)
    assert shipping.ship(prune=False).pruned == ()

    report = shipping.ship()

    assert report.shipped == ()
    assert report.pruned == (FIRST.name,)


def test_a_directory_that_is_not_there_is_named(shipping):
    shipping.directory.rmdir()

    with pytest.raises(SourceError, match=r"archive directory .* cannot be read"):
        shipping.ship()


def test_without_a_repository_nothing_is_done(shipping):
    shipping.storages = {}

    with pytest.raises(ConfigurationError, match="has no repository"):
        shipping.ship()


@pytest.mark.integration
def test_what_a_servers_archive_command_copied_joins_what_the_receiver_shipped(folder):
    directory = folder / "archive"
    directory.mkdir()
    directory.chmod(0o777)
    settings = {
        "archive_mode": "on",
        "archive_command": f"cp %p {directory}/%f",
        "wal_keep_size": "1GB",
    }
    with EmbeddedPostgres(
        folder / "postgres",
        bin_dir=pip_postgres_bin(18),
        settings=settings,
        durable=False,
        die_with_parent=True,
    ) as server:
        protected = Protected(folder, server)
        with protected.archiver():
            protected.write_wal(1.5)
            protected.wait_until_archived(protected.position())
        protected.write_wal(2)
        protected.run("SELECT pg_switch_wal()")
        end = Lsn(protected.position().position // (16 * MEBIBYTE) * 16 * MEBIBYTE)
        wait_for("archive_command", lambda: protected.ask("SELECT archived_count FROM pg_stat_archiver") >= 3)
        report = ship_directory(
            target="calibrify",
            directory=directory,
            system_id=protected.system_id,
            repositories=[
                Repository(
                    "local",
                    protected.storages["local"],
                    Catalog(protected.storages["local"], "calibrify", trust=None),
                )
            ],
            keyring=protected.keyring,
            spool=folder / "spool",
        )

        assert report.problems == ()
        assert len(report.pruned) >= 3
        assert protected.compare() >= 3
        assert protected.archived_until() >= end - 16 * MEBIBYTE
