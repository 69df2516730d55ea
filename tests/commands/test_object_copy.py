"""One object from one repository into another: checked on its way, never in memory as a whole."""

from __future__ import annotations

import hashlib
import io
import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from backstop.commands.object_copy import ObjectToCopy, copy_object, fetch_checked, look
from backstop.errors import IntegrityError, ObjectMissingError, StorageError, StorageUnavailableError
from backstop.storage.memory import MemoryStorage
from backstop.storage.posix import PosixStorage

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024
KEY = "calibrify/data/database/a/t/1"


def wanted(body: bytes, **changes) -> ObjectToCopy:
    fields = {"key": KEY, "stored_bytes": len(body), "stored_sha256": hashlib.sha256(body).hexdigest()}
    return ObjectToCopy(**{**fields, **changes})


def test_a_large_object_is_copied_in_little_memory(tmp_path: Path):
    body = os.urandom(MIB) * 48
    source, destination = PosixStorage(tmp_path / "one"), PosixStorage(tmp_path / "two")
    source.upload(KEY, body)
    expected = wanted(body)
    del body
    told: list[int] = []
    tracemalloc.start()

    info = copy_object(expected, source=source, destination=destination, folder=tmp_path, advance=told.append)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MIB
    assert info is not None
    assert sum(told) == info.size_bytes == 48 * MIB
    assert look(expected, destination) == info
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (b"12345", "5 bytes instead of 6 bytes"),
        (b"1234567", "more than 6 bytes"),
        (b"123457", "SHA-256"),
        (b"", "0 bytes instead of 6 bytes"),
    ],
)
def test_whatever_is_not_what_was_stored_is_refused_and_leaves_nothing(
    tmp_path: Path, found: bytes, said: str
):
    source, destination = MemoryStorage("one"), MemoryStorage("two")
    source.upload(KEY, found)

    with pytest.raises(IntegrityError, match=f"memory://one/{KEY} is not what was stored: it has .*{said}"):
        copy_object(wanted(b"123456"), source=source, destination=destination, folder=tmp_path)

    assert list(destination.list("")) == []
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_taken_is_left_as_it_is(tmp_path: Path):
    source, destination = MemoryStorage("one"), MemoryStorage("two")
    source.upload(KEY, b"123456")
    destination.upload(KEY, b"something else")

    assert copy_object(wanted(b"123456"), source=source, destination=destination, folder=tmp_path) is None
    assert destination.read(KEY) == b"something else"
    with pytest.raises(IntegrityError, match="14 bytes instead of 6 bytes"):
        look(wanted(b"123456"), destination)


def test_a_version_that_was_healed_is_read_as_it_is_now(tmp_path: Path):
    source = MemoryStorage("one", versioned=True)
    damaged = source.upload(KEY, b"123457")
    source.delete(KEY, version_id=damaged.version_id)
    source.upload(KEY, b"123456")

    into = tmp_path / "object"
    fetch_checked(wanted(b"123456", version_id=damaged.version_id), source=source, into=into)

    assert into.read_bytes() == b"123456"


def test_a_source_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch):
    source = MemoryStorage("one")
    source.upload(KEY, b"123456")

    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell():
                raise StorageUnavailableError("cut")
            return super().read(3)

    monkeypatch.setattr(source, "open", lambda key, **_: Broken(b"123456"))

    with pytest.raises(StorageUnavailableError):
        fetch_checked(wanted(b"123456"), source=source, into=tmp_path / "object")
    assert list(tmp_path.iterdir()) == []


def test_nothing_there_is_nothing_to_look_at_and_a_repository_that_is_silent_says_so(monkeypatch):
    storage = MemoryStorage()
    assert look(wanted(b"123456"), storage) is None
    with pytest.raises(ObjectMissingError):
        storage.open(KEY)

    def silent(key):
        raise StorageUnavailableError("silent")

    monkeypatch.setattr(storage, "stat", silent)
    with pytest.raises(StorageUnavailableError):
        look(wanted(b"123456"), storage)


def test_a_role_that_may_only_list_knows_an_object_by_its_size(monkeypatch):
    storage = MemoryStorage()
    storage.upload(KEY, b"654321")

    def forbidden(key, **_):
        raise StorageError("not allowed")

    monkeypatch.setattr(storage, "open", forbidden)
    assert look(wanted(b"123456"), storage) is not None
    monkeypatch.setattr(storage, "stat", forbidden)
    assert look(wanted(b"123456"), storage) is not None
    with pytest.raises(IntegrityError):
        look(wanted(b"1234567"), storage)
