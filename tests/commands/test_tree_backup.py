"""Backups of a file tree: what is stored, what is stored again, what is listed."""

from __future__ import annotations

import os
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backstop.crypto.envelope import decrypt_to_file
from backstop.errors import LeaseHeldError, SourceError
from backstop.files.scan import Scanned
from backstop.repository.lock import Lease
from backstop.storage.memory import MemoryStorage
from backstop.storage.posix import PosixStorage
from tests.trees import ProtectedTree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.storage.base import ObjectInfo

MB = 1024 * 1024


@pytest.fixture
def tree(tmp_path: Path) -> ProtectedTree:
    return ProtectedTree(tmp_path, {"local": PosixStorage(tmp_path / "repository")})


def fill(tree: ProtectedTree, files: int = 20) -> None:
    for number in range(files):
        path = tree.source / f"folder{number % 3}" / f"file{number:03d}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(os.urandom(5000))


def test_every_file_comes_back_from_the_packs_as_it_is(tree: ProtectedTree) -> None:
    fill(tree)
    (tree.source / "empty").touch()
    (tree.source / "large").write_bytes(os.urandom(MB) * 35)
    (tree.source / os.fsdecode(b"\xff\n name")).write_bytes(b"x")
    (tree.source / ("n" * 255)).write_bytes(b"y")

    report = tree.back_up()

    assert report.complete
    assert tree.contents(report) == tree.on_disk()
    assert report.files == len(tree.on_disk())
    assert report.plain_bytes == sum(map(len, tree.on_disk().values()))
    assert tree.manifest(report).summary["files"] == report.files


def test_a_pack_is_a_tar_of_pieces_named_by_their_hash(tree: ProtectedTree) -> None:
    fill(tree)

    manifest = tree.manifest(tree.back_up())

    packs = [stored for stored in manifest.objects if stored.layout == "chunks"]
    assert [stored.name for stored in packs] == [f"{manifest.attempt}-1", f"{manifest.attempt}-l1"]
    pack = tree.folder / "pack.tar"
    with tree.storages["local"].open(packs[0].key) as source:
        decrypt_to_file(source, pack, keyring=tree.keyring, expected=packs[0])
    with tarfile.open(pack) as archive:
        members = archive.getmembers()
    assert len(members) == 20
    assert {(member.type, member.size, len(member.name)) for member in members} == {
        (tarfile.REGTYPE, 5000, 64)
    }


def test_packs_are_full_at_32_mib(tree: ProtectedTree) -> None:
    for number in range(7):
        (tree.source / f"file{number}").write_bytes(os.urandom(MB) * 11)

    manifest = tree.manifest(tree.back_up())

    sizes = [one.plain_bytes for one in manifest.objects if one.layout == "chunks" and "-l" not in one.name]
    assert len(sizes) == 3
    assert max(sizes) <= 48 * MB


def test_an_untouched_tree_stores_next_to_nothing(tree: ProtectedTree) -> None:
    fill(tree)
    first = tree.back_up()

    second = tree.back_up()

    assert (second.new_files, second.changed_files, second.removed_files) == (0, 0, 0)
    assert second.changes == ()
    manifest = tree.manifest(second)
    own = [stored.name for stored in manifest.objects if stored.origin == manifest.label]
    assert own == ["files"]
    assert [label.text for label in manifest.refers_to] == [first.label]
    assert tree.contents(second) == tree.on_disk()


def test_an_untouched_file_is_not_even_opened(tree: ProtectedTree, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tree)
    tree.back_up()
    opened: list[bytes] = []
    genuine = Scanned.open
    monkeypatch.setattr(Scanned, "open", lambda one: (opened.append(one.path), genuine(one))[1])
    (tree.source / "new").write_bytes(b"new")

    tree.back_up()
    assert [path.rpartition(b"/")[2] for path in opened] == [b"new"]

    opened.clear()
    tree.back_up(settings={"rehash": True})
    assert len(opened) == 21


def test_a_changed_file_is_stored_and_the_list_tells_what_became_of_the_others(tree: ProtectedTree) -> None:
    fill(tree)
    tree.back_up()
    (tree.source / "folder0" / "file000").write_bytes(os.urandom(6000))
    (tree.source / "folder1" / "file001").unlink()
    (tree.source / "folder2" / "new").write_bytes(os.urandom(7000))
    (tree.source / "folder2" / "file002").touch()

    report = tree.back_up()

    assert tree.contents(report) == tree.on_disk()
    # In the order in which they are known, which is not always that of the list.
    assert sorted(report.changes) == [
        f"added {tree.source}/folder2/new",
        f"changed {tree.source}/folder0/file000",
        f"removed {tree.source}/folder1/file001",
    ]
    assert (report.new_files, report.changed_files, report.removed_files) == (1, 1, 1)
    assert 13_000 < report.stored_bytes < 13_000 + 8_000


def test_a_file_that_is_renamed_copied_or_appended_to_is_not_stored_again(tree: ProtectedTree) -> None:
    (tree.source / "large").write_bytes(os.urandom(20 * MB))
    (tree.source / "old").write_bytes(os.urandom(3 * MB))
    tree.back_up()
    (tree.source / "old").rename(tree.source / "another")
    (tree.source / "copy").write_bytes((tree.source / "another").read_bytes())
    with (tree.source / "large").open("ab") as file:
        file.write(b"and more")

    report = tree.back_up()

    assert tree.contents(report) == tree.on_disk()
    # Of the large one all but the last piece, which begins at 16 MiB.
    assert 4 * MB < report.stored_bytes < 5 * MB


def test_a_file_in_several_copies_is_stored_once(tree: ProtectedTree) -> None:
    content = os.urandom(MB)
    for number in range(8):
        (tree.source / f"copy{number}").write_bytes(content)

    report = tree.back_up(settings={"readers": 1})

    assert report.stored_bytes < 2 * MB
    assert tree.contents(report) == tree.on_disk()


def test_hard_links_are_listed_as_such_and_stored_once(tree: ProtectedTree) -> None:
    (tree.source / "b").write_bytes(os.urandom(MB))
    (tree.source / "a").hardlink_to(tree.source / "b")

    report = tree.back_up()

    entries = tree.entries(report)
    assert entries[b"a"].hard_link == b""
    assert entries[b"b"].hard_link == entries[b"a"].path
    assert entries[b"b"].chunks == ()
    assert report.plain_bytes == MB
    assert report.files == 2


def test_a_long_list_is_cut_where_it_was_cut_before(tree: ProtectedTree) -> None:
    for number in range(5000):
        (tree.source / f"file{number:04d}").touch()
    first = tree.back_up()
    (tree.source / "file2500a").touch()

    second = tree.back_up()

    def segments(label_of: Any) -> set[str]:
        manifest = tree.manifest(label_of)
        return {one.name for one in manifest.objects if "-l" in one.name and one.origin == manifest.label}

    entries = tree.entries(second)
    assert len(entries) == 5002
    assert list(entries) == sorted(entries)
    assert len(segments(first)) == len(segments(second)) == 1
    # The folder's own line and the new one: two segments at most of some five.
    assert second.stored_bytes < first.stored_bytes * 0.75


def test_a_path_that_is_gone_is_refused_and_the_last_backup_stays(tree: ProtectedTree) -> None:
    fill(tree)
    first = tree.back_up()
    tree.source.rename(tree.folder / "moved")

    with pytest.raises(SourceError, match="is not there"):
        tree.back_up()

    assert tree.labels() == [first.label]
    assert not list((tree.folder / "staging").iterdir())


def test_a_path_that_goes_away_meanwhile_is_refused(
    tree: ProtectedTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backstop.commands.trees import attempt

    fill(tree)
    genuine = attempt.find_roots

    def find_roots(patterns: Any) -> Any:
        roots = genuine(patterns)
        tree.source.rename(tree.folder / "moved")
        return roots

    monkeypatch.setattr(attempt, "find_roots", find_roots)

    with pytest.raises(SourceError, match="went away"):
        tree.back_up()

    assert tree.labels() == []


@pytest.mark.parametrize("left", [0, 4])
def test_an_emptied_tree_is_backed_up_with_a_warning(tree: ProtectedTree, left: int) -> None:
    fill(tree)
    assert tree.back_up().warnings == ()
    for path in sorted(tree.source.rglob("file*"))[left:]:
        path.unlink()

    report = tree.back_up()

    [warning] = report.warnings
    assert "the backup before has 20" in warning
    assert tree.manifest(report).summary["warning"] == warning
    assert report.removed_files == 20 - left


def test_a_glob_that_matches_nothing_is_a_warning(tree: ProtectedTree) -> None:
    fill(tree)
    nothing = f"{tree.folder}/app*.service"

    report = tree.back_up(settings={"patterns": (str(tree.source), nothing)})

    assert report.warnings == (f"{nothing} matches nothing",)


@pytest.mark.parametrize("policy", ["fail", "list"])
def test_what_cannot_be_read_is_refused_or_listed_by_policy(
    tree: ProtectedTree, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    fill(tree, 3)
    (tree.source / "secret").write_bytes(b"x")
    (tree.source / "secret2").hardlink_to(tree.source / "secret")
    genuine = Scanned.open

    def refuse(scanned: Scanned) -> int:
        if scanned.path.endswith(b"/secret"):
            raise PermissionError(13, "Permission denied")
        return genuine(scanned)

    monkeypatch.setattr(Scanned, "open", refuse)

    if policy == "fail":
        with pytest.raises(SourceError, match=r"secret \(permission denied\)"):
            tree.back_up()
        assert tree.labels() == []
        return
    report = tree.back_up(settings={"unreadable": "list"})
    assert report.not_included == (
        f"{tree.source}/secret (permission denied)",
        f"{tree.source}/secret2 (another name of a file that could not be read)",
    )
    assert tree.manifest(report).not_included == report.not_included
    assert b"secret2" not in tree.entries(report)


@pytest.fixture
def open_tree() -> Iterator[ProtectedTree]:
    """Not in pytest's own folder, where nobody but its user gets."""
    with tempfile.TemporaryDirectory(prefix="backstop-tests-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield ProtectedTree(folder, {"local": PosixStorage(folder / "repository")})


def test_an_ordinary_user_backs_up_what_it_may_read(open_tree: ProtectedTree) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another")
    tree = open_tree
    fill(tree, 3)
    (tree.source / "secret").write_bytes(b"x")
    (tree.source / "secret").chmod(0o600)
    for path in (tree.folder, tree.folder / "keys", *(tree.folder / "keys").rglob("*")):
        os.chown(path, 65534, 65534)
    os.seteuid(65534)
    try:
        report = tree.back_up(settings={"unreadable": "list"})
    finally:
        os.seteuid(0)

    assert report.not_included == (f"{tree.source}/secret (permission denied)",)
    assert tree.contents(report) == {
        path: content for path, content in tree.on_disk().items() if path != b"secret"
    }


def test_roots_of_several_patterns_are_one_list_in_order(tree: ProtectedTree) -> None:
    for name in ("nginx/site", "systemd/app.service", "systemd/other.service", "app/conf"):
        (tree.source / name).parent.mkdir(exist_ok=True)
        (tree.source / name).write_text(name)
    top = str(tree.source)

    report = tree.back_up(
        settings={"patterns": (f"{top}/systemd/app*.service", f"{top}/nginx/site", f"{top}/app")}
    )

    assert list(tree.entries(report)) == [b"app", b"app/conf", b"nginx/site", b"systemd/app.service"]


def test_two_trees_are_backed_up_at_a_time_but_one_tree_is_not(tree: ProtectedTree) -> None:
    fill(tree, 2)
    with Lease.acquire(
        tree.storages["local"], "calibrify", "tree-media", holder="somebody", clock=tree.clock
    ):
        with pytest.raises(LeaseHeldError, match="somebody"):
            tree.back_up()
        assert tree.back_up(tree="config").complete


class Versions(MemoryStorage):
    """Gives every object a version id of its own."""

    def _store(self, key: str, data: bytes) -> ObjectInfo:
        info = replace(super()._store(key, data), version_id=f"{self._name}-{len(self._objects)}")
        self._objects[key] = (data, info)
        return info


def test_each_manifest_has_the_version_ids_of_its_own_repository(tmp_path: Path) -> None:
    tree = ProtectedTree(tmp_path, {"near": Versions("near"), "far": Versions("far")})
    (tmp_path / "extra").write_bytes(b"x")
    tree.storages["far"].upload("other/object", tmp_path / "extra")  # so that ids differ
    fill(tree)
    first = tree.back_up()
    (tree.source / "new").write_bytes(b"new")

    second = tree.back_up()

    for name in ("near", "far"):
        before = {one.key: one.version_id for one in tree.manifest(first, name).objects}
        after = {one.key: one.version_id for one in tree.manifest(second, name).objects}
        kept = [key for key in after if first.label in key]
        assert kept
        assert all(after[key] == before[key] is not None for key in kept)
        assert all(version is not None and version.startswith(name) for version in after.values())
