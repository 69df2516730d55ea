"""Recoveries one after another, and base backups of clusters that change meanwhile."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from backstop.commands.recovery.clone import attach
from embedded.accounts import postgres_account
from embedded.postgres import EmbeddedPostgres
from tests.commands.rewriting import recover_what_was_rewritten
from tests.recovering import Source
from tests.recovery_world import World, numbers, running_world

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def in_its_place(world: World, folder: Path) -> EmbeddedPostgres:
    """The clone as the new live cluster, with its source's passwords. To be started."""
    live = EmbeddedPostgres(folder, bin_dir=world.source.server.bin_dir, durable=False, die_with_parent=True)
    folder.mkdir(mode=0o711)
    (world.out / "clone").rename(live.data)
    attach(live.data)
    account = postgres_account(folder, live.bin_dir)
    for path in [live.data, *live.data.rglob("*")]:
        account.own(path)
    shutil.copy(world.source.server.directory / "passwords.json", folder)
    (folder / "initialized").touch()
    return live


def test_a_second_recovery_on_the_timeline_of_a_first_needs_no_new_base_backup(folder: Path) -> None:
    with running_world(folder, 18) as world:
        ledger = world.source.ledger
        world.backups.take()
        ledger.write(10)
        world.ship()
        first = world.recover(f"lsn:{ledger.positions[6]}", inclusive=False)
        world.source.stop_receiving()
        world.source.server.stop()
        with in_its_place(world, folder / "second") as server:
            world.source = Source(server, folder / "second")
            world.source.receive()
            ledger = world.source.ledger
            with server.connect() as session:
                session.execute("UPDATE ledger SET n = -n")
            ledger.write(8)
            world.ship()

            second = world.recover(f"time:{ledger.moments[4].isoformat()}")
            kept = sorted(path.name for path in (world.out / "clone/pg_wal").glob("*.history"))
            old = world.recover("lsn:" + first.end_lsn, destination=world.out / "old")

        assert (first.timeline, second.timeline, old.timeline) == (2, 3, 3)
        assert kept == ["00000002.history", "00000003.history"]
        assert world.ledger(world.out / "clone") == [-n for n in reversed(numbers(6))] + numbers(4)


def test_a_table_rewritten_during_the_base_backup_comes_back_equal(folder: Path) -> None:
    with running_world(folder, 18) as world:
        recover_what_was_rewritten(world, size_bytes=100 * 1024**2)
