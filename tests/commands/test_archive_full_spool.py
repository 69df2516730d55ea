"""A spool without space: named, nothing confirmed that is not stored, and outlived."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backstop.commands.wal import assembly
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from tests.commands.archiving import KEEP_WAL, Protected, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

_SIZE_MB = 40
_LEFT_MB = 6  # less than a segment


@pytest.fixture
def protected(folder: Path) -> Iterator[Protected]:
    with EmbeddedPostgres(
        folder / "postgres",
        bin_dir=pip_postgres_bin(18),
        settings=KEEP_WAL,
        durable=False,
        die_with_parent=True,
    ) as server:
        yield Protected(folder, server)


@pytest.fixture(autouse=True)
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments go through the spool, as when repositories are slow."""
    monkeypatch.setattr(assembly, "_MOST_SEGMENTS", 0)


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, as somebody without rights cannot make one."""
    disk = folder / "small"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_SIZE_MB}m", "none", str(disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip(f"a file system of its own takes root: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def outlives_it(
    protected: Protected, spool: Path, *, full: Callable[[], None], free: Callable[[], None]
) -> None:
    with protected.archiver(replace(protected.settings, spool=spool)) as archiver:
        wait_for("the slot", lambda: protected.ask("SELECT count(*) FROM pg_replication_slots"))
        protected.write_wal(0.1)
        protected.wait_until_archived(protected.position())
        full()
        protected.write_wal(2.5)
        end = protected.position()
        said = wait_for(
            "a word about it", lambda: [one for one in archiver.states if "no space left" in one.last_error]
        )

        assert str(spool) in said[0].last_error
        assert archiver.error is None
        assert protected.slot_position() <= protected.archived_until() < end
        assert said[0].confirmed is None or said[0].confirmed <= protected.archived_until()

        free()
        protected.wait_until_archived(end)
        wait_for("a quiet state", lambda: archiver.state.connected and not archiver.state.last_error)
    assert protected.compare(until=end) >= 2


def test_a_full_disk_is_named_confirms_nothing_and_is_outlived(
    protected: Protected, small_disk: Path
) -> None:
    ballast = small_disk / "ballast"

    def full() -> None:
        ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - _LEFT_MB * 1024**2))

    outlives_it(protected, small_disk / "spool", full=full, free=ballast.unlink)


def test_a_quota_that_is_used_up_is_outlived_like_a_full_disk(
    protected: Protected, monkeypatch: pytest.MonkeyPatch
) -> None:
    def over_quota(descriptor: int, data: bytes, offset: int) -> int:
        if offset > _LEFT_MB * 1024**2:
            raise OSError(122, "Disk quota exceeded")
        return os.pwrite(descriptor, data, offset)

    class Full:
        O_RDWR, O_CREAT, O_EXCL, O_CLOEXEC = os.O_RDWR, os.O_CREAT, os.O_EXCL, os.O_CLOEXEC
        open, close, pread, pwrite = os.open, os.close, os.pread, staticmethod(over_quota)
        lseek, SEEK_SET = os.lseek, os.SEEK_SET

    outlives_it(
        protected,
        protected.settings.spool,
        full=lambda: monkeypatch.setattr(assembly, "os", Full),
        free=lambda: monkeypatch.setattr(assembly, "os", os),
    )
