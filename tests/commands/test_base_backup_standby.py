"""Base backups of a standby: recoverable like the primary's, or refused by name."""

from __future__ import annotations

import shutil
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from backstop.errors import SourceError
from backstop.model.backup import BackupLabel
from backstop.model.lsn import Lsn
from embedded.accounts import postgres_account
from embedded.postgres import EmbeddedPostgres
from tests.commands.archiving import wait_for
from tests.commands.rewriting import held_half_way
from tests.physical import BaseBackups
from tests.recovery_world import World, numbers, running_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture
def world(folder: Path) -> Iterator[World]:
    # Without page images in WAL, no copy of a standby is worth anything; the server refuses it.
    with running_world(folder, 18, full_page_writes="on", wal_keep_size="1GB") as made:
        made.source.ledger.write(3)
        yield made


@contextmanager
def standby_of(world: World) -> Iterator[EmbeddedPostgres]:
    way = world.source.server.connection()
    standby = EmbeddedPostgres(
        world.folder / "standby",
        bin_dir=world.source.server.bin_dir,
        settings={
            "primary_conninfo": f"host={way.host} port={way.port} user={way.user} password={way.password}",
            "wal_level": "logical",
        },
        durable=False,
        die_with_parent=True,
    )
    standby.directory.mkdir(mode=0o711)
    world.source.base_backup(standby.data)
    (standby.data / "standby.signal").touch()
    shutil.copy(world.source.server.directory / "passwords.json", standby.directory)
    (standby.directory / "initialized").touch()
    account = postgres_account(standby.directory, standby.bin_dir)
    for path in [standby.data, *standby.data.rglob("*")]:
        account.own(path)
    with standby:
        yield standby


def follow(world: World, standby: EmbeddedPostgres) -> None:
    end = world.source.caught_up()
    with standby.connect() as session:

        def reached() -> bool:
            at = session.execute("SELECT pg_last_wal_replay_lsn()::text").fetchone()
            return at is not None and Lsn.parse(at[0]) >= end

        wait_for("the standby", reached)


def test_a_base_backup_of_a_standby_is_recovered_with_the_primarys_wal(world: World) -> None:
    with standby_of(world) as standby:
        follow(world, standby)
        backups = BaseBackups(world.protection, standby)
        report = backups.take()
        world.source.ledger.write(3)
        incremental_of = world.source.ledger.positions[5]
        world.ship()

    result = world.recover(f"lsn:{incremental_of}", inclusive=False)

    assert result.chain == (report.label,)
    assert world.ledger(world.out / "clone") == numbers(5)


def test_a_standby_that_is_promoted_during_its_base_backup_is_named_and_nothing_is_published(
    world: World,
) -> None:
    promoted = threading.Event()
    with standby_of(world) as standby:
        follow(world, standby)
        backups = BaseBackups(world.protection, standby)

        def promote(half_way: threading.Event) -> None:
            half_way.wait(30)
            with standby.connect() as session:
                session.execute("SELECT pg_promote()")
            promoted.set()

        with held_half_way(8 * 1024**2, promoted) as half_way:
            thread = threading.Thread(target=promote, args=[half_way])
            thread.start()
            with pytest.raises(SourceError, match="the standby was promoted during online backup"):
                backups.take()
            thread.join()

        assert world.protection.published() == {"local": []}
        assert backups.stored_data() == []
        # What the promoted server is asked for next is an ordinary base backup, on the new timeline.
        label = BackupLabel(backups.take().label)
        assert world.protection.repository("local").catalog.backup(label).manifest.timeline == 2


@pytest.mark.long
def test_a_standby_whose_wal_has_no_page_images_is_refused_by_name(folder: Path) -> None:
    with running_world(folder, 18, full_page_writes="off", wal_keep_size="1GB") as world:
        world.source.ledger.write(3)
        with standby_of(world) as standby:
            world.source.ledger.write(3)
            follow(world, standby)
            backups = BaseBackups(world.protection, standby)

            with pytest.raises(SourceError, match="full_page_writes=off"):
                backups.take()

            assert backups.stored_data() == []
