"""What has changed in a tree since its backup: found by looks, and by reading where looks cannot tell."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace

import pytest

from backstop.commands.trees import change_detection
from backstop.commands.trees.change_detection import KnownContent, find_changes
from backstop.files.scan import find_roots, scan
from backstop.model.file_tree import Chunk, EntryKind


class TreeWithBackup:
    """A folder, and the list of files that a backup of it would have."""

    def __init__(self, root):
        self.root = root
        self.exclude = ()
        self.listed = []

    def write(self, name, content="content"):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def back_up(self):
        self.listed = [with_content(one.entry) for one in self.look(lambda _: None)]

    def look(self, on_removed):
        roots = find_roots([str(self.root)])
        return scan(
            roots,
            exclude=self.exclude,
            previous=iter(self.listed),
            on_skip=lambda _: None,
            on_removed=on_removed,
        )

    def changes(self, **arguments):
        return find_changes(self.look, **arguments)


def with_content(entry, piece_bytes=4):
    """The entry with its pieces; zeros are holes."""
    if entry.kind is not EntryKind.FILE or entry.hard_link:
        return entry
    content = open(b"/" + entry.path, "rb").read()  # noqa: SIM115, PTH123
    pieces = [(at, content[at : at + piece_bytes]) for at in range(0, len(content), piece_bytes)]
    return replace(
        entry,
        chunks=tuple(
            Chunk(at, len(piece), hashlib.sha256(piece).hexdigest(), "a-1")
            for at, piece in pieces
            if piece.strip(b"\0")
        ),
    )


def into_the_hole(path):
    with path.open("r+b") as file:
        file.seek(4000)
        file.write(b"x")


@pytest.fixture
def tree(tmp_path):
    tree = TreeWithBackup(tmp_path / "tree")
    tree.write("a/app.conf")
    tree.write("a/sparse", b"12345678" + bytes(5000) + b"end")
    tree.write("b")
    (tree.root / "link").symlink_to("b")
    os.link(tree.root / "b", tree.root / "c")
    tree.back_up()
    return tree


def test_an_untouched_tree_has_not_changed_and_no_file_of_it_is_read(tree, monkeypatch):
    monkeypatch.setattr(change_detection, "has_content_of", lambda entry: pytest.fail("it was read"))

    assert not tree.changes()


def test_a_touch_a_copy_and_a_save_of_the_same_content_are_no_changes(tree):
    os.utime(tree.root / "a" / "app.conf")
    os.utime(tree.root / "link", follow_symlinks=False)
    tree.write("a/sparse", b"12345678" + bytes(5000) + b"end")
    (tree.root / "a" / "new").write_text("content")
    (tree.root / "a" / "new").replace(tree.root / "a" / "app.conf")
    (tree.root / "a" / "passing").touch()
    (tree.root / "a" / "passing").unlink()

    assert not tree.changes()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda root: (root / "a" / "app.conf").write_text("CONTENT"), "changed .*/a/app.conf"),
        (lambda root: (root / "a" / "app.conf").write_text("more content"), "changed .*/a/app.conf"),
        (lambda root: into_the_hole(root / "a" / "sparse"), "changed .*/a/sparse"),
        (lambda root: (root / "a" / "app.conf").chmod(0o600), "changed .*/a/app.conf"),
        (lambda root: os.setxattr(root / "a", "user.a", b"b"), "changed .*/a"),
        (lambda root: (root / "new").mkdir(), "added .*/new"),
        (lambda root: (root / "c").unlink(), "removed .*/c"),
        (lambda root: ((root / "link").unlink(), (root / "link").symlink_to("a")), "changed .*/link"),
        (lambda root: ((root / "c").unlink(), (root / "c").write_text("content")), "changed .*/c"),
    ],
)
def test_a_change_of_any_kind_is_found_and_named(tree, change, named):
    change(tree.root)

    changes = tree.changes()

    assert changes
    assert [one for one in changes.sample if not re.fullmatch(named, one)] == []


def test_the_same_changes_have_the_same_state_and_further_ones_another(tree):
    tree.write("new/file")
    first = tree.changes()
    (tree.root / "new" / "passing").touch()
    (tree.root / "new" / "passing").unlink()
    assert tree.changes().state == first.state

    tree.write("new/file", "other")
    second = tree.changes()
    assert second.state != first.state

    (tree.root / "a" / "app.conf").unlink()
    assert tree.changes().state != second.state


def test_a_file_that_only_looks_changed_is_read_once(tree, monkeypatch):
    read = []
    has_content = change_detection.has_content_of
    monkeypatch.setattr(
        change_detection, "has_content_of", lambda entry: read.append(entry.path) or has_content(entry)
    )
    known = KnownContent()
    os.utime(tree.root / "a" / "app.conf")

    assert not tree.changes(known=known)
    assert not tree.changes(known=known)
    assert len(read) == 1

    tree.write("a/app.conf", "CONTENT")
    assert tree.changes(known=known)
    assert len(read) == 2


def test_large_files_are_read_only_when_nothing_else_has_changed(tree, monkeypatch):
    read = []
    monkeypatch.setattr(change_detection, "has_content_of", lambda entry: read.append(entry.path) or True)
    monkeypatch.setattr(change_detection, "_READ_BYTES", 10)
    os.utime(tree.root / "a" / "sparse")
    tree.write("new")
    assert (tree.changes().added, tree.changes().changed, read) == (1, 0, [])

    first = tree.changes().state
    os.utime(tree.root / "a" / "sparse")
    assert tree.changes().state != first

    (tree.root / "new").unlink()
    assert not tree.changes()
    assert len(read) == 1


def test_a_file_that_kept_changing_while_it_was_backed_up_is_looked_at_again(tree):
    tree.listed = [replace(one, skewed=bool(one.chunks)) for one in tree.listed]
    assert not tree.changes()

    tree.listed = [replace(one, chunks=one.chunks[:-1] if one.chunks else ()) for one in tree.listed]
    assert tree.changes()


def test_of_many_changes_all_are_counted_and_the_first_are_named(tree):
    for number in range(200):
        tree.write(f"many/{number}")

    changes = tree.changes()

    assert changes.added == 201
    assert len(changes.sample) == change_detection.SAMPLE
    assert str(changes) == "201 added"


def test_what_is_excluded_does_not_change(tree):
    tree.exclude = ("*.tmp", f"{tree.root}/a/cache/**", "cache")
    tree.back_up()
    tree.write("a/x.tmp")
    tree.write("a/cache/x")

    assert not tree.changes()
