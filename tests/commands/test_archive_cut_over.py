"""After a cut-over the slot is made anew: a receiver that is there first waits for it, within reason."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from backstop.errors import WalLostError
from tests.commands.archiving import SLOT, Protected, wait_for
from tests.commands.test_archive_failover import caught_up, pair, server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from embedded.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@contextmanager
def archived_pair(folder: Path) -> Iterator[tuple[EmbeddedPostgres, Protected]]:
    """A primary, and its standby as what is archived from now on, without a slot; all of it is archived."""
    with pair(folder, 18) as (primary_server, standby):
        primary = Protected(folder, primary_server)
        with primary.archiver():
            primary.write_wal(1)
            caught_up(primary, standby)
            primary.wait_until_archived(primary.position())
        yield primary_server, Protected(folder, standby)


def test_after_a_cut_over_the_receiver_waits_until_the_slot_is_made_again(folder, caplog):
    with pair(folder, 18) as (primary_server, standby):
        primary = Protected(folder, primary_server)
        with primary.archiver() as archiver:
            primary.write_wal(1)
            caught_up(primary, standby)
            standby.stop()
            primary.wait_until_archived(primary.position())
            port = primary_server.port
            primary_server.stop()
            with server(folder / "standby", 18, port=str(port)) as promoted:
                protected = Protected(folder, promoted)
                # The address may lead to it before it has been promoted.
                wait_for("a word about the standby", lambda: f"no slot {SLOT}" in archiver.state.last_error)
                assert archiver.error is None

                protected.run("SELECT pg_promote()")
                protected.write_wal(1)
                caplog.clear()
                wait_for("words about the new primary", lambda: caplog.text.count(f"no slot {SLOT}") > 1)
                assert archiver.error is None

                protected.run(f"SELECT pg_create_physical_replication_slot('{SLOT}', true)")
                protected.write_wal(1)
                end = protected.position()
                protected.wait_until_archived(end, timeline=2)
                # Dropped again, it is no cut-over: the clear critical state.
                protected.run(
                    "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
                    f"WHERE slot_name = '{SLOT}'",
                )
                wait_for("the slot to be free", lambda: dropped(protected))

                assert isinstance(archiver.failure(), WalLostError)


def test_a_slot_that_nobody_makes_after_a_cut_over_is_waited_for_no_longer_than_agreed(folder):
    with archived_pair(folder) as (primary_server, protected):
        primary_server.stop()
        protected.run("SELECT pg_promote()")
        began = time.monotonic()
        with protected.archiver(replace(protected.settings, slot_patience=timedelta(seconds=2))) as archiver:
            error = archiver.failure()

        assert isinstance(error, WalLostError)
        assert f"slot {SLOT}" in error.message
        assert "take a new base backup" in error.hint
        assert 2 < time.monotonic() - began < 20


def test_a_standby_that_nobody_promotes_is_waited_for_no_longer_than_agreed(folder):
    with archived_pair(folder) as (_, protected):
        began = time.monotonic()
        with protected.archiver(replace(protected.settings, slot_patience=timedelta(seconds=2))) as archiver:
            error = archiver.failure()

        assert isinstance(error, WalLostError)
        assert f"slot {SLOT}" in error.message
        assert 2 < time.monotonic() - began < 20


def test_time_in_which_nobody_could_have_made_the_slot_is_not_counted(folder):
    with archived_pair(folder) as (_, protected):
        patience = timedelta(seconds=6)
        with protected.archiver(replace(protected.settings, slot_patience=patience)) as archiver:

            def missed():
                return f"slot {SLOT}" in archiver.state.last_error

            wait_for("a word about it", missed)
            protected.server.stop()
            wait_for("nobody there", lambda: "Connection refused" in archiver.state.last_error)
            time.sleep(patience.total_seconds())
            protected.server.start()
            wait_for("a word about it again", missed)
            assert archiver.error is None
            protected.run("SELECT pg_promote()")
            protected.run(f"SELECT pg_create_physical_replication_slot('{SLOT}', true)")
            protected.write_wal(1)

            protected.wait_until_archived(protected.position(), timeline=2)


@pytest.mark.long
def test_the_promoted_server_is_given_as_long_as_the_standby_was(folder):
    with archived_pair(folder) as (primary_server, protected):
        primary_server.stop()
        patience = timedelta(seconds=20)
        with protected.archiver(replace(protected.settings, slot_patience=patience)) as archiver:
            wait_for("a word about it", lambda: f"slot {SLOT}" in archiver.state.last_error)
            time.sleep(12)
            protected.run("SELECT pg_promote()")
            protected.write_wal(1)
            time.sleep(12)
            assert archiver.error is None
            protected.run(f"SELECT pg_create_physical_replication_slot('{SLOT}', true)")
            protected.write_wal(1)

            protected.wait_until_archived(protected.position(), timeline=2)


def dropped(protected: Protected) -> bool:
    try:
        protected.run(f"SELECT pg_drop_replication_slot('{SLOT}')")
    except psycopg.errors.ObjectInUse:
        return False
    return True
