"""What a tree's paths and globs name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from backstop.errors import SourceError
from backstop.files.roots import find_roots, outermost
from backstop.model.file_tree import EntryKind

if TYPE_CHECKING:
    from pathlib import Path


def paths(*patterns: Path | str) -> list[str]:
    return ["/" + os.fsdecode(root.path) for root in find_roots([str(one) for one in patterns])]


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not there"):
        find_roots([str(tmp_path / "media")])


def test_a_glob_may_match_nothing_and_matches_no_hidden_name(tmp_path: Path) -> None:
    for name in ("app.service", ".app.service", "app-worker.service", "other.service"):
        (tmp_path / name).touch()

    assert paths(tmp_path / "none*.service") == []
    assert paths(tmp_path / "gone" / "*.service") == []
    assert paths(tmp_path / "*app*.service") == [
        str(tmp_path / "app-worker.service"),
        str(tmp_path / "app.service"),
    ]
    assert paths(tmp_path / ".app*") == [str(tmp_path / ".app.service")]


def test_a_glob_in_the_middle_stays_within_one_folder(tmp_path: Path) -> None:
    for path in ("a/conf/x.conf", "b/conf/y.conf", "b/deep/conf/z.conf"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()

    assert paths(f"{tmp_path}/*/conf/[xz].conf") == [str(tmp_path / "a/conf/x.conf")]
    assert paths(f"{tmp_path}/*/conf") == [str(tmp_path / "a/conf"), str(tmp_path / "b/conf")]


def test_each_root_is_found_once_and_in_the_order_of_a_list(tmp_path: Path) -> None:
    for name in ("b", "a", "a-b"):
        (tmp_path / name).mkdir()

    # Folder by folder: by their bytes alone "a-b" would come before what is in "a".
    assert paths(tmp_path / "b", tmp_path / "*", tmp_path / "a") == [
        str(tmp_path / name) for name in ("a", "a-b", "b")
    ]


def test_a_link_to_a_folder_is_refused_as_a_root_and_its_target_named(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    with pytest.raises(SourceError, match="symbolic link") as caught:
        find_roots([str(tmp_path / "link")])

    assert str(tmp_path / "real") in caught.value.hint


def test_a_link_to_a_file_is_a_root_as_the_link_it_is(tmp_path: Path) -> None:
    (tmp_path / "enabled").symlink_to("available")

    [root] = find_roots([str(tmp_path / "enabled")])

    assert root.kind is EntryKind.SYMLINK


def test_a_device_is_refused_as_a_root() -> None:
    with pytest.raises(SourceError, match="a socket or a device"):
        find_roots(["/dev/null"])


def test_roots_that_lie_in_another_are_told_apart(tmp_path: Path) -> None:
    for name in ("a", "a/b", "a-b"):
        (tmp_path / name).mkdir()
    roots = find_roots([str(tmp_path / name) for name in ("a", "a/b", "a-b")])

    assert [root.path.rpartition(b"/")[2] for root in outermost(roots)] == [b"a", b"a-b"]
