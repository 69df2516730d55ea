"""What was copied from a server's files is proven, recovered to a point in time, and built upon."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from backstop.commands.base import file_copy
from backstop.commands.questions import Query
from backstop.errors import SourceError
from backstop.model.backup import BackupKind, BackupLabel
from tests.commands.archiving import wait_for
from tests.commands.file_copies import by_file_copy
from tests.commands.test_base_backup_standby import follow, standby_of
from tests.commands.test_verify_base import prove
from tests.faults.planting import Forked
from tests.physical import BaseBackups
from tests.recovery_world import ALSO_15, numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.recovery_world import World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@ALSO_15
def test_a_copy_is_proven_and_recovered_to_a_point_in_time(world: World) -> None:
    world.source.ledger.write(2)
    report = by_file_copy(world.backups, readers=2).take()
    world.source.ledger.write(5)
    world.ship()

    proof = prove(world, report.label, queries=[Query("SELECT count(*) FROM ledger", 7, "commits")])
    result = world.recover(f"lsn:{world.source.ledger.positions[4]}", inclusive=False)

    assert report.copied == "files"
    assert proof.matched, proof.differences
    assert proof.checks["pages"] > 0
    assert result.chain == (report.label,)
    assert world.ledger(world.out / "clone") == numbers(4)


@pytest.mark.parametrize("world", [18], indirect=True)
def test_an_incremental_backup_upon_a_copy_is_recovered_with_it(world: World) -> None:
    world.source.ledger.write(2)
    full = by_file_copy(world.backups).take()
    world.source.ledger.write(3)
    incremental = world.backups.take(BackupKind.INCREMENTAL)
    world.source.ledger.write(2)
    world.ship()

    result = world.recover("latest")

    assert (full.copied, incremental.copied) == ("files", "network")
    assert result.chain == (full.label, incremental.label)
    assert world.ledger(world.out / "clone") == numbers(7)


def test_a_standby_s_files_are_refused_and_its_server_sends_them(world: World) -> None:
    world.source.ledger.write(3)
    with world.source.server.connect() as session:
        session.execute("ALTER SYSTEM SET full_page_writes = on")
    with standby_of(world) as standby:
        follow(world, standby)
        backups = by_file_copy(BaseBackups(world.protection, standby))
        with pytest.raises(SourceError, match="is a standby") as refused:
            backups.take()
        # On the primary's host, the standby's directory is another's; on the standby's, the primary's.
        with pytest.raises(SourceError, match="its server listens on port"):
            by_file_copy(world.backups, data=standby.data).take()
        assert "over the network" in refused.value.hint
        assert world.protection.published() == {"local": []}

        # Promoted, it is a primary like any other, on a timeline of its own.
        with standby.connect() as session:
            session.execute("SELECT pg_promote()")
        label = BackupLabel(backups.take().label)
        manifest = world.protection.repository("local").catalog.backup(label).manifest
    assert manifest.timeline == 2


def test_a_worker_killed_half_way_leaves_no_backup_mode_and_publishes_nothing(world: World) -> None:
    base = by_file_copy(world.backups)

    def dies(*_: object) -> Iterator[bytes]:
        # In the middle of the first part.
        yield bytes(4 * 1024 * 1024)
        os.kill(os.getpid(), signal.SIGKILL)
        yield b""

    with patch.object(file_copy, "tar_blocks", dies):
        worker = Forked(base.take)
    assert worker.wait() == -signal.SIGKILL

    def nobody_is_left() -> bool:
        with world.source.server.connect() as session:
            row = session.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'backstop:base'"
            ).fetchone()
        return row == (0,)

    wait_for("the server to notice", nobody_is_left)
    assert world.protection.published() == {"local": []}
    # A server in backup mode would say so, or shut down only after a warning.
    log = world.source.server.log.read_text()
    assert "aborting backup due to backend exiting before pg_backup_stop was called" in log
