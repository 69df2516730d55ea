"""A tree with everything that a file system has, and an independent judge of two of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import traceback
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RSYNC = shutil.which("rsync")
SETFACL = shutil.which("setfacl")
NOBODY = 65534
ROOT = os.geteuid() == 0
needs_rsync = pytest.mark.skipif(RSYNC is None, reason="needs rsync (make test-deps)")
needs_acl = pytest.mark.skipif(SETFACL is None, reason="needs setfacl, of the package acl (make test-deps)")
needs_root = pytest.mark.skipif(not ROOT, reason="needs root")


def rsync_differences(source: Path, copy: Path) -> str:
    """What rsync would do to make the copy equal to the source; empty: they are. Times to the nanosecond."""
    done = subprocess.run(
        [str(RSYNC), "-naHAXS", "--delete", "--checksum", "-i", "--modify-window=-1", "--numeric-ids",
         f"{source}/", f"{copy}/"],
        capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout.decode(errors="backslashreplace")


def make_everything(top: Path, *, as_root: bool) -> None:
    """Fill a new folder."""
    top.mkdir()
    _contents(top)
    _names(top)
    _links(top)
    _modes(top, as_root=as_root)
    _attributes(top, as_root=as_root)
    _times(top)


def _contents(top: Path) -> None:
    (top / "empty").write_bytes(b"")
    (top / "small").write_bytes(b"small")
    (top / "same").write_bytes(b"small")
    (top / "zeros").write_bytes(bytes(100_000))
    block = os.urandom(1024 * 1024)
    (top / "large").write_bytes(b"".join(block[n:] + block[:n] for n in range(37)))
    with (top / "sparse").open("wb") as file:
        file.seek(40 * 1024 * 1024)
        file.write(b"in the middle")
        file.truncate(100 * 1024 * 1024)
    with (top / "all hole").open("wb") as file:
        file.truncate(5_000_000)
    (top / "empty folder").mkdir()
    (top / "deep" / "er" / "and" / "deeper").mkdir(parents=True)
    (top / "deep" / "er" / "and" / "deeper" / "file").write_bytes(b"deep")
    (top / "many").mkdir()
    for number in range(300):
        (top / "many" / f"{number}.txt").write_bytes(b"%d" % number * number)


def _names(top: Path) -> None:
    folder = top / "names"
    folder.mkdir()
    for name in (
        b"x" * 255, "ä".encode() * 127, b"\xff\xfe not utf-8", b"line\nbreak", b"tab\tquote\"'\\", b" ",
        b"-rf", b"...", b"*", b"[a]", b"a.b", b"a-b", b"a",
    ):  # fmt: skip
        (folder / os.fsdecode(name)).write_bytes(name)
    # A folder and names that sort on either side of it.
    (folder / "dir").mkdir()
    for name in (b"dir/x", b"dir-", b"dir.x", b"dir0"):
        (folder / os.fsdecode(name)).touch()
    below = folder / os.fsdecode(b"\xc3\x28 folder")
    below.mkdir()
    (below / "\n").touch()


def _links(top: Path) -> None:
    folder = top / "links"
    folder.mkdir()
    (folder / "dangling").symlink_to("nowhere")
    (folder / "absolute").symlink_to("/etc/passwd")
    (folder / "loop").symlink_to("loop")
    (folder / "up").symlink_to("../small")
    (folder / "to a folder").symlink_to("..")
    (folder / "not utf-8").symlink_to(os.fsdecode(b"\xff" * 200))
    (top / "a first name").write_bytes(b"one file, three names" * 1000)
    (folder / "second").hardlink_to(top / "a first name")
    (top / "z third").hardlink_to(top / "a first name")
    (folder / "link of a link").hardlink_to(
        folder / "dangling",
    )
    os.mkfifo(folder / "fifo", 0o640)
    os.mkfifo(folder / "second fifo")


def _modes(top: Path, *, as_root: bool) -> None:
    folder = top / "modes"
    folder.mkdir()
    for mode in (0o000, 0o400, 0o644, 0o777, 0o4755, 0o2755, 0o6711, 0o1644):
        if as_root or mode & 0o400:
            path = folder / oct(mode)
            path.write_bytes(b"x")
            path.chmod(mode)
    for mode in (0o700, 0o1777, 0o2755, 0o500, 0o555):
        path = folder / f"folder {mode:o}"
        path.mkdir()
        (path / "inside").write_bytes(b"inside")
        path.chmod(mode)
    if as_root:
        for number, path in enumerate(sorted(folder.iterdir())):
            mode = path.stat().st_mode & 0o7777
            os.chown(path, 1000 + number, 2000 + number)
            path.chmod(mode)
        os.chown(top / "links" / "dangling", 3000, 3001, follow_symlinks=False)
        os.chown(top / "links" / "fifo", 3002, 3003)


def _attributes(top: Path, *, as_root: bool) -> None:
    folder = top / "attributes"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_bytes(b"x")
    os.setxattr(folder / "a", "user.note", b"\x00\xffbinary")
    os.setxattr(folder / "a", "user.empty", b"")
    os.setxattr(folder, "user.of-a-folder", b"yes")
    if as_root:
        os.setxattr(folder / "b", "trusted.secret", b"t")
        os.setxattr(
            folder / "b", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000")
        )
    if SETFACL:
        for argv in (
            ["-m", "u:1234:rw,g:777:r", folder / "a"],
            ["-m", "u:4321:rwx", folder],
            ["-d", "-m", "u:99:rwx,o::---", folder],
        ):
            subprocess.run([SETFACL, *map(str, argv)], check=True)
        (folder / "below").mkdir()
        (folder / "below" / "inherited").write_bytes(b"x")
        (folder / "below, without").mkdir()
        subprocess.run([SETFACL, "-b", str(folder / "below, without")], check=True)


def _times(top: Path) -> None:
    """Everything gets a time of its own; folders last."""
    for number, path in enumerate(sorted(top.rglob("*"), reverse=True)):
        moment = 1_000_000_000_123_456_789 + number * 1_000_000_007
        os.utime(path, ns=(moment, moment), follow_symlinks=False)
    os.utime(top, ns=(-1_000_000_001, -1_000_000_001))


def as_user(uid: int, function: Callable[[], None]) -> None:
    """Run it in a child process of that user; what it raises fails the test."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 0
        try:
            os.close(reader)
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            function()
        except BaseException:
            code = 1
            os.write(writer, traceback.format_exc().encode()[-60_000:])
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        text = said.read().decode()
    _, status = os.waitpid(child, 0)
    assert status == 0, text
