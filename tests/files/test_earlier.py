"""What tells an untouched file by its line in an earlier list, without taking the line apart."""

from __future__ import annotations

import stat
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given

from backstop.commands.trees.listing import packs_of
from backstop.files.earlier import Earlier
from backstop.model.file_tree import Chunk, Entry, EntryKind, Identity
from tests.model.test_file_tree import files, links, paths

PIECES = (Chunk(0, 3, "0" * 64, "3f-1"), Chunk(3, 4, "1" * 64, "3f-12"))


def status_of(entry: Entry, **others: int) -> Any:
    identity = entry.identity or Identity(0, 0, 0)
    kind = stat.S_IFREG if entry.kind is EntryKind.FILE else stat.S_IFLNK
    said = {
        "st_mode": kind | entry.mode,
        "st_uid": entry.uid,
        "st_gid": entry.gid,
        "st_mtime_ns": entry.mtime_ns,
        "st_size": entry.size_bytes,
        "st_ctime_ns": identity.ctime_ns,
        "st_ino": identity.inode,
        "st_dev": identity.device,
        "st_nlink": 2 if entry.hard_link else 1,
    }
    return SimpleNamespace(**{**said, **{name: said[name] ^ value for name, value in others.items()}})


def is_still(entry: Entry, status: Any, *, hard_link: bytes | None = None) -> bool:
    listed = Earlier(iter([entry.to_line()]), lambda removed: None).at(entry.path)
    assert listed is not None
    return listed.is_still(entry.kind, status, entry.hard_link if hard_link is None else hard_link)


@given(entry=files | links)
def test_a_file_is_untouched_only_where_all_that_its_line_says_is_still_so(entry: Entry) -> None:
    # This machine has no names for such numbers.
    entry = replace(entry, uid=2**31 + 1, gid=2**31 + 1, owner="", group="", skewed=False)
    entry = replace(entry, identity=Identity(5, 6, 7))

    assert is_still(entry, status_of(entry))
    for name in ("st_mode", "st_uid", "st_gid", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_dev"):
        assert not is_still(entry, status_of(entry, **{name: 1})), name
    if entry.kind is EntryKind.FILE:
        assert not is_still(entry, status_of(entry, st_size=1))
    if entry.hard_link:
        assert not is_still(entry, status_of(entry), hard_link=entry.hard_link + b"x")
    assert not is_still(replace(entry, skewed=True), status_of(entry))
    assert not is_still(replace(entry, identity=None), status_of(entry))


@given(entry=files, path=paths)
def test_a_line_is_found_by_its_own_path_alone(entry: Entry, path: bytes) -> None:
    listed = Earlier(iter([entry.to_line()]), lambda removed: None).at(path)

    assert (listed is not None) == (path == entry.path)


@pytest.mark.parametrize("name", [b"a", b'",chunks":[', b',"chunks":[[0,1,"', b'x","y"]', b"\xff\\"])
def test_the_packs_of_a_line_are_its_pieces_whatever_its_names(name: bytes) -> None:
    entry = Entry(
        path=name,
        kind=EntryKind.FILE,
        mode=0o644,
        uid=0,
        gid=0,
        owner=name.decode(errors="replace"),
        group="",
        mtime_ns=0,
        size_bytes=7,
        hard_link=name,
    )

    assert packs_of(replace(entry, chunks=PIECES).to_line()) == [b"3f-1", b"3f-12"]
    assert packs_of(entry.to_line()) == []
