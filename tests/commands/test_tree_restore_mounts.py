"""A mount point cannot be renamed: what is in it is exchanged instead, and what is mounted below stays."""

from __future__ import annotations

import contextlib
import ctypes
import os
from typing import TYPE_CHECKING

import pytest

from backstop.errors import RestoreError
from tests.commands.tree_restoring import STAMP, Site, carry_out, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_DETACH = 2
_LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def mount() -> Iterator[Callable[[Path], None]]:
    """Mounts an empty file system in memory on a folder; at the end all of them go."""
    mounted: list[bytes] = []

    def mount(folder: Path) -> None:
        folder.mkdir(exist_ok=True, parents=True)
        if _LIBC.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=64m") != 0:
            pytest.skip(f"needs the right to mount: {os.strerror(ctypes.get_errno())}")
        mounted.append(os.fsencode(folder))

    yield mount
    for path in reversed(mounted):
        with contextlib.suppress(OSError):
            _LIBC.umount2(path, _DETACH)


@pytest.fixture
def site(tmp_path: Path, mount: Callable[[Path], None]) -> Site:
    """The media folder is a file system of its own."""
    site = Site(tmp_path)
    mount(site.media)
    (site.media / "d").mkdir()
    (site.media / "d" / "a").write_text("backed up")
    (site.media / "b").write_text("backed up")
    site.media.chmod(0o750)
    os.utime(site.media, ns=(10**18, 10**18))
    return site


def test_a_root_that_is_a_mount_point_is_restored_by_what_is_in_it(site: Site) -> None:
    before, status = snapshot(site.media), site.media.stat()
    label = site.back_up()
    (site.media / "d" / "a").write_text("newer")
    (site.media / "b").unlink()
    (site.media / "new").write_text("new")
    site.media.chmod(0o700)
    newer = snapshot(site.media)
    restore = site.restore(label)
    plan = restore.plan()
    assert plan.places == (str(site.media),)
    assert (plan.adds, plan.deletes) == (1, 1)

    outcome = carry_out(restore)

    after = snapshot(site.media)
    assert {name: what for name, what in after.items() if not name.startswith(".")} == before
    assert after[f".d.before-{STAMP}/a"] == newer["d/a"]
    assert after[f".new.before-{STAMP}"] == newer["new"]
    assert os.path.ismount(site.media)
    assert (site.media.stat().st_mode, site.media.stat().st_mtime_ns) == (status.st_mode, status.st_mtime_ns)

    restore.undo(outcome)

    assert {k: v for k, v in snapshot(site.media).items() if not k.startswith(".")} == newer
    assert site.media.stat().st_mode & 0o777 == 0o700


def test_what_is_mounted_below_stays_mounted_and_is_restored_by_what_is_in_it(
    site: Site, mount: Callable[[Path], None]
) -> None:
    below = site.media / "d" / "mounted"
    mount(below)
    (below / "c").write_text("backed up")
    label = site.back_up()
    (below / "c").write_text("newer")
    (site.media / "d" / "a").write_text("newer")

    carry_out(site.restore(label))

    assert os.path.ismount(below)
    assert (below / "c").read_text() == "backed up"
    assert (site.media / "d" / "a").read_text() == "backed up"
    assert (below / f".c.before-{STAMP}").read_text() == "newer"
    assert [path.name for path in site.media.rglob(".backstop-*")] == []


def test_what_is_mounted_and_not_in_the_backup_is_left_alone_and_said(
    site: Site, mount: Callable[[Path], None]
) -> None:
    (site.media / "cache").mkdir()
    label = site.back_up()
    for name in ("cache", "elsewhere"):
        mount(site.media / name)
        (site.media / name / "c").write_text("theirs")
    restore = site.restore(label)

    warnings = restore.plan().warnings
    carry_out(restore)

    assert f"{site.media}/cache is left as it is: the backup has nothing in it" in warnings
    assert f"{site.media}/elsewhere is left as it is: something is mounted there" in warnings
    for name in ("cache", "elsewhere"):
        assert (site.media / name / "c").read_text() == "theirs"


def test_a_file_in_a_mount_point_is_restored_alone(site: Site) -> None:
    label = site.back_up()
    (site.media / "b").write_text("newer")

    carry_out(site.restore(label), only=[str(site.media / "b")])

    assert (site.media / "b").read_text() == "backed up"
    assert (site.media / f".b.before-{STAMP}").read_text() == "newer"


def test_a_mount_point_that_was_a_file_is_refused(site: Site, mount: Callable[[Path], None]) -> None:
    label = site.back_up()
    (site.media / "b").unlink()
    mount(site.media / "b")

    with pytest.raises(RestoreError, match="b is a mount point, and no folder in the backup"):
        site.restore(label).plan()
