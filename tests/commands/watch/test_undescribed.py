"""A watch tells of backups of targets that no file describes any more."""

from __future__ import annotations

import os
from datetime import datetime, timezone

import pytest

from backstop.commands.watch.undescribed import TopOf, look_at_undescribed, other_than_these
from backstop.model.finding import CHECKS, EVERY_SUBJECT, EVERY_TARGET, Level
from backstop.storage.memory import MemoryStorage
from backstop.storage.posix import PosixStorage
from backstop.storage.s3_errors import ForbiddenError

NOW = datetime(2026, 11, 23, 1, tzinfo=timezone.utc)


@pytest.fixture
def storage() -> MemoryStorage:
    made = MemoryStorage()
    made.put_once("repository.json", b"{}")
    made.put_once("calibrify/meta/manifests/20261122T010000Z-dump.json", b"{}")
    return made


def look(storage, *described, name="s3"):
    return look_at_undescribed([TopOf(name, lambda: storage, frozenset(described))])


def test_backups_of_described_targets_and_what_is_no_backup_of_ours_are_not_told_of(storage):
    storage.put_once("another-product/secret", b"x")

    assert look(storage, "calibrify", "web").findings == ()


def test_a_target_that_is_described_no_more_is_named_with_what_is_there(storage):
    storage.put_once("blog/meta/manifests/20261120T010000Z-dump.json", b"{}")
    storage.put_once("blog/meta/manifests/20261121T010000Z-dump.json", b"{}")
    storage.put_once("blog/data/database/20261121T010000Z-dump/a/t/1", b"x" * 4_000_000)
    storage.put_once("wiki/data/wal/7000/1/000000010000000000000001-aa", b"x" * 2000)

    (finding,) = look(storage, "calibrify").findings

    assert (finding.target, finding.subject, finding.level) == (
        EVERY_TARGET,
        "repository s3",
        Level.WARNING,
    )
    assert "blog (2 backups, the newest 20261121T010000Z-dump, 4.0 MB)" in finding.sentence
    assert "wiki (WAL alone, 2.0 kB)" in finding.sentence
    assert "nobody expires or watches" in finding.sentence
    assert "describe the target again" in finding.next_step


def test_a_folder_whose_name_no_key_of_ours_can_have_hides_nothing(tmp_path):
    storage = PosixStorage(tmp_path)
    storage.put_once("blog/meta/manifests/20261120T010000Z-dump.json", b"{}")
    for name in (b"\xff", b"two\nlines"):
        (tmp_path / os.fsdecode(name)).mkdir(mode=0o700)

    found = look(storage, "calibrify")

    assert found.unseen == ()
    assert "blog (1 backup, " in found.findings[0].sentence


def test_a_folder_that_nobody_may_look_into_hides_no_other():
    class PartlyClosed(MemoryStorage):
        def list(self, prefix):
            if prefix.startswith("theirs/"):
                raise ForbiddenError("s3://b/theirs: not allowed")
            return super().list(prefix)

    storage = PartlyClosed()
    for name in ("blog", "theirs", "wiki"):
        storage.put_once(f"{name}/meta/manifests/20261120T010000Z-dump.json", b"{}")

    found = look(storage, "calibrify")

    assert "blog (1 backup, " in found.findings[0].sentence
    assert "wiki (1 backup, " in found.findings[0].sentence
    assert "theirs: not allowed" in found.unseen[0]
    assert found.unjudged == {("undescribed", "repository s3")}


def test_what_a_file_system_has_at_its_top_is_no_target(tmp_path):
    (tmp_path / "lost+found").mkdir(mode=0o700)
    storage = PosixStorage(tmp_path)
    storage.put_once("blog/meta/manifests/20261120T010000Z-dump.json", b"{}")

    assert list(storage.folders()) == ["blog"]


def test_a_target_that_left_this_repository_is_named_too(storage):
    assert "calibrify (1 backup, " in look(storage, "web").findings[0].sentence


def test_what_may_not_be_listed_is_no_finding_and_closes_none(storage):
    class Closed(MemoryStorage):
        def folders(self):
            raise ForbiddenError("s3://b: not allowed")

    found = look(Closed(), "calibrify")

    assert found.findings == ()
    assert found.unjudged == {("undescribed", "repository s3")}
    assert "not allowed" in found.unseen[0]


def test_what_was_not_looked_at_stays_as_it_is(storage):
    unjudged = other_than_these(look(storage, "calibrify"), looked_at=["s3"], every=["s3", "local"])

    assert ("undescribed", "repository local") in unjudged
    assert ("undescribed", "repository s3") not in unjudged
    others = {(check, EVERY_SUBJECT) for check in CHECKS if check != "undescribed"}
    assert others <= unjudged
