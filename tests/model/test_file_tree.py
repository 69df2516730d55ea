"""The list of files: every line reads back as it was written, and none can lead out of its place."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.errors import IntegrityError
from backstop.files.metadata import differences
from backstop.files.ownership import Ownership
from backstop.model.file_tree import Chunk, Entry, EntryKind, Identity, shown, sort_key

if TYPE_CHECKING:
    from pathlib import Path

names = st.binary(min_size=1, max_size=255).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)
paths = st.lists(names, min_size=1, max_size=4).map(b"/".join)
counts = st.integers(0, 2**63)
sha256s = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")
xattrs = st.tuples(st.sampled_from(["user.a", "system.posix_acl_access"]), st.binary())
identities = st.builds(Identity, ctime_ns=st.integers(), inode=counts, device=counts)


@st.composite
def pieces(draw: st.DrawFn) -> tuple[Chunk, ...]:
    found, offset = [], 0
    for gap, size in draw(st.lists(st.tuples(st.integers(0, 10), st.integers(1, 2**24)), max_size=3)):
        offset += gap
        found.append(Chunk(offset, size, draw(sha256s), "3f-l1"))
        offset += size
    return tuple(found)


files = st.builds(
    Entry,
    path=paths,
    kind=st.just(EntryKind.FILE),
    mode=st.integers(0, 0o7777),
    uid=counts,
    gid=counts,
    owner=st.text(),
    group=st.text(),
    mtime_ns=st.integers(),
    size_bytes=counts,
    chunks=pieces(),
    xattrs=st.lists(xattrs, max_size=1).map(tuple),
    hard_link=st.just(b"") | paths,
    identity=st.none() | identities,
    skewed=st.booleans(),
)
links = st.builds(
    Entry,
    path=paths,
    kind=st.just(EntryKind.SYMLINK),
    mode=st.just(0o777),
    uid=counts,
    gid=counts,
    owner=st.text(),
    group=st.text(),
    mtime_ns=st.integers(),
    link_target=st.binary(min_size=1).filter(lambda target: b"\0" not in target),
)


@given(files | links)
def test_a_line_reads_back_as_it_was_written_whatever_the_bytes_of_its_names(entry: Entry) -> None:
    line = entry.to_line()

    assert Entry.from_line(line) == entry
    assert line.isascii()
    assert line.count(b"\n") == 1


@pytest.mark.parametrize(
    "change",
    [
        {"path": "../etc/passwd"},
        {"path": "/etc/passwd"},
        {"path": "srv/../../etc/passwd"},
        {"path": ""},
        {"path": "srv/./x"},
        {"path": "srv/x\0y"},
        {"hard_link": "../etc/shadow"},
        {"kind": "device"},
        {"mode": "100644"},
        {"size": -1},
        {"uid": "0"},
        {"chunks": [[0, 5, "zz", "a-1"]]},
        {"chunks": [[0, 5, "0" * 64, "../a"]]},
        {"chunks": [[0, 5, "0" * 64, "a-1"], [4, 5, "0" * 64, "a-1"]]},
        {"chunks": [[0, 0, "0" * 64, "a-1"]]},
        {"xattrs": {"user.a": "not base64!"}},
        {"target": "a\0b"},
    ],
)
def test_a_line_that_nobody_honest_writes_is_refused(change: dict[str, object]) -> None:
    entry = Entry(b"srv/x", EntryKind.FILE, 0o644, 0, 0, "root", "root", 0)
    line = json.dumps({**json.loads(entry.to_line()), **change}).encode()

    with pytest.raises(IntegrityError, match="malformed"):
        Entry.from_line(line)


def test_entries_are_in_the_order_of_a_walk() -> None:
    # As plain bytes "a b" and "a.txt" would stand between the folder and what is in it.
    walk = [b"a", b"a/z", b"a b", b"a.txt", b"b"]

    assert sorted({*walk}, key=sort_key) == walk


def test_a_path_is_shown_in_one_line_whatever_its_bytes() -> None:
    assert shown(b"srv/a\nb\xff\x1b[31m") == "/srv/a\\nb\\xff\\x1b[31m"


@pytest.mark.parametrize("more", [b"{}", b" x", b"\n{}", b"\xff"])
def test_a_line_with_something_behind_its_entry_is_refused(more: bytes) -> None:
    line = Entry(b"a", EntryKind.FIFO, 0o600, 0, 0, "", "", 0).to_line()

    with pytest.raises(IntegrityError, match="malformed"):
        Entry.from_line(line.rstrip(b"\n") + more)


def test_a_line_that_is_nested_without_end_is_refused() -> None:
    with pytest.raises(IntegrityError, match="malformed"):
        Entry.from_line(b'{"path":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_a_name_of_an_attribute_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    status = (tmp_path / "a").stat()
    entry = Entry(
        b"a", EntryKind.FILE, 0o644, status.st_uid, status.st_gid, "", "", status.st_mtime_ns,
        xattrs=(("user.\x1b]0;x\x07\udcff", b""),),
    )  # fmt: skip
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        found = list(differences(folder, b"a", entry, owner=Ownership()))
    finally:
        os.close(folder)

    assert found == [r"extended attribute user.\x1b]0;x\x07\udcff is other"]
