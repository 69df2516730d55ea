"""The archive directory is shipped as long as the receiver runs, and once more behind it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from backstop.commands.wal.directory_shipping import DirectoryShipping
from backstop.repository.catalog import Catalog, Repository
from backstop.repository.wal_archive import WalArchive
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from tests.commands.archiving import TARGET, Protected, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture
def protected(folder: Path) -> Iterator[Protected]:
    """Its archive_command copies into ``folder/archive``."""
    (folder / "archive").mkdir()
    (folder / "archive").chmod(0o777)
    settings = {"archive_mode": "on", "archive_command": f"cp %p {folder / 'archive'}/%f"}
    with EmbeddedPostgres(
        folder / "pg", bin_dir=pip_postgres_bin(18), settings=settings, durable=False, die_with_parent=True
    ) as server:
        yield Protected(folder, server)


def shipping(protected: Protected, *, pause_seconds: float = 0.1) -> DirectoryShipping:
    return DirectoryShipping(
        target=TARGET,
        cluster=protected.server.connection(),
        directory=protected.folder / "archive",
        repositories=[
            Repository(name, storage, Catalog(storage, TARGET, trust=None))
            for name, storage in protected.storages.items()
        ],
        keyring=protected.keyring,
        spool=protected.folder / "directory-spool",
        pause_seconds=pause_seconds,
    )


def archived(protected: Protected) -> int:
    archive = WalArchive(protected.storages["local"], TARGET, protected.system_id)
    return len(list(archive.segments(1)))


def left(protected: Protected) -> list[str]:
    return [path.name for path in (protected.folder / "archive").iterdir()]


def test_what_archive_command_copies_is_stored_and_removed_while_it_runs(protected: Protected):
    with shipping(protected):
        for number in (1, 2):
            protected.run("CREATE TABLE IF NOT EXISTS t (n int)", "INSERT INTO t VALUES (1)")
            protected.run("SELECT pg_switch_wal()")
            wait_for("the segment", lambda number=number: archived(protected) >= number)
        wait_for("an empty directory", lambda: not left(protected))


def test_what_lies_there_at_the_end_is_shipped_before_it_is_left(protected: Protected):
    with shipping(protected, pause_seconds=3600):
        protected.run("CREATE TABLE t (n int)", "SELECT pg_switch_wal()")
        wait_for("archive_command", lambda: protected.ask("SELECT archived_count FROM pg_stat_archiver"))

    assert archived(protected) == 1
    assert left(protected) == []


def test_what_is_wrong_is_said_once_and_so_is_that_it_is_over(protected: Protected, caplog):
    caplog.set_level(logging.INFO, "backstop.commands.wal.directory_shipping")
    stranger = protected.folder / "archive" / "000000010000000000000042"
    stranger.write_bytes(b"\0" * 16 * 1024 * 1024)

    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records]

    with shipping(protected):
        wait_for("the complaint", said)
        wait_for("some passes", lambda: protected.ask("SELECT pg_sleep(0.5) IS NOT NULL"))
        stranger.unlink()
        wait_for("its end", lambda: any("all is well again" in one for one in said()))

    complaints = [one for one in said() if "is not shipped" in one]
    assert len(complaints) == 1
    assert str(stranger) in complaints[0]
