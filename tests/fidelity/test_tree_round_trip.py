"""Everything that a file system has comes back, as root and as an ordinary user; rsync is the judge."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.commands.tree_restoring import STAMP, Site, carry_out
from tests.fidelity.trees import (
    NOBODY,
    ROOT,
    SETFACL,
    as_user,
    make_everything,
    needs_acl,
    needs_root,
    needs_rsync,
    rsync_differences,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.system, needs_rsync, needs_acl]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Open to the ordinary user, whom pytest's own are closed to."""
    path = Path(tempfile.mkdtemp(prefix="backstop-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module", autouse=True)
def _imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All modules are loaded while root can: the ordinary user may not be able to read the interpreter's."""
    site = Site(tmp_path_factory.mktemp("first"))
    (site.media / "a").write_bytes(b"a")
    carry_out(site.restore(site.back_up()))


def test_everything_comes_back_in_place(folder: Path) -> None:
    site = Site(folder)
    site.media.rmdir()
    make_everything(site.media, as_root=ROOT)
    original = folder / "original"
    label = site.back_up()
    shutil.move(site.media, original)

    outcome = carry_out(site.restore(label))

    assert outcome.kept == ()
    assert rsync_differences(original, site.media) == ""
    assert rsync_differences(site.media, original) == ""
    for name in ("sparse", "all hole"):
        assert (site.media / name).stat().st_blocks <= (original / name).stat().st_blocks + 64
    for name in ("dangling", "fifo"):
        assert (site.media / "links" / name).lstat().st_mtime_ns == (
            original / "links" / name
        ).lstat().st_mtime_ns


def test_everything_comes_back_elsewhere_under_its_whole_path(folder: Path) -> None:
    site = Site(folder)
    site.media.rmdir()
    make_everything(site.media, as_root=ROOT)

    carry_out(site.restore(site.back_up()), destination=folder / "elsewhere")

    assert rsync_differences(site.media, folder / "elsewhere" / site.media.relative_to("/")) == ""
    assert (folder / "elsewhere").stat().st_mode & 0o777 == 0o700


@needs_root
def test_an_ordinary_users_files_come_back_to_that_user(folder: Path) -> None:
    folder = folder / "own"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)

    def run() -> None:
        site = Site(folder)
        site.media.rmdir()
        make_everything(site.media, as_root=False)
        label = site.back_up()
        site.media.rename(folder / "original")

        carry_out(site.restore(label))

        assert rsync_differences(folder / "original", site.media) == ""

    as_user(NOBODY, run)


@needs_root
def test_an_ordinary_user_gets_what_root_had_and_is_told_what_cannot_be_set(folder: Path) -> None:
    site = Site(folder)
    site.media.rmdir()
    site.media.mkdir()
    for name in ("plain", "setuid", "secret"):
        (site.media / name).write_bytes(name.encode())
    os.chown(site.media / "setuid", 1234, 1234)
    (site.media / "setuid").chmod(0o6755)
    os.setxattr(site.media / "secret", "trusted.secret", b"t")
    label = site.back_up()
    for path in (folder / "vault", *(folder / "vault").rglob("*"), folder / "scratch"):
        os.chown(path, NOBODY, NOBODY)
    (folder / "out").mkdir()
    os.chown(folder / "out", NOBODY, NOBODY)

    def run() -> None:
        restore = site.restore(label)
        restored = restore.restore_beside(restore.plan(destination=folder / "out" / "tree"))

        assert [sentence.split(" could not")[0] for sentence in restored.not_set] == [
            "the owner",
            "setuid or setgid of a foreign owner",
            "the extended attributes of the kind trusted",
        ]
        assert f"{site.media}/setuid" in restored.not_set[1]
        assert restore.validate(restored) == ()
        restore.swap(restored)

    as_user(NOBODY, run)
    there = folder / "out" / "tree" / site.media.relative_to("/")
    assert (there / "setuid").read_bytes() == b"setuid"
    assert (there / "setuid").stat().st_mode & 0o7777 == 0o755
    assert (there / "setuid").stat().st_uid == NOBODY


@needs_root
def test_a_folder_that_its_mode_closes_to_an_ordinary_user_is_restored_all_the_same(folder: Path) -> None:
    site = Site(folder)
    (site.media / "closed").mkdir()
    (site.media / "closed" / "file").write_bytes(b"x")
    (site.media / "closed").chmod(0)
    label = site.back_up()
    for path in (folder / "vault", *(folder / "vault").rglob("*"), folder / "scratch"):
        os.chown(path, NOBODY, NOBODY)
    (folder / "out").mkdir()
    os.chown(folder / "out", NOBODY, NOBODY)

    def run() -> None:
        carry_out(site.restore(label), destination=folder / "out" / "tree")

    as_user(NOBODY, run)

    there = folder / "out" / "tree" / site.media.relative_to("/") / "closed"
    assert (there.stat().st_mode & 0o7777, (there / "file").read_bytes()) == (0, b"x")


@needs_root
def test_an_acl_that_the_live_folder_hands_down_is_not_taken_over(folder: Path) -> None:
    site = Site(folder)
    (site.media / "a").write_bytes(b"a")
    label = site.back_up()
    subprocess.run([str(SETFACL), "-d", "-m", "u:99:rwx", str(site.media.parent)], check=True)

    carry_out(site.restore(label))

    assert os.listxattr(site.media) == []
    assert os.listxattr(site.media / "a") == []
    assert (site.media.parent / f"media.before-{STAMP}").is_dir()


@needs_root
def test_owners_can_be_mapped(folder: Path) -> None:
    site = Site(folder)
    (site.media / "a").write_bytes(b"a")
    (site.media / "run").write_bytes(b"a")
    (site.media / "link").symlink_to("a")
    os.chown(site.media / "run", 500, 500)
    (site.media / "run").chmod(0o4755)

    carry_out(site.restore(site.back_up(), owner="33:nogroup"))

    for path in (site.media, *site.media.iterdir()):
        assert (path.lstat().st_uid, path.lstat().st_gid) == (33, NOBODY)
    # Its own bits, but for the one that would now let everybody run it as somebody else.
    assert (site.media / "run").stat().st_mode & 0o7777 == 0o755
