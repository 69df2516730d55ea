"""WAL that one repository lacks comes from the other, by name alone; a conflict is named, never resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstop.errors import StorageUnavailableError
from backstop.model.lsn import Lsn, WalSegment
from backstop.model.retention import Decision, RetentionPlan, WalRange
from backstop.repository.wal_names import WalNames
from tests.syncing import SEGMENT_BYTES, SYSTEM_ID, TARGET, Repositories, Worn

if TYPE_CHECKING:
    from pathlib import Path

NAMES = WalNames(TARGET, SYSTEM_ID)
SHA = "0123456789abcdef" * 4


@pytest.fixture
def world(tmp_path: Path) -> Repositories:
    return Repositories(tmp_path, {name: Worn(name) for name in ("local", "s3", "paris")})


def put(world: Repositories, name: str, key: str, body: bytes = b"piece") -> str:
    world.storages[name].upload(key, body)
    return key


def keys(world: Repositories, name: str) -> set[str]:
    return {
        info.key
        for prefix in (f"{TARGET}/data/wal/", f"{TARGET}/tail/")
        for info in world.storages[name].list(prefix)
    }


def test_histories_segments_and_pieces_are_brought_together_everywhere(world):
    world.segments("local", range(1, 40))
    world.segments("s3", range(40, 45))
    put(world, "local", NAMES.history(2, SHA))
    put(world, "s3", NAMES.delta(WalSegment(1, 45, SEGMENT_BYTES), 0, 5, SHA))

    report = world.sync()

    assert report.complete
    assert keys(world, "local") == keys(world, "s3") == keys(world, "paris")
    assert len(keys(world, "paris")) == 44 + 2
    assert {one.name: one.wal_objects for one in report.repositories} == {"local": 6, "s3": 40, "paris": 46}


def test_pieces_of_a_segment_that_is_whole_are_not_copied(world):
    world.segments("s3", [5])
    put(world, "local", NAMES.delta(WalSegment(1, 5, SEGMENT_BYTES), 0, 5, SHA))

    assert world.sync().complete
    assert {key.split("/")[1] for key in keys(world, "paris")} == {"data"}


@pytest.mark.parametrize("where", [("local", "s3"), ("local", "local"), ("paris", "s3")])
def test_a_segment_with_two_contents_is_named_and_copied_nowhere(world, where):
    one, two = where
    ours = world.segments(one, [5])
    theirs = world.segments(two, [5], content="another server ")
    world.segments("local", [6])

    report = world.sync()

    assert not report.complete
    assert not report.retryable
    paris = report.repositories[2]
    assert paris.lacking[0].what == f"WAL segment 000000010000000000000005 of cluster {SYSTEM_ID}"
    assert all(key in paris.lacking[0].why for key in (*ours, *theirs))
    assert not keys(world, "local") & (set(theirs) if two != "local" else set())
    assert len(keys(world, "paris")) == (2 if one == "paris" else 1)


def test_a_history_with_two_contents_is_named(world):
    put(world, "local", NAMES.history(2, SHA))
    put(world, "s3", NAMES.history(2, SHA[::-1]))

    report = world.sync()

    assert "history 00000002 of cluster" in report.sentences()[0]
    assert keys(world, "paris") == set()


def test_two_writers_of_the_same_segment_are_no_conflict(world):
    (key,) = world.segments("local", [5])
    put(world, "s3", key, b"the same plaintext, encrypted once more")

    assert world.sync().complete
    assert world.storages["s3"].read(key) == b"the same plaintext, encrypted once more"


def test_a_segment_that_arrives_meanwhile_is_success(world, monkeypatch):
    (key,) = world.segments("local", [5])
    s3 = world.storages["s3"]
    monkeypatch.setattr(s3, "list", lambda prefix: iter(()) if "/wal/" in prefix else Worn.list(s3, prefix))
    put(world, "s3", key, b"by the archiver")

    assert world.sync(destinations=["s3"]).complete
    assert s3.read(key) == b"by the archiver"


def test_a_piece_that_is_gone_before_it_is_copied_is_no_loss(world, monkeypatch):
    piece = put(world, "local", NAMES.delta(WalSegment(1, 5, SEGMENT_BYTES), 0, 5, SHA))
    local = world.storages["local"]

    def gone(key, **named):
        local.delete(piece)
        return Worn.open(local, key, **named)

    monkeypatch.setattr(local, "open", gone)

    assert world.sync().complete


def test_a_source_that_gives_less_than_it_lists_is_named(world, monkeypatch):
    (key,) = world.segments("local", [5])
    local = world.storages["local"]
    monkeypatch.setattr(local, "open", lambda key, **_: Worn("other", {key: b"cut"}).open(key))

    report = world.sync()

    assert f"WAL {key}: memory://local/{key} is not what was stored: it has 3 bytes" in report.sentences()[0]
    assert keys(world, "paris") == set()


def test_thousands_that_cannot_be_copied_are_told_of_in_a_few_words_and_asked_for_once(world, monkeypatch):
    world.segments("local", range(1, 3000))
    local = world.storages["local"]
    asked = []

    def silent(key, **_):
        asked.append(key)
        raise StorageUnavailableError("switched off")

    monkeypatch.setattr(local, "open", silent)

    report = world.sync(destinations=["s3"])

    assert report.retryable
    assert len(report.sentences()) == 21
    assert "2979 more, such as WAL calibrify/data/wal/" in report.sentences()[-1]
    assert len(asked) <= world.settings.copies_at_once


def test_only_the_wal_that_the_repository_keeps_is_copied(world):
    world.segments("local", range(1, 10))
    world.base_backup("local", segment=5)

    def retention(name, candidates, now, seen):
        start = WalSegment(1, 5, SEGMENT_BYTES).start
        end = None if name == "s3" else Lsn(start.position + 4096)
        wal = WalRange(system_id=SYSTEM_ID, timeline=1, start=start, end=end, reason="base backup")
        decisions = tuple(Decision(one.label, True, ("kept",)) for one in candidates)
        return RetentionPlan(decisions, (wal,), ())

    assert world.sync(settings={"retention": retention}).complete
    numbers = {name: sorted(int(key[-23:-17], 16) for key in keys(world, name)) for name in ("s3", "paris")}
    assert numbers == {"s3": [5, 6, 7, 8, 9], "paris": [5]}


def test_wal_goes_only_where_the_clusters_backups_go(world):
    world.segments("local", [5])

    assert world.sync(settings={"wal_places": ["local", "s3"]}).complete
    assert keys(world, "s3")
    assert not keys(world, "paris")
