"""What differs between two lists of files, whatever order their changes come in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.model.file_tree import Chunk, Entry, EntryKind, sort_key
from backstop.model.tree_difference import Change, changed_fields, differences


def file(path: str, content: str = "a", **changes: object) -> Entry:
    chunks = (Chunk(0, 1, content * 64, "p-1"),) if content else ()
    entry = Entry(path.encode(), EntryKind.FILE, 0o644, 1, 1, "ann", "ann", 5, len(chunks), chunks)
    return replace(entry, **changes)  # type: ignore[arg-type]


def folder(path: str, **changes: object) -> Entry:
    return replace(Entry(path.encode(), EntryKind.DIRECTORY, 0o755, 1, 1, "ann", "ann", 5), **changes)  # type: ignore[arg-type]


def told(before: list[Entry], after: list[Entry]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.path.decode(), one.change.value, one.fields) for one in differences(before, after)]


def test_added_removed_and_changed_files_are_told_apart() -> None:
    before = [folder("m"), file("m/gone"), file("m/kept"), file("m/rewritten"), file("m/shut")]
    after = [
        folder("m", mtime_ns=9),
        file("m/kept"),
        file("m/new"),
        file("m/rewritten", "b", mtime_ns=6),
        file("m/shut", mode=0o600, uid=0, owner="root"),
    ]

    assert told(before, after) == [
        ("m/gone", "removed", ()),
        ("m/new", "added", ()),
        ("m/rewritten", "content", ("content", "mtime")),
        ("m/shut", "metadata", ("mode", "owner")),
    ]


@pytest.mark.parametrize(
    ("change", "field", "kind"),
    [
        ({"kind": EntryKind.FIFO, "chunks": (), "size_bytes": 0}, "kind", Change.CONTENT),
        ({"size_bytes": 2}, "content", Change.CONTENT),
        ({"mode": 0o4644}, "mode", Change.METADATA),
        ({"group": "lab"}, "owner", Change.METADATA),
        ({"xattrs": (("user.a", b"1"),)}, "xattrs", Change.METADATA),
        ({"mtime_ns": 6}, "mtime", Change.METADATA),
    ],
)
def test_every_property_of_a_file_counts(change: dict[str, object], field: str, kind: Change) -> None:
    [found] = differences([file("x")], [file("x", **change)])

    assert found.change is kind
    assert field in found.fields


def test_content_that_moved_to_another_pack_is_the_same() -> None:
    moved = replace(file("x"), chunks=(Chunk(0, 1, "a" * 64, "q-7"),))

    assert changed_fields(file("x"), moved) == ()


def test_a_hard_link_changes_with_the_file_it_names() -> None:
    link = file("b", "", hard_link=b"a", size_bytes=1)

    assert told([file("a"), link], [file("a", "c"), link]) == [
        ("a", "content", ("content",)),
        ("b", "content", ("content",)),
    ]


def test_a_name_that_became_a_hard_link_is_judged_by_its_time() -> None:
    link = file("b", "", hard_link=b"a")

    assert told([file("a"), file("b")], [file("a"), link]) == [("b", "metadata", ("hard link",))]
    assert told([file("a"), link], [file("a"), file("b", mtime_ns=7)])[0][1] == "content"


def test_another_target_of_a_link_is_other_content() -> None:
    link = Entry(b"l", EntryKind.SYMLINK, 0o777, 1, 1, "ann", "ann", 5, link_target=b"/etc/a")

    assert told([link], [replace(link, link_target=b"/etc/b")]) == [("l", "content", ("target",))]


names = st.lists(st.sampled_from(["a", "b", "a b", "a.txt"]), min_size=1, max_size=3).map("/".join)
trees = st.dictionaries(names, st.sampled_from("abc"), max_size=12)


@given(trees, trees)
def test_the_merge_finds_what_a_comparison_of_both_whole_lists_finds(
    old: dict[str, str], new: dict[str, str]
) -> None:
    before, after = (
        [file(path, tree[path]) for path in sorted(tree, key=lambda path: sort_key(path.encode()))]
        for tree in (old, new)
    )

    expected = dict.fromkeys(old.keys() - new.keys(), "removed")
    expected |= dict.fromkeys(new.keys() - old.keys(), "added")
    expected |= {path: "content" for path in old.keys() & new.keys() if old[path] != new[path]}
    assert {path: change for path, change, _ in told(before, after)} == expected
