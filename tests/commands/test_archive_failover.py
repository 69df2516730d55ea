"""A server is replaced by its standby: both timelines are archived, and the way from one to the other."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from backstop.model.lsn import Lsn, WalSegment
from backstop.model.timeline import parse_history
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from tests.commands.archiving import KEEP_WAL, SEGMENT_BYTES, SLOT, Protected, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What is asked of a server here, 16 answers as 18 does; the slowest way to see that once more can wait.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("major", [18, pytest.param(16, marks=pytest.mark.long)]),
]


def server(directory: Path, major: int, **settings: str) -> EmbeddedPostgres:
    port = int(settings.pop("port", "0"))
    return EmbeddedPostgres(
        directory,
        bin_dir=pip_postgres_bin(major),
        port=port,
        settings={**KEEP_WAL, **settings},
        durable=False,
        die_with_parent=True,
    )


@contextmanager
def pair(folder: Path, major: int) -> Iterator[tuple[EmbeddedPostgres, EmbeddedPostgres]]:
    """A primary, and a standby that streams from it."""
    with server(folder / "primary", major) as primary:
        primary.stop()
        # With the owners as they are. Shut down in order, it is as good as a base backup.
        subprocess.run(["cp", "-a", folder / "primary", folder / "standby"], check=True)
        (folder / "standby" / "port").unlink()
        (folder / "standby" / "data" / "standby.signal").touch()
        primary.start()
        source = primary.connection()
        link = f"host={source.host} port={source.port} user={source.user} password={source.password}"
        with server(folder / "standby", major, primary_conninfo=link) as standby:
            yield primary, standby


def caught_up(primary: Protected, standby: EmbeddedPostgres) -> None:
    end = primary.position()

    def replayed() -> bool:
        with standby.connect() as session:
            (at,) = session.execute("SELECT pg_last_wal_replay_lsn()").fetchone()
            return at is not None and Lsn.parse(at) >= end

    wait_for("the standby", replayed)


def switched_at(protected: Protected) -> Lsn:
    history = protected.archive().read_history(2, keyring=protected.keyring)
    return parse_history(2, history).switches[0].at


def test_a_standby_that_is_promoted_while_we_stream_from_it_is_followed(folder, major):
    with pair(folder, major) as (primary_server, standby):
        primary = Protected(folder, primary_server)
        protected = Protected(folder, standby)
        with standby.connect() as session:
            session.execute("SELECT pg_create_physical_replication_slot(%s, true)", [SLOT])
        with protected.archiver() as archiver:
            primary.write_wal(1.5)
            caught_up(primary, standby)
            protected.run("SELECT pg_promote()")
            protected.write_wal(1.5)
            end = protected.position()
            protected.wait_until_archived(end, timeline=2)
            wait_for("its timeline", lambda: archiver.state.timeline == 2)

        switch = switched_at(protected)
        # A standby passes on what it has received, which may be a little more than it replayed.
        protected.compare(timeline=1, until=switch)
        assert protected.archived_from(timeline=2) <= switch
        protected.compare(timeline=2, until=end)


def test_a_failover_that_lost_wal_which_is_archived_goes_on_from_where_the_new_server_began(folder, major):
    with pair(folder, major) as (primary_server, standby):
        primary = Protected(folder, primary_server)
        with standby.connect() as session:
            session.execute("SELECT pg_create_physical_replication_slot(%s, true)", [SLOT])
        with primary.archiver():
            primary.write_wal(1)
            caught_up(primary, standby)
            standby.stop()
            primary.write_wal(2.5)
            lost = primary.position()
            primary.wait_until_archived(lost)
            port = primary_server.port
            primary_server.stop()
            with server(folder / "standby", major, port=str(port)) as promoted:
                protected = Protected(folder, promoted)
                protected.run("SELECT pg_promote()")
                protected.write_wal(4)
                end = protected.position()
                protected.wait_until_archived(end, timeline=2)
                wait_for("the slot", lambda: protected.slot_position() >= end)

                switch = switched_at(protected)
                assert switch < lost
                first = WalSegment.containing(switch, timeline=2, size_bytes=SEGMENT_BYTES)
                assert protected.archived_from(timeline=2) == first.start
                protected.compare(timeline=2, until=end)
                # What was lost stays in the archive, to be looked at.
                assert protected.archived_until(timeline=1) >= lost


def test_a_slot_made_only_after_the_failover_leaves_no_gap_that_the_server_could_fill(folder, major):
    with pair(folder, major) as (primary_server, standby):
        primary = Protected(folder, primary_server)
        with primary.archiver():
            primary.write_wal(1)
            caught_up(primary, standby)
            standby.stop()
            primary.write_wal(4)
            primary.wait_until_archived(primary.position())
        port = primary_server.port
        primary_server.stop()
        with server(folder / "standby", major, port=str(port)) as promoted:
            protected = Protected(folder, promoted)
            protected.run("SELECT pg_promote()")
            protected.write_wal(2)
            protected.run("CHECKPOINT", f"SELECT pg_create_physical_replication_slot('{SLOT}', true)")
            assert protected.slot_position() < primary.archived_until(timeline=1)
            with protected.archiver():
                end = protected.position()
                wait_for("the slot", lambda: protected.slot_position() >= end)

            first = WalSegment.containing(switched_at(protected), timeline=2, size_bytes=SEGMENT_BYTES)
            assert protected.archived_from(timeline=2) == first.start
            protected.compare(timeline=2, until=end)


def test_a_receiver_that_starts_after_the_promotion_finishes_the_old_timeline_first(folder, major):
    with server(folder / "server", major) as running:
        protected = Protected(folder, running)
        with protected.archiver():
            protected.write_wal(1)
            protected.wait_until_archived(protected.position())
        protected.write_wal(1)
        running.stop()
        (running.data / "standby.signal").touch()
        running.start()
        protected.run("SELECT pg_promote()")
        protected.write_wal(1)
        with protected.archiver():
            end = protected.position()
            protected.wait_until_archived(end, timeline=2)

        switch = switched_at(protected)
        assert protected.archived_until(timeline=1) == switch
        protected.compare(timeline=1, until=switch)
        protected.compare(timeline=2, until=end)
