"""What every storage promises, tried on each of them (storage/base.py says it in words)."""

from __future__ import annotations

import io
import os
import threading
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from backstop.errors import NotFoundError, ObjectConflictError, ObjectMissingError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.storage.base import Storage

MIB = 1024 * 1024


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    """A file larger than two of S3's parts, its size no multiple of anything."""
    path = tmp_path / "payload"
    path.write_bytes(os.urandom(11 * MIB + 13))
    return path


def keys(storage: Storage, prefix: str) -> list[str]:
    return [info.key for info in storage.list(prefix)]


def test_what_was_put_is_read_back(storage):
    storage.put_once("t/meta/manifests/a.json", b'{"a":1}')

    assert storage.read("t/meta/manifests/a.json") == b'{"a":1}'


def test_a_put_says_what_is_stored(storage):
    info = storage.put_once("t/meta/a.json", b"12345")

    assert (info.key, info.size_bytes) == ("t/meta/a.json", 5)
    assert abs(datetime.now(timezone.utc) - info.modified_at) < timedelta(minutes=1)


def test_putting_the_same_bytes_again_is_success(storage):
    storage.put_once("t/meta/a.json", b"same")

    info = storage.put_once("t/meta/a.json", b"same")

    assert info.size_bytes == 4


@pytest.mark.parametrize("other", [b"else", b"longer than it was", b"s", b""])
def test_other_bytes_under_a_taken_key_are_refused_and_change_nothing(storage, other):
    storage.put_once("t/meta/a.json", b"same")

    with pytest.raises(ObjectConflictError, match=r"t/meta/a\.json exists with other content"):
        storage.put_once("t/meta/a.json", other)

    assert storage.read("t/meta/a.json") == b"same"


def test_of_many_who_put_at_once_exactly_one_wins(storage):
    contenders = 8
    start = threading.Barrier(contenders)
    outcomes: list[str] = []

    def contend(number: int) -> None:
        start.wait()
        try:
            storage.put_once("t/meta/lease/dump/1.json", f"holder {number}".encode())
            outcomes.append(f"holder {number}")
        except ObjectConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(contenders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes.count("refused") == contenders - 1
    assert storage.read("t/meta/lease/dump/1.json").decode() in outcomes


def test_an_upload_is_read_back_whole(storage, payload):
    expected = payload.read_bytes()

    info = storage.upload("t/data/database/x/1/t/7", payload)

    assert info.size_bytes == len(expected)
    with storage.open("t/data/database/x/1/t/7") as stream:
        assert stream.read() == expected


def test_the_source_of_an_upload_may_go_afterwards(storage, payload):
    expected = payload.read_bytes()
    storage.upload("t/data/a", payload)

    payload.unlink()

    with storage.open("t/data/a") as stream:
        assert stream.read() == expected


@pytest.mark.parametrize("size_bytes", [0, 1, 5 * MIB, 5 * MIB + 1, 10 * MIB])
def test_uploads_of_every_size_arrive(storage, tmp_path, size_bytes):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size_bytes))

    info = storage.upload("t/data/a", source)

    stored = storage.stat("t/data/a")
    assert stored is not None
    assert info.size_bytes == stored.size_bytes == size_bytes
    with storage.open("t/data/a") as stream:
        assert stream.read() == source.read_bytes()


@pytest.mark.parametrize("size_bytes", [6, 11 * MIB])
def test_an_upload_never_replaces(storage, tmp_path, size_bytes):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"first")
    second.write_bytes(b"x" * size_bytes)
    storage.upload("t/data/a", first)

    with pytest.raises(ObjectConflictError, match="t/data/a"):
        storage.upload("t/data/a", second)

    assert storage.read("t/data/a") == b"first"


@pytest.mark.parametrize("size_bytes", [0, 1, 6 * MIB, 16 * MIB + 300])
def test_an_upload_from_memory_arrives_whole_and_never_replaces(storage, size_bytes):
    data = os.urandom(size_bytes)

    info = storage.upload("t/data/a", data)

    assert info.size_bytes == size_bytes
    with storage.open("t/data/a") as stream:
        assert stream.read() == data
    with pytest.raises(ObjectConflictError, match="t/data/a"):
        storage.upload("t/data/a", b"other")
    assert storage.stat("t/data/a").size_bytes == size_bytes


def test_a_stream_can_be_read_in_small_pieces(storage, payload):
    storage.upload("t/data/a", payload)
    copied = io.BytesIO()

    with storage.open("t/data/a") as stream:
        while block := stream.read(1_000_003):
            copied.write(block)
        assert stream.read(1) == b""

    assert copied.getvalue() == payload.read_bytes()


def test_a_stream_may_be_left_half_way(storage, payload):
    storage.upload("t/data/a", payload)

    with storage.open("t/data/a") as stream:
        assert stream.read(10) == payload.read_bytes()[:10]

    assert storage.read("t/data/a") == payload.read_bytes()


def test_absent_objects_are_named(storage):
    storage.put_once("t/meta/a", b"a")

    with pytest.raises(ObjectMissingError, match="t/meta/none"):
        storage.read("t/meta/none")
    with pytest.raises(NotFoundError), storage.open("t/meta/none"):
        pass
    assert storage.stat("t/meta/none") is None


def test_a_folder_is_no_object(storage):
    storage.put_once("t/meta/a", b"a")

    assert storage.stat("t/meta") is None
    with pytest.raises(ObjectMissingError):
        storage.read("t/meta")


def test_reading_stops_at_the_size_that_was_allowed(storage):
    storage.put_once("t/meta/a", b"x" * 101)

    with pytest.raises(StorageError, match="more than 100"):
        storage.read("t/meta/a", max_bytes=100)
    assert len(storage.read("t/meta/a", max_bytes=101)) == 101


def test_listing_finds_exactly_the_keys_with_the_prefix(storage):
    for key in ("t/meta/a/1", "t/meta/a/2", "t/meta/ab/1", "t/meta/b", "u/meta/a/1"):
        storage.put_once(key, key.encode())

    assert keys(storage, "t/meta/a/") == ["t/meta/a/1", "t/meta/a/2"]
    assert set(keys(storage, "t/meta/a")) == {"t/meta/a/1", "t/meta/a/2", "t/meta/ab/1"}
    assert set(keys(storage, "t/")) == {"t/meta/a/1", "t/meta/a/2", "t/meta/ab/1", "t/meta/b"}
    assert len(keys(storage, "")) == 5
    assert keys(storage, "t/meta/c") == []
    assert keys(storage, "v/nothing/here/") == []


def test_listing_a_new_storage_is_empty(storage):
    assert keys(storage, "") == []


def test_folders_at_the_top_are_named_once_each_and_nothing_else_is(storage):
    for key in ("repository.json", "b/meta/a/1", "b/meta/a/2", "a/data/1", "a-b/tail/x/1"):
        storage.put_once(key, key.encode())

    assert sorted(storage.folders()) == ["a", "a-b", "b"]


def test_a_new_storage_has_no_folders(storage):
    assert [*storage.folders()] == []


def test_listing_says_sizes_and_times(storage):
    storage.put_once("t/meta/a", b"12345")

    [info] = storage.list("t/")

    assert info.size_bytes == 5
    assert abs(datetime.now(timezone.utc) - info.modified_at) < timedelta(minutes=1)


def test_a_folder_is_listed_in_the_order_of_names(storage):
    names = ["000000000002-000000", "000000000001-000010", "000000000001-000009", "Z", "a", "a-b", "ä", "~"]
    for name in names:
        storage.put_once(f"t/meta/lease/dump/{name}", b"x")

    assert keys(storage, "t/meta/lease/dump/") == [f"t/meta/lease/dump/{name}" for name in sorted(names)]


@pytest.mark.parametrize(
    "name", ["a b", "ünï", 'quo"te', "per%cent", "plus+", "hash#", "q?x=1", "&<>", "日本", "'"]
)
def test_odd_names_survive(storage, name):
    storage.put_once(f"t/data/{name}", name.encode())

    assert storage.read(f"t/data/{name}") == name.encode()
    assert keys(storage, "t/data/") == [f"t/data/{name}"]


def test_deleted_objects_are_gone_and_deleting_again_is_success(storage):
    storage.put_once("t/meta/deep/a", b"a")
    storage.put_once("t/meta/b", b"b")

    storage.delete("t/meta/deep/a")
    storage.delete("t/meta/deep/a")

    assert keys(storage, "") == ["t/meta/b"]


def test_a_deleted_key_can_be_put_again(storage):
    storage.put_once("t/meta/a", b"a")
    storage.delete("t/meta/a")

    storage.put_once("t/meta/a", b"b")

    assert storage.read("t/meta/a") == b"b"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        "a/./b",
        ".tmp/x",
        "a/.hidden",
        "a\0b",
        "a\nb",
        "x" * 256,
        "a/" * 600 + "b",
    ],
)
def test_keys_that_some_storage_cannot_hold_are_refused_by_all(storage, key, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"x")

    for operation in (
        lambda: storage.put_once(key, b"x"),
        lambda: storage.upload(key, source),
        lambda: storage.read(key),
        lambda: storage.open(key),
        lambda: storage.stat(key),
        lambda: storage.delete(key),
    ):
        with pytest.raises(StorageError, match="is not an object key"):
            operation()
    assert keys(storage, "") == []


@pytest.mark.parametrize("prefix", ["/", "../", "t/../u", "a//b", ".tmp"])
def test_prefixes_that_lead_elsewhere_are_refused(storage, prefix):
    with pytest.raises(StorageError, match="not the beginning of an object key"):
        keys(storage, prefix)


def test_many_threads_may_use_one_storage(storage, tmp_path):
    sources = [tmp_path / str(number) for number in range(4)]
    for source in sources:
        source.write_bytes(os.urandom(6 * MIB))
    threads = [
        threading.Thread(target=storage.upload, args=(f"t/data/{source.name}", source)) for source in sources
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for source in sources:
        with storage.open(f"t/data/{source.name}") as stream:
            assert stream.read() == source.read_bytes()


def test_a_storage_that_works_passes_its_check_and_says_what_time_it_has(storage):
    now = storage.check()

    assert now is not None
    assert abs(datetime.now(timezone.utc) - now) < timedelta(minutes=1)


def test_trying_to_write_leaves_nothing_behind_and_alone_what_is_there(storage):
    storage.put_once("t/meta/there", b"stays")

    storage.probe("t/meta/there")
    storage.probe("t/data/absent")

    assert keys(storage, "") == ["t/meta/there"]
    assert storage.read("t/meta/there") == b"stays"
    assert list(storage.incomplete_uploads("")) == []
    assert [version.key for version in storage.versions("")] == ["t/meta/there"]


def test_a_storage_says_where_it_is(storage):
    assert storage.location
    assert storage.location.startswith(("/", "s3://backstop-tests/t/", "memory://"))


def test_many_are_deleted_at_once_and_absent_ones_are_success(storage):
    for number in range(5):
        storage.put_once(f"t/data/a {number}", b"x")
    storage.put_once("t/data/stays", b"x")
    doomed = [(one.key, one.version_id) for one in storage.versions("t/data/a ")]

    assert storage.delete_many([*doomed, ("t/data/none", None)]) == ()
    assert storage.delete_many(doomed) == ()

    assert keys(storage, "") == ["t/data/stays"]


@pytest.mark.parametrize(
    "name", ["a b", "ünï", 'quo"te', "per%cent", "plus+", "hash#", "q?x=1", "&<>", "日本", "'"]
)
def test_odd_names_are_deleted_like_any_other(storage, name):
    storage.put_once(f"t/data/{name}", b"x")

    storage.delete_many([(one.key, one.version_id) for one in storage.versions("t/data/")])

    assert list(storage.versions("")) == []


def test_without_history_there_is_one_version_a_key(storage):
    storage.put_once("t/data/b", b"12345")
    storage.put_once("t/data/a/1", b"1")

    found = {one.key: one for one in storage.versions("t/")}

    assert sorted(found) == ["t/data/a/1", "t/data/b"]
    assert found["t/data/b"].size_bytes == 5
    assert found["t/data/b"].is_latest
    assert not found["t/data/b"].is_marker
    assert list(storage.versions("u/")) == []


def test_the_versions_of_one_key_are_not_those_of_its_neighbours(storage):
    for key in ("t/data/a", "t/data/a b", "t/data/ab", "t/data/a-/1"):
        storage.put_once(key, b"12345")

    [found] = storage.versions_of("t/data/a")

    assert (found.key, found.size_bytes, found.is_latest) == ("t/data/a", 5, True)
    assert list(storage.versions_of("t/data/none")) == []


def test_nothing_is_locked_where_no_lock_was_set(storage):
    storage.put_once("t/data/a", b"1")

    assert storage.lock("t/data/a") is None
    assert storage.lock("t/data/none") is None


def test_keys_and_prefixes_are_checked_there_too(storage):
    with pytest.raises(StorageError, match="is not an object key"):
        storage.delete_many([("../a", None)])
    with pytest.raises(StorageError, match="is not an object key"):
        storage.lock("../a")
    with pytest.raises(StorageError, match="not the beginning of an object key"):
        list(storage.versions("../"))
