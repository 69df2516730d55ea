"""Repositories as a backup would find them: reachable, writable, with room, and with the right time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.watch.repositories import look_at_repositories
from backstop.commands.watch.space import Space, judge_space
from backstop.errors import StorageError, StorageFullError
from backstop.model.finding import Level
from backstop.model.observation import RepositorySeen
from backstop.repository.catalog import REPOSITORY_KEY, Catalog, Repository
from backstop.storage.memory import MemoryStorage
from backstop.storage.posix import PosixStorage
from tests.protection import utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.watch.part import Part
    from backstop.storage.base import Storage

GIB = 1024**3


class ReadOnly(MemoryStorage):
    def probe(self, key: str) -> None:
        raise StorageError(f"{self.location}/{key} failed: HTTP 403 AccessDenied", hint="grant it")


class Full(PosixStorage):
    def check(self) -> Any:
        raise StorageFullError(f"no space left in {self.root}", hint="free space")


def made(storage: Storage) -> Storage:
    storage.put_once(REPOSITORY_KEY, b"{}")
    return storage


def look(
    *,
    ahead: timedelta = timedelta(0),
    empty_is_new: bool = False,
    unprobed: tuple[str, ...] = (),
    **storages: Storage,
) -> Part:
    return look_at_repositories(
        target="calibrify",
        repositories=[
            Repository(name, storage, Catalog(storage, "calibrify", trust=None))  # type: ignore[arg-type]
            for name, storage in storages.items()
        ],
        next_backup_bytes={},
        free_space=1e-9,  # of a disk that other tests share nothing is asked
        clock_skew=timedelta(seconds=30),
        clock=lambda: utc_now() + ahead,
        empty_is_new=empty_is_new,
        unprobed=unprobed,
    )


def found(part: Part) -> dict[tuple[str, str], Level]:
    return {(one.check, one.subject): one.level for one in part.findings}


def seen(part: Part) -> dict[str, RepositorySeen]:
    return {one.name: one for one in part.seen if isinstance(one, RepositorySeen)}


def test_repositories_in_order_are_seen_with_their_room_and_nothing_is_left_in_them(tmp_path: Path):
    local = made(PosixStorage(tmp_path / "repository"))
    s3 = made(MemoryStorage())

    part = look(local=local, s3=s3)

    assert part.findings == ()
    assert part.unjudged == frozenset()
    assert seen(part)["local"].writable
    assert 0 < seen(part)["local"].free_bytes <= seen(part)["local"].total_bytes
    assert seen(part)["s3"].free_bytes is None
    assert seen(part)["s3"].answer_seconds is not None
    assert [info.key for storage in (local, s3) for info in storage.list("")] == [REPOSITORY_KEY] * 2
    assert list((tmp_path / "repository" / ".tmp").iterdir()) == []


def test_one_that_takes_nothing_is_a_warning_beside_one_that_works_and_critical_alone(tmp_path: Path):
    broken, works = made(ReadOnly()), made(PosixStorage(tmp_path / "repository"))

    beside = look(s3=broken, local=works)
    alone = look(s3=broken)

    assert found(beside) == {("repository", "repository s3"): Level.WARNING}
    assert found(alone) == {("repository", "repository s3"): Level.CRITICAL}
    assert seen(alone)["s3"].reachable
    assert seen(alone)["s3"].writable is False
    assert "AccessDenied" in seen(alone)["s3"].problem
    assert alone.findings[0].next_step == "grant it"
    assert ("space", "repository s3") in alone.unjudged


def test_a_repository_that_an_auditor_watches_is_not_asked_to_take_anything(tmp_path: Path):
    broken = made(ReadOnly())

    audited = look(unprobed=("s3",), s3=broken)
    assert audited.findings == ()
    assert seen(audited)["s3"].writable is None, "it is not known"

    # It stands in for one that takes nothing.
    beside = look(unprobed=("s3",), s3=broken, local=made(ReadOnly()))
    assert found(beside) == {("repository", "repository local"): Level.WARNING}


def test_a_folder_that_is_no_repository_is_not_made_one(tmp_path: Path):
    unmounted = PosixStorage(tmp_path / "mnt" / "repository")
    (tmp_path / "mnt").mkdir()

    part = look(local=unmounted)

    assert found(part) == {("repository", "repository local"): Level.CRITICAL}
    assert "is no repository" in part.findings[0].sentence
    assert list((tmp_path / "mnt").iterdir()) == []


def test_nothing_is_wrong_with_a_repository_before_its_first_backup_where_that_is_known(tmp_path: Path):
    new, broken = PosixStorage(tmp_path / "repository"), made(ReadOnly())

    assert look(empty_is_new=True, local=new).findings == ()
    assert list(tmp_path.iterdir()) == []
    # Nor does it stand in for one that works.
    assert found(look(empty_is_new=True, local=new, s3=broken)) == {
        ("repository", "repository s3"): Level.CRITICAL
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_this_user_may_not_write_is_found(tmp_path: Path):
    storage = made(PosixStorage(tmp_path / "repository"))
    (tmp_path / "repository" / ".tmp").chmod(0o500)

    part = look(local=storage)

    (tmp_path / "repository" / ".tmp").chmod(0o700)
    assert found(part) == {("repository", "repository local"): Level.CRITICAL}


def test_a_disk_that_is_full_is_told_once_as_want_of_space(tmp_path: Path):
    part = look(local=Full(made(PosixStorage(tmp_path / "repository")).root))

    assert found(part) == {("space", "repository local"): Level.CRITICAL}
    assert seen(part)["local"].writable is False


def test_a_repository_whose_clock_is_off_is_found_and_named(tmp_path: Path):
    storage = made(PosixStorage(tmp_path / "repository"))

    part = look(local=storage, ahead=timedelta(minutes=2))

    assert found(part) == {("clock", "repository local"): Level.WARNING}


@dataclass(frozen=True)
class Case:
    free: int
    next_bytes: int
    level: Level | None


@pytest.mark.parametrize(
    "case",
    [
        Case(10 * GIB, 0, None),
        Case(10 * GIB - 1, 0, Level.WARNING),
        Case(5 * GIB, 0, Level.WARNING),
        Case(5 * GIB - 1, 0, Level.CRITICAL),
        Case(50 * GIB, 50 * GIB, None),
        Case(50 * GIB, 50 * GIB + 1, Level.CRITICAL),
    ],
)
def test_room_is_judged_by_share_and_by_what_the_next_backup_takes(case: Case):
    findings = judge_space(
        Space(case.free, 100 * GIB, 1),
        target="calibrify",
        subject="repository local",
        where="/backups",
        free_space=0.1,
        next_bytes=case.next_bytes,
    )

    assert [one.level for one in findings] == ([case.level] if case.level else [])
    assert all("repository local (/backups) has " in one.sentence for one in findings)
    assert all(("no room for a next backup" in one.sentence) == bool(case.next_bytes) for one in findings)
