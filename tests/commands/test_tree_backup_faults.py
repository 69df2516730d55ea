"""Backups of a file tree while the tree changes, repositories fail, and the process dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from backstop.commands.progress import Silent
from backstop.commands.trees import packs
from backstop.crypto.keyring import LocalKeyring
from backstop.errors import StorageFullError, StorageUnavailableError
from backstop.storage.posix import PosixStorage
from tests.trees import ProtectedTree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from backstop.storage.base import ObjectInfo

MB = 1024 * 1024


class Down(PosixStorage):
    """A repository that does not answer while ``down``; :param payload: payload alone fails."""

    down = False
    payload_only = False

    def _ask(self) -> None:
        if self.down and not self.payload_only:
            raise StorageUnavailableError("the S3 server did not answer")

    def read(self, key: str, *, max_bytes: int = 64 * MB, version_id: str | None = None) -> bytes:
        self._ask()
        return super().read(key, max_bytes=max_bytes, version_id=version_id)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self._ask()
        return super().list(prefix)

    def put_once(self, key: str, data: bytes) -> ObjectInfo:
        self._ask()
        return super().put_once(key, data)

    def open(self, key: str, *, version_id: str | None = None) -> AbstractContextManager[BinaryIO]:
        self._ask()
        return super().open(key, version_id=version_id)

    def upload(self, key: str, source: Path) -> ObjectInfo:
        if self.down:
            raise StorageUnavailableError("the S3 server did not answer")
        return super().upload(key, source)


@pytest.fixture
def tree(tmp_path: Path) -> ProtectedTree:
    return ProtectedTree(tmp_path, {"local": PosixStorage(tmp_path / "repository")})


@pytest.fixture
def two(tmp_path: Path) -> ProtectedTree:
    return ProtectedTree(
        tmp_path, {"local": PosixStorage(tmp_path / "repository"), "s3": Down(tmp_path / "s3")}
    )


def fill(tree: ProtectedTree, files: int = 20) -> None:
    for number in range(files):
        (tree.source / f"file{number:03d}").write_bytes(os.urandom(5000))


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class When(Silent):
    """Does something once so much has been read."""

    def __init__(self, do: Callable[[], object], *, after_bytes: int = 1) -> None:
        self._do = do
        self._left = after_bytes
        self._lock = threading.Lock()

    def advance(self, done_bytes: int) -> None:
        with self._lock:
            before, self._left = self._left, self._left - done_bytes
            if before > 0 >= self._left:
                self._do()


def test_a_file_that_is_written_to_all_the_time_is_listed_as_skewed(tree: ProtectedTree) -> None:
    fill(tree, 3)
    (tree.source / "log").write_bytes(b"x" * 20 * MB)
    stop = threading.Event()

    def write() -> None:
        with (tree.source / "log").open("ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"line\n")
                time.sleep(0.0005)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        report = tree.back_up(pause=lambda seconds: None)
    finally:
        stop.set()
        writer.join()

    assert report.skewed == (f"{tree.source}/log",)
    assert tree.manifest(report).summary["skewed_files"] == 1
    entry = tree.entries(report)[b"log"]
    assert entry.skewed
    assert entry.identity is None
    # Whatever moments it is of, there is nothing in it that was never in the file.
    assert tree.contents(report)[b"log"].startswith(b"x" * 20 * MB)
    # Once it holds still it is read again, and no longer skewed.
    calm = tree.back_up()
    assert calm.skewed == ()
    assert tree.contents(calm) == tree.on_disk()


def test_a_file_that_is_renamed_meanwhile_is_in_the_backup(tree: ProtectedTree) -> None:
    """To a place that has been passed: it would be met under neither name."""
    (tree.source / "a").mkdir()
    (tree.source / "m").write_bytes(b"m" * 20 * MB)
    (tree.source / "z").mkdir()
    (tree.source / "z" / "moving").write_bytes(b"moving")
    (tree.source / "z" / "folder").mkdir()
    (tree.source / "z" / "folder" / "inner").write_bytes(b"inner")
    held = threading.Event()

    def rename() -> None:
        (tree.source / "z" / "moving").rename(tree.source / "a" / "moving")
        (tree.source / "z" / "folder").rename(tree.source / "a" / "folder")
        held.set()

    # The walk must not have come to z before.
    walked = _hold_walk_at(tree.source / "z", held)
    with walked:
        report = tree.back_up(progress=When(rename))

    assert tree.contents(report) == tree.on_disk()
    assert {b"a/moving", b"a/folder", b"a/folder/inner"} <= set(tree.entries(report))
    assert list(tree.entries(report)) == sorted(tree.entries(report), key=lambda path: path.split(b"/"))
    assert report.warnings == ()


class _hold_walk_at:
    """The walk waits before it looks at that path."""

    def __init__(self, path: Path, event: threading.Event) -> None:
        self._path, self._event = bytes(path)[1:], event

    def __enter__(self) -> None:
        from backstop.files.sorted_walk import SortedWalk

        self._genuine = SortedWalk._look

        def look(walk: SortedWalk, level: Any, name: bytes, path: bytes) -> Any:
            if path == self._path:
                assert self._event.wait(30)
            return self._genuine(walk, level, name, path)

        SortedWalk._look = look  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        from backstop.files.sorted_walk import SortedWalk

        SortedWalk._look = self._genuine  # type: ignore[method-assign]


def test_a_file_that_is_deleted_meanwhile_is_left_out_and_said(tree: ProtectedTree) -> None:
    (tree.source / "a").write_bytes(b"a" * MB)
    (tree.source / "z").write_bytes(b"z")
    tree.back_up()
    (tree.source / "a").write_bytes(b"A" * MB)
    held = threading.Event()

    def delete() -> None:
        # Its folder has been listed by now.
        (tree.source / "z").unlink()
        held.set()

    with _hold_walk_at(tree.source / "z", held):
        report = tree.back_up(progress=When(delete))

    assert tree.contents(report) == {b"a": b"A" * MB}
    assert report.warnings == (f"1 gone: {tree.source}/z (went away while it was backed up)",)
    assert report.removed_files == 1


def test_one_repository_down_does_not_stop_the_backup(two: ProtectedTree) -> None:
    fill(two)
    s3 = two.storages["s3"]
    assert isinstance(s3, Down)
    s3.down = True

    report = two.back_up()

    assert report.repositories["local"] == "completed"
    assert "did not answer" in report.repositories["s3"]
    assert not report.complete
    assert two.contents(report) == two.on_disk()


def test_a_backup_builds_on_what_every_repository_holds(two: ProtectedTree) -> None:
    fill(two)
    first = two.back_up()
    s3 = two.storages["s3"]
    assert isinstance(s3, Down)
    s3.down = True
    (two.source / "new").write_bytes(os.urandom(9000))
    second = two.back_up()
    assert [label.text for label in two.manifest(second).refers_to] == [first.label]
    s3.down = False

    third = two.back_up()

    # What the second stored is in one of them only.
    for name in ("local", "s3"):
        manifest = two.manifest(third, name)
        assert [label.text for label in manifest.refers_to] == [first.label]
        assert two.contents(third, name) == two.on_disk()


def test_a_repository_that_goes_down_in_the_middle_gets_no_manifest(two: ProtectedTree) -> None:
    fill(two)
    s3 = two.storages["s3"]
    assert isinstance(s3, Down)
    s3.down = s3.payload_only = True

    report = two.back_up()

    assert report.repositories["local"] == "completed"
    assert two.labels("s3") == []


@pytest.mark.parametrize("damage", ["lost", "cut"])
def test_a_pack_that_is_lost_is_stored_again(tree: ProtectedTree, damage: str) -> None:
    fill(tree)
    first = tree.back_up()
    [pack] = [one for one in tree.manifest(first).objects if one.name.endswith("-1")]
    path = tree.folder / "repository" / pack.key
    path.chmod(0o600)
    if damage == "lost":
        path.unlink()
    else:
        os.truncate(path, 1000)

    report = tree.back_up()

    assert "has lost 1 of 2 packs" in report.warnings[0]
    assert tree.contents(report) == tree.on_disk()
    assert tree.back_up().warnings == ()


def test_a_list_that_is_damaged_is_passed_over_for_an_older_one(tree: ProtectedTree) -> None:
    fill(tree)
    first = tree.back_up()
    (tree.source / "new").write_bytes(b"new")
    second = tree.back_up()
    [own] = [one for one in tree.manifest(second).objects if "-l" in one.name and second.label in one.key]
    path = tree.folder / "repository" / own.key
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    report = tree.back_up()

    assert second.label in report.warnings[0]
    assert [label.text for label in tree.manifest(report).refers_to] == [first.label]
    assert tree.contents(report) == tree.on_disk()


def test_who_cannot_open_the_backup_before_stores_everything_and_says_so(tree: ProtectedTree) -> None:
    fill(tree)
    first = tree.back_up()
    (tree.folder / "keys" / "keyring.json").unlink()
    LocalKeyring.create(tree.folder / "keys" / "keyring.json", tree.now)
    tree.keyring = LocalKeyring.load(tree.folder / "keys" / "keyring.json")

    report = tree.back_up()

    assert "everything is stored again" in report.warnings[-1]
    assert tree.manifest(report).refers_to == ()
    assert report.stored_bytes > first.stored_bytes * 0.9
    assert tree.contents(report) == tree.on_disk()


def test_a_full_disk_ends_the_backup_and_leaves_nothing(
    tree: ProtectedTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        (tree.source / f"file{number}").write_bytes(os.urandom(MB) * 20)
    genuine = PosixStorage.upload

    def upload(storage: PosixStorage, key: str, source: Path) -> ObjectInfo:
        if key.endswith("packs/2"):
            raise StorageFullError("no space left", hint="free some")
        return genuine(storage, key, source)

    monkeypatch.setattr(PosixStorage, "upload", upload)
    before = _open_files()

    with pytest.raises(StorageFullError):
        tree.back_up()

    assert tree.labels() == []
    assert not list((tree.folder / "repository").rglob("packs/*"))
    assert not list((tree.folder / "staging").iterdir())
    assert _open_files() == before
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("read", "pack"))]


def test_an_error_while_a_pack_is_encrypted_ends_the_backup(
    tree: ProtectedTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree.source / "file").write_bytes(os.urandom(MB) * 60)

    def fail(pack: packs._Pack, size_bytes: int) -> bytes:
        raise StorageFullError("no space left while writing", hint="free some")

    monkeypatch.setattr(packs._Pack, "read", fail)

    with pytest.raises(StorageFullError):
        tree.back_up()

    assert tree.labels() == []


_KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from pathlib import Path
from backstop.storage.posix import PosixStorage
from tests.trees import ProtectedTree
from datetime import datetime

class Kills(PosixStorage):
    def upload(self, key, source):
        if key.endswith({at!r}):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().upload(key, source)

    def put_once(self, key, data):
        if {at!r} in key:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().put_once(key, data)

folder = Path({folder!r})
now = datetime.fromisoformat({now!r})
ProtectedTree(folder, {{"local": Kills(folder / "repository")}}, now=now).back_up()
"""


@pytest.mark.parametrize("at", ["packs/2", "/files", "manifests/"])
def test_a_backup_that_is_killed_leaves_orphans_and_the_next_one_works(tree: ProtectedTree, at: str) -> None:
    fill(tree)
    first = tree.back_up()
    for number in range(5):
        (tree.source / f"large{number}").write_bytes(os.urandom(MB) * 15)
    script = _KILLED.format(
        path=[entry for entry in sys.path if entry], at=at, folder=str(tree.folder), now=tree.now.isoformat()
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert tree.labels() == [first.label]
    assert list((tree.folder / "staging").iterdir())
    tree.now += timedelta(minutes=10)  # its lease has run out
    report = tree.back_up()
    assert tree.contents(report) == tree.on_disk()
    assert not list((tree.folder / "staging").iterdir())
