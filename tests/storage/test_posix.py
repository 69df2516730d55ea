"""What a directory adds to the contract: durability, modes, links, and what a crash leaves."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import backstop
from backstop.errors import (
    ObjectConflictError,
    ObjectMissingError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
)
from backstop.storage import posix_files
from backstop.storage.posix import PosixStorage
from backstop.storage.posix_files import temporary_file

PLUGINS = str(Path(backstop.__file__).parent.parent)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "repository"


@pytest.fixture
def storage(root: Path) -> PosixStorage:
    return PosixStorage(root)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"payload" * 10_000)
    return path


def files_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_only_the_owner_may_read_what_is_stored(storage, root, source):
    source.chmod(0o644)
    storage.put_once("t/meta/a", b"a")
    storage.upload("t/data/x/b", source)

    modes = {path.relative_to(root): path.stat().st_mode & 0o777 for path in (root, *root.rglob("*"))}

    assert all(mode == (0o700 if (root / path).is_dir() else 0o600) for path, mode in modes.items()), modes


def test_an_upload_from_the_same_file_system_copies_nothing(storage, root, source):
    storage.upload("t/data/a", source)

    assert (root / "t/data/a").stat().st_ino == source.stat().st_ino


def test_an_upload_from_another_file_system_is_copied(storage, root, tmp_path):
    other = Path("/dev/shm")  # noqa: S108
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here (/dev/shm)")
    source = other / f"backstop-{os.getpid()}-{tmp_path.name}"
    source.write_bytes(b"payload" * 10_000)
    try:
        info = storage.upload("t/data/a", source)
    finally:
        source.unlink()

    assert info.size_bytes == 70_000
    assert storage.read("t/data/a") == b"payload" * 10_000
    assert (root / "t/data/a").stat().st_mode & 0o777 == 0o600
    assert files_below(root) == ["t/data/a"]


def test_an_upload_of_a_symbolic_link_stores_what_it_points_to(storage, source, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(source)

    storage.upload("t/data/a", link)
    source.unlink()

    assert storage.read("t/data/a") == b"payload" * 10_000


def test_a_missing_source_is_named(storage, tmp_path):
    with pytest.raises(StorageError, match="nothing-there"):
        storage.upload("t/data/a", tmp_path / "nothing-there")


def test_bytes_and_names_are_synced_before_success(storage, root, source, monkeypatch):
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    storage.put_once("t/meta/a", b"a")
    storage.upload("t/data/b", source)

    # Every folder that got a new name, up to the one the repository was made in, and both contents.
    folders = {str(root.parent), str(root), str(root / "t"), str(root / "t/meta"), str(root / "t/data")}
    assert folders <= set(synced)
    assert str(source) in synced
    assert any(path.startswith(str(root / ".tmp")) for path in synced)


def test_temporary_files_are_not_objects(storage, root):
    storage.put_once("t/meta/a", b"a")
    (root / ".tmp" / "left-over").write_bytes(b"x")
    (root / ".staging").mkdir()
    (root / ".staging" / "y").write_bytes(b"y")

    assert [info.key for info in storage.list("")] == ["t/meta/a"]


def test_a_failed_write_leaves_nothing(storage, root, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "planted")

    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(StorageError, match="t/meta/a: planted"):
        storage.put_once("t/meta/a", b"a")

    assert files_below(root) == []


KILLED_WRITER = """
    import os, sys
    from pathlib import Path
    from backstop.storage.posix_files import temporary_file
    root = Path(sys.argv[1])
    with temporary_file(root / ".tmp", root=root) as (descriptor, path):
        os.write(descriptor, b"half")
        print(path, flush=True)
        sys.stdin.read()
"""


def start_writer(root: Path) -> tuple[subprocess.Popen[str], Path]:
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED_WRITER), str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": PLUGINS},
    )
    assert writer.stdout is not None
    return writer, Path(writer.stdout.readline().strip())


def test_what_a_killed_writer_left_is_swept_by_the_next(root):
    writer, path = start_writer(root)
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert path.exists()

    PosixStorage(root).put_once("t/meta/a", b"a")

    assert not path.exists()
    assert files_below(root) == ["t/meta/a"]


def test_the_file_of_a_living_writer_is_left_alone_however_old(root):
    writer, path = start_writer(root)
    try:
        os.utime(path, (0, 0))

        PosixStorage(root).put_once("t/meta/a", b"a")

        assert path.exists()
    finally:
        writer.communicate()


def test_a_sweeper_holds_the_lock_of_what_it_removes(root, monkeypatch):
    # Otherwise a writer could lock its new file between being found stale and being removed.
    root.mkdir()
    new = root / "new"
    writer = os.open(new, os.O_RDWR | os.O_CREAT)
    unlink, locked = Path.unlink, []

    def lock_first(path: Path) -> None:
        try:
            fcntl.flock(writer, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            unlink(path)
        else:
            locked.append(path)

    monkeypatch.setattr(Path, "unlink", lock_first)
    try:
        assert posix_files.sweep(root) == [new]
    finally:
        os.close(writer)
    assert not locked


def test_a_writer_whose_new_file_a_sweeper_has_locked_makes_another(root, monkeypatch):
    root.mkdir()
    original, held = os.open, []

    def lock_at_once(path: Path, flags: int, *more: int) -> int:
        descriptor = original(path, flags, *more)
        if flags & os.O_CREAT and not held:
            held.append(original(path, os.O_RDWR))
            fcntl.flock(held[0], fcntl.LOCK_EX)
            held.append(path)
        return descriptor

    monkeypatch.setattr(posix_files.os, "open", lock_at_once)
    with temporary_file(root / ".tmp", root=root) as (_, path):
        assert path != held[1]
        assert path.exists()
    os.close(held[0])


def test_without_locks_only_files_older_than_a_day_are_swept(root, monkeypatch):
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    temporary = root / ".tmp"
    temporary.mkdir(parents=True)
    (temporary / "old").write_bytes(b"x")
    (temporary / "new").write_bytes(b"x")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(temporary / "old", (two_days_ago, two_days_ago))
    monkeypatch.setattr(posix_files.fcntl, "flock", no_locks)

    PosixStorage(root).put_once("t/meta/a", b"a")

    assert [path.name for path in temporary.iterdir()] == ["new"]


def test_a_repository_on_an_unmounted_disk_is_not_made_anew(tmp_path, source):
    storage = PosixStorage(tmp_path / "disk" / "repository")

    for operation in (
        lambda: storage.put_once("t/meta/a", b"a"),
        lambda: storage.upload("t/data/a", source),
        lambda: storage.read("t/meta/a"),
        lambda: storage.stat("t/meta/a"),
        lambda: list(storage.list("t/")),
        lambda: storage.delete("t/meta/a"),
        storage.check,
    ):
        with pytest.raises(StorageError, match=r"disk does not exist.*mount the disk") as caught:
            operation()
        assert not isinstance(caught.value, ObjectMissingError)
    assert not (tmp_path / "disk").exists()


def test_deleting_the_last_object_of_a_folder_removes_the_folder(storage, root):
    storage.put_once("t/data/database/x/1/globals", b"a")
    storage.put_once("t/meta/b", b"b")

    storage.delete("t/data/database/x/1/globals")

    assert not (root / "t/data").exists()
    assert (root / "t/meta/b").exists()


def test_a_folder_pruned_while_we_link_into_it_is_made_again(storage, root, monkeypatch):
    real = os.link
    pruned = []

    def prune_once(source: Path, destination: Path) -> None:
        if not pruned:
            pruned.append(destination.parent)
            destination.parent.rmdir()
        real(source, destination)

    monkeypatch.setattr(os, "link", prune_once)

    storage.put_once("t/data/x/a", b"a")

    assert pruned == [root / "t/data/x"]
    assert storage.read("t/data/x/a") == b"a"


def test_a_repository_that_may_not_be_written_says_what_to_do(storage, root, monkeypatch):
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(root))

    monkeypatch.setattr(os, "open", denied)

    with pytest.raises(StorageError, match=r"Permission denied.*write access") as caught:
        storage.put_once("t/meta/a", b"a")

    assert not caught.value.retryable


def test_a_stale_network_mount_is_worth_another_try(storage, root, monkeypatch):
    storage.put_once("t/meta/a", b"a")

    def stale(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Path, "stat", stale)

    with pytest.raises(StorageUnavailableError, match="Stale file handle"):
        storage.stat("t/meta/a")


def test_a_disk_error_while_reading_is_a_storage_error(storage, monkeypatch):
    storage.put_once("t/meta/a", b"a" * 10)

    with storage.open("t/meta/a") as stream:
        os.close(stream.fileno())  # the next read fails in the kernel
        with pytest.raises(StorageError, match="t/meta/a"):
            stream.read(5)
        os.dup2(os.open(os.devnull, os.O_RDONLY), stream.fileno())


FULL_DISK = """
    import sys
    from pathlib import Path
    from backstop.errors import StorageFullError
    from backstop.storage.posix import PosixStorage
    disk, source = map(Path, sys.argv[1:])
    storage = PosixStorage(disk / "repository")
    storage.put_once("t/meta/before", b"before")
    for operation in (
        lambda: storage.upload("t/data/a", source),
        lambda: storage.put_once("t/meta/b", source.read_bytes()),
    ):
        try:
            operation()
        except StorageFullError as error:
            assert "/repository/t/" in str(error) and error.hint, error
        else:
            raise AssertionError("the disk was not full")
    left = sorted(str(p.relative_to(disk)) for p in disk.rglob("*") if p.is_file())
    assert left == ["repository/t/meta/before"], left
    (disk / "filler").write_bytes(b"")
    try:
        with (disk / "filler").open("wb", 0) as file:
            while file.write(bytes(4096)): pass
    except OSError:
        pass
    try:
        storage.check()
    except StorageFullError:
        print("full, and clean")
"""


@pytest.mark.system
def test_a_full_disk_is_named_and_left_as_it_was(tmp_path):
    """A real one: a tmpfs of 256 KiB in a mount namespace of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    source = tmp_path / "source"
    source.write_bytes(bytes(1024 * 1024))
    isolated = ["unshare", "--user", "--map-root-user", "--mount"]
    mount = f"mount -t tmpfs -o size=256k tmpfs {disk}"
    if not shutil.which("unshare") or subprocess.run([*isolated, "sh", "-c", mount], check=False).returncode:
        pytest.skip("this machine lets us mount nothing (unshare --user --mount)")

    done = subprocess.run(
        [
            *isolated,
            "sh",
            "-c",
            f'{mount} && exec "$@"',
            "sh",
            sys.executable,
            "-c",
            textwrap.dedent(FULL_DISK),
            str(disk),
            str(source),
        ],
        env={**os.environ, "PYTHONPATH": PLUGINS},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.strip() == "full, and clean", done.stderr


def test_a_quota_counts_as_a_full_disk(tmp_path):
    error = posix_files.explain(OSError(errno.EDQUOT, "Disk quota exceeded"), tmp_path)

    assert isinstance(error, StorageFullError)


def test_a_racing_upload_does_not_replace(storage, source, root, tmp_path):
    (root / "t/data").mkdir(parents=True)
    (root / "t/data/a").write_bytes(b"first")

    with pytest.raises(ObjectConflictError, match="t/data/a"):
        storage.upload("t/data/a", source)

    assert (root / "t/data/a").read_bytes() == b"first"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_what_root_stores_belongs_to_the_owner_of_the_repository(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    os.chown(root, 12345, 12345)
    storage = PosixStorage(root)
    linked, copied = root / ".staged", Path("/dev/shm") / f"backstop-{tmp_path.name}"  # noqa: S108
    linked.write_bytes(b"linked")
    copied.write_bytes(b"copied")
    try:
        storage.put_once("calibrify/meta/manifests/a.json", b"{}")
        storage.upload("calibrify/data/linked", linked)
        storage.upload("calibrify/data/copied", copied)
    finally:
        copied.unlink()

    found = list(root.rglob("*"))
    assert {path.name for path in found} >= {"a.json", "linked", "copied", ".tmp", "manifests"}
    assert {path.stat().st_uid for path in found} == {12345}
