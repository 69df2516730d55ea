"""A walk through a tree beside an earlier list of it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backstop.files.scan import Skipped, find_roots, scan
from backstop.files.second_look import find_late
from backstop.model.file_tree import EntryKind

if TYPE_CHECKING:
    from backstop.model.file_tree import Entry

NASTY = [
    b"a",
    b"a-b",
    b"\xff\xfe",
    b"new\nline",
    "ü".encode(),
    b"x" * 255,
    b" ",
    b"-rf",
    b"\xf0\x9f\x92\xbe",
    b"\\",
]


def look(top: Path, *, previous: list[Entry] | None = None, **options: Any) -> list[Entry]:
    found = []
    for scanned in scan(
        find_roots([str(top)]),
        previous=iter(previous) if previous is not None else None,
        **{"on_skip": lambda skipped: None, **options},
    ):
        found.append(scanned.entry)
    return found


def below(top: Path, entries: list[Entry]) -> list[bytes]:
    return [entry.path[len(bytes(top)) - 1 :] for entry in entries][1:]


def unchanged(top: Path, previous: list[Entry]) -> list[str]:
    """Names of what seems untouched."""
    return [
        os.fsdecode(scanned.path.rpartition(b"/")[2])
        for scanned in scan(find_roots([str(top)]), previous=iter(previous), on_skip=lambda skipped: None)
        if scanned.unchanged is not None
    ]


def test_a_walk_is_in_the_order_of_a_list_whatever_the_names(tmp_path: Path) -> None:
    for name in NASTY:
        (tmp_path / os.fsdecode(name)).mkdir()
        for inner in NASTY:
            (tmp_path / os.fsdecode(name) / os.fsdecode(inner)).touch()

    entries = look(tmp_path)

    keys = [entry.sort_key for entry in entries]
    assert keys == sorted(keys)
    assert len(set(keys)) == 1 + len(NASTY) * (1 + len(NASTY))


def test_every_kind_is_listed_with_what_belongs_to_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "file").chmod(0o4751)
    os.utime(tmp_path / "file", ns=(1, 1_234_567_890_123_456_789))
    os.setxattr(tmp_path / "file", "user.note", b"\0\xff")
    (tmp_path / "folder").mkdir(mode=0o1700)
    os.mkfifo(tmp_path / "pipe", 0o640)
    (tmp_path / "dangling").symlink_to(b"no\xffwhere".decode(errors="surrogateescape"))

    dangling, file, folder, pipe = look(tmp_path)[1:]

    assert (file.kind, file.mode, file.size_bytes) == (EntryKind.FILE, 0o4751, 5)
    assert file.mtime_ns == 1_234_567_890_123_456_789
    assert file.xattrs == (("user.note", b"\0\xff"),)
    assert (folder.kind, folder.mode) == (EntryKind.DIRECTORY, 0o1700)
    assert (pipe.kind, pipe.mode & 0o777) == (EntryKind.FIFO, 0o640)
    assert (dangling.kind, dangling.link_target) == (EntryKind.SYMLINK, b"no\xffwhere")


def test_sockets_and_devices_are_named_and_not_listed(tmp_path: Path) -> None:
    skipped: list[Skipped] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))

        assert below(tmp_path, look(tmp_path, on_skip=skipped.append)) == []

    assert [str(one) for one in skipped] == [f"{tmp_path}/s (a socket)"]
    assert not skipped[0].unreadable


def test_an_excluded_folder_is_not_looked_into_but_a_root_in_it_is_walked(tmp_path: Path) -> None:
    (tmp_path / "cache" / "keep").mkdir(parents=True)
    (tmp_path / "cache" / "keep" / "x").touch()
    (tmp_path / "cache" / "other").touch()
    (tmp_path / "z").touch()
    roots = find_roots([str(tmp_path), str(tmp_path / "cache" / "keep")])

    found = [one.entry for one in scan(roots, exclude=["cache"], on_skip=lambda skipped: None)]

    # With the folder that leads to it: a list has no holes.
    assert below(tmp_path, found) == [b"/cache", b"/cache/keep", b"/cache/keep/x", b"/z"]


def test_a_root_behind_a_folder_that_cannot_be_listed_is_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed" / "deep" / "open").mkdir(parents=True)
    (tmp_path / "closed" / "deep" / "open" / "x").touch()
    roots = find_roots([str(tmp_path), str(tmp_path / "closed" / "deep" / "open")])
    genuine = os.listdir

    def listdir(descriptor: int) -> list[str]:
        if Path(f"/proc/self/fd/{descriptor}").readlink() == tmp_path / "closed":
            raise PermissionError(13, "Permission denied")
        return genuine(descriptor)

    monkeypatch.setattr(os, "listdir", listdir)

    found = [one.entry for one in scan(roots, on_skip=lambda skipped: None)]

    assert below(tmp_path, found) == [
        b"/closed",
        b"/closed/deep",
        b"/closed/deep/open",
        b"/closed/deep/open/x",
    ]


def test_a_root_that_is_excluded_by_its_name_is_walked_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "x").touch()
    roots = find_roots([str(tmp_path), str(tmp_path / "cache")])

    found = [one.entry for one in scan(roots, exclude=["cache"], on_skip=lambda skipped: None)]

    assert below(tmp_path, found) == [b"/cache", b"/cache/x"]


def test_a_root_inside_another_is_walked_once(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    roots = find_roots([str(tmp_path), str(tmp_path / "a")])

    found = [one.path for one in scan(roots, on_skip=lambda skipped: None)]

    assert len(found) == len(set(found)) == 3


def test_only_what_was_not_touched_is_unchanged(tmp_path: Path) -> None:
    for name in ("same", "content", "mode", "xattr", "replaced", "touched"):
        (tmp_path / name).write_text("12345")
    before = look(tmp_path)
    time.sleep(0.03)  # the kernel's clock ticks
    kept = (tmp_path / "content").stat()
    (tmp_path / "content").write_text("54321")
    os.utime(tmp_path / "content", ns=(kept.st_atime_ns, kept.st_mtime_ns))
    (tmp_path / "mode").chmod(0o600)
    os.setxattr(tmp_path / "xattr", "user.x", b"")
    shutil.copy2(tmp_path / "replaced", tmp_path / "copy")
    (tmp_path / "copy").replace(tmp_path / "replaced")
    (tmp_path / "touched").touch()

    assert unchanged(tmp_path, before) == ["same"]


def test_an_untouched_tree_is_unchanged_whether_entries_or_lines_are_given(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("x")
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe")
    before = look(tmp_path)
    lines = iter([entry.to_line() for entry in before])

    given_lines = list(scan(find_roots([str(tmp_path)]), previous=lines, on_skip=lambda skipped: None))

    assert [one.unchanged for one in given_lines] == before
    assert len(unchanged(tmp_path, before)) == len(before)


def test_a_file_that_was_skewed_is_never_unchanged(tmp_path: Path) -> None:
    from dataclasses import replace

    (tmp_path / "log").write_text("x")
    before = [replace(entry, skewed=entry.kind is EntryKind.FILE) for entry in look(tmp_path)]

    assert unchanged(tmp_path, before) == [tmp_path.name]


def test_names_of_one_file_are_hard_links_to_the_first(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_text("x")
    (tmp_path / "a").hardlink_to(tmp_path / "b" / "x")
    (tmp_path / "c").hardlink_to(tmp_path / "a")
    (tmp_path / "elsewhere").write_text("x")
    top = bytes(tmp_path)[1:]

    links = {entry.path: entry.hard_link for entry in look(tmp_path)}

    assert links[top + b"/a"] == b""
    assert links[top + b"/b/x"] == links[top + b"/c"] == top + b"/a"
    assert links[top + b"/elsewhere"] == b""


def test_a_hard_link_whose_first_name_is_excluded_now_is_changed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    before = look(tmp_path)

    [_, b] = list(
        scan(find_roots([str(tmp_path)]), exclude=["a"], previous=iter(before), on_skip=lambda skipped: None)
    )

    assert b.unchanged is None
    assert b.hard_link == b""


def test_what_the_earlier_list_has_and_the_tree_no_longer_is_told(tmp_path: Path) -> None:
    for name in ("a", "b/c", "b/d", "e", "z"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    before = look(tmp_path)
    (tmp_path / "a").unlink()
    shutil.rmtree(tmp_path / "b")
    (tmp_path / "z").unlink()
    (tmp_path / "f").touch()
    removed: list[Entry] = []

    look(tmp_path, previous=before, on_removed=removed.append)

    assert [one.path[len(bytes(tmp_path)) - 1 :] for one in removed] == [
        b"/a",
        b"/b",
        b"/b/c",
        b"/b/d",
        b"/z",
    ]


def test_what_comes_into_a_folder_after_it_was_walked_is_found_by_a_second_look(tmp_path: Path) -> None:
    for name in ("a/same", "b/m", "z/moving"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    roots = find_roots([str(tmp_path)])
    time.sleep(0.03)  # the kernel's clock ticks
    lines = []
    for scanned in scan(roots, on_skip=lambda skipped: None):
        lines.append(scanned.entry.to_line())
        if scanned.path.endswith(b"/m"):
            (tmp_path / "z" / "moving").rename(tmp_path / "b" / "moving")
            (tmp_path / "b" / "left.tmp").touch()
            (tmp_path / "b" / "known").touch()

    late = find_late(roots, lambda: lines, exclude=["*.tmp"], known={bytes(tmp_path / "b" / "known")[1:]})

    assert [root.path for root in late] == [bytes(tmp_path / "b" / "moving")[1:]]
    assert [one.path for one in scan(late, on_skip=lambda skipped: None)] == [late[0].path]


def test_a_second_look_follows_no_link_below_the_roots(tmp_path: Path) -> None:
    (tmp_path / "top" / "a").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").touch()
    roots = find_roots([str(tmp_path / "top")])
    time.sleep(0.03)
    lines = [one.entry.to_line() for one in scan(roots, on_skip=lambda skipped: None)]
    (tmp_path / "top" / "a" / "secret").touch()
    late = find_late(roots, lambda: lines, exclude=[], known=())
    assert [root.path for root in late] == [bytes(tmp_path / "top" / "a" / "secret")[1:]]
    (tmp_path / "top" / "a").rename(tmp_path / "moved")
    (tmp_path / "top" / "a").symlink_to(tmp_path / "elsewhere")
    skipped: list[Skipped] = []

    assert list(scan(late, on_skip=skipped.append)) == []
    assert skipped[0].gone


def test_a_folder_exchanged_for_a_link_does_not_lead_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret").touch()
    top = tmp_path / "top"
    (top / "a").mkdir(parents=True)
    (top / "b").mkdir()
    (top / "b" / "own").touch()

    found = []
    for scanned in scan(find_roots([str(top)]), on_skip=lambda skipped: None):
        found.append(scanned.path.rpartition(b"/")[2])
        if found[-1] == b"a":
            (top / "b").rename(tmp_path / "moved")
            (top / "b").symlink_to(elsewhere)

    assert b"secret" not in found


def test_a_folder_that_cannot_be_read_is_listed_and_said() -> None:
    # Not in pytest's own folder: nobody but its user gets there, and root, who reads all, looks as another.
    with tempfile.TemporaryDirectory(prefix="backstop-tests-") as name:
        top = Path(name)
        top.chmod(0o755)
        (top / "closed").mkdir(mode=0o700 if os.geteuid() == 0 else 0)
        skipped: list[Skipped] = []
        if os.geteuid() == 0:
            os.seteuid(65534)
        try:
            entries = look(top, on_skip=skipped.append)
        finally:
            if os.getuid() == 0:
                os.seteuid(0)

        assert below(top, entries) == [b"/closed"]
    assert [(one.why, one.unreadable) for one in skipped] == [("permission denied", True)]


def test_what_is_mounted_below_is_left_out_where_that_is_asked(tmp_path: Path) -> None:
    script = f"""
mount -t tmpfs none {tmp_path}/mounted && touch {tmp_path}/mounted/x && exec {sys.executable} - <<'PYTHON'
from backstop.files.scan import find_roots, scan
skipped = []
roots = find_roots(["{tmp_path}"])
print([one.path.decode()[-10:] for one in scan(roots, one_file_system=True, on_skip=skipped.append)][1:])
print([one.path.decode()[-10:] for one in scan(roots, on_skip=skipped.append)][1:])
print([one.why for one in skipped])
PYTHON
"""
    (tmp_path / "mounted").mkdir()
    done = subprocess.run(
        ["unshare", "-mr", "sh", "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("nothing can be mounted here")

    assert done.stdout.splitlines() == [
        f"['{str(tmp_path / 'mounted')[-10:]}']",
        f"['{str(tmp_path / 'mounted')[-10:]}', '{str(tmp_path / 'mounted' / 'x')[-10:]}']",
        "['another file system is mounted here']",
    ], done.stderr
