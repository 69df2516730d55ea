"""The swap by rename, as a role that is no superuser: what blocks it, what clients see, how it heals."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from backstop.errors import SwapBlockedError
from backstop.postgres.swap import check_swap, reopen, swap
from embedded.postgres import pip_postgres_bin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration

RESTORE_ROLE_SQL = Path("include/sql/roles/restore_role.sql")


class Stage:
    """A live database and a restored one, both the application's, and a restore role made by our own SQL."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        mark = uuid.uuid4().hex[:6]
        self.server = server
        self.app, self.restorer = f"app_{mark}", f"restorer_{mark}"
        self.live, self.beside = f'Live "{mark}"', f"live_{mark}_restored_20261123t010000z"
        self.old = f"live_{mark}_replaced_20261123t113000z"

    def __enter__(self) -> Stage:
        self.server.create_role(self.app)
        self._run_role_sql()
        # Gives it a password; the attributes stay those of restore_role.sql.
        self.server.create_role(self.restorer, "LOGIN")
        for name, content in ((self.live, "old"), (self.beside, "new")):
            self.server.create_database(name, owner=self.app)
            with self.server.connect(name, self.app) as session:
                session.execute(
                    sql.SQL("CREATE SCHEMA s; CREATE TABLE s.content AS SELECT {} AS word").format(content)
                )
        return self

    def __exit__(self, *_: object) -> None:
        with self.server.connect() as session:
            for name in (self.live, self.beside, self.old):
                session.execute(
                    sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
                )
            for role in (self.restorer, self.app):
                session.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))

    def _run_role_sql(self) -> None:
        connection = self.server.connection()
        with connection.child_environment(self.server.directory) as environment:
            subprocess.run(
                [
                    pip_postgres_bin(18) / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1",
                    "-f", RESTORE_ROLE_SQL,
                    "-v", f"role={self.restorer}", "-v", f"owner={self.app}",
                ],
                env=environment, check=True,
            )  # fmt: skip

    @property
    def admin(self) -> ClusterConnection:
        return self.server.connection(user=self.restorer)

    def blockers(self, **options: Any) -> list[str]:
        with self.admin.connect() as session:
            return check_swap(session, self.live, self.beside, self.old, **options)

    def swap(self, seconds: float = 20) -> Any:
        return swap(
            self.admin, live=self.live, beside=self.beside, old=self.old, timeout=timedelta(seconds=seconds)
        )

    def content(self) -> str:
        with self.server.connect(self.live, self.app) as session:
            row = session.execute("SELECT word FROM s.content").fetchone()
        assert row
        return str(row[0])

    def names(self) -> set[str]:
        with self.server.connect() as session:
            rows = session.execute("SELECT datname, datallowconn FROM pg_database").fetchall()
        ours = {self.live: "live", self.beside: "beside", self.old: "old"}
        return {ours[name] + ("" if is_open else " closed") for name, is_open in rows if name in ours}


@pytest.fixture(params=["postgres18", "postgres16"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with Stage(request.getfixturevalue(request.param)) as made:
        yield made


def test_the_restored_database_takes_the_live_name_and_can_be_swapped_back(stage: Stage) -> None:
    assert stage.blockers() == []

    report = stage.swap()

    assert (stage.content(), stage.names()) == ("new", {"live", "old closed"})
    assert report.old == stage.old

    swap(stage.admin, live=stage.live, beside=stage.old, old=stage.beside)

    assert (stage.content(), stage.names()) == ("old", {"live", "beside closed"})


def test_sessions_of_the_application_are_ended_and_counted(stage: Stage) -> None:
    clients = [stage.server.connect(stage.live, stage.app) for _ in range(3)]
    clients.append(stage.server.connect(stage.beside, stage.app))

    assert stage.swap().disconnected == 4

    for client in clients:
        with pytest.raises(psycopg.OperationalError):
            client.execute("SELECT 1")


@pytest.mark.timeout(120)
def test_two_hundred_reconnecting_clients_are_back_within_seconds(stage: Stage) -> None:
    crowd = Crowd(stage, clients=200)
    with crowd:
        report = stage.swap()
        crowd.wait_until_all_see("new")

    downtimes = sorted(crowd.downtimes())
    print(
        f"\nswap with {report.disconnected} sessions ended: closed for {report.seconds_closed:.2f} s; "
        f"downtime seen by clients: median {downtimes[100]:.2f} s, worst {downtimes[-1]:.2f} s"
    )
    assert report.disconnected >= 200
    # What is asked for is 5 s; the tests share two processors with whatever else runs.
    assert report.seconds_closed <= 15
    assert downtimes[-1] <= 15


def test_a_session_that_cannot_be_ended_blocks_and_the_live_database_stays_open(stage: Stage) -> None:
    with stage.server.connect(stage.live) as superuser:
        (blocker,) = stage.blockers()
        assert "superuser postgres is connected" in blocker

        with pytest.raises(SwapBlockedError, match=r"1 sessions in .* do not end: postgres"):
            stage.swap(seconds=0.5)

        superuser.execute("SELECT 1")
    assert (stage.content(), stage.names()) == ("old", {"live", "beside"})


def test_a_change_of_the_database_that_nobody_commits_does_not_keep_the_swap_waiting(stage: Stage) -> None:
    # A session in a third database, which the swap does not end.
    with stage.server.connect() as elsewhere, elsewhere.transaction(force_rollback=True):
        grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO pg_monitor").format(sql.Identifier(stage.live))
        elsewhere.execute(grant)

        with pytest.raises(SwapBlockedError, match=r"lock timeout.*has changed one of them"):
            stage.swap(seconds=0.5)

    assert (stage.content(), stage.names()) == ("old", {"live", "beside"})


def test_a_failure_at_the_second_rename_undoes_the_first(stage: Stage) -> None:
    # A prepared transaction is no session that could be ended, and only the restored database has one.
    with stage.server.connect(stage.beside, stage.app) as session:
        session.execute("BEGIN; INSERT INTO s.content VALUES ('x'); PREPARE TRANSACTION 'second'")
    try:
        with pytest.raises(SwapBlockedError, match="being accessed by other users"):
            stage.swap(seconds=1)

        assert (stage.content(), stage.names()) == ("old", {"live", "beside"})
    finally:
        with stage.server.connect(stage.beside, stage.app) as session:
            session.execute("ROLLBACK PREPARED 'second'")


def test_a_missing_right_changes_nothing(stage: Stage) -> None:
    with stage.server.connect() as session:
        session.execute(sql.SQL("ALTER DATABASE {} OWNER TO postgres").format(sql.Identifier(stage.beside)))

    with pytest.raises(SwapBlockedError, match=r"must be owner.*restore_role\.sql"):
        stage.swap()

    assert (stage.content(), stage.names()) == ("old", {"live", "beside"})


def test_a_killed_swap_is_healed_by_reopening(stage: Stage) -> None:
    with stage.server.connect(stage.live):
        worker = os.fork()
        if worker == 0:
            try:
                stage.swap(seconds=60)
            finally:
                os._exit(0)
        wait_until(lambda: "live closed" in stage.names())
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
    assert any("reopen" in blocker for blocker in stage.blockers())

    with stage.admin.connect() as session:
        assert sorted(reopen(session, stage.live, stage.beside)) == sorted([stage.live, stage.beside])
        assert reopen(session, stage.live, stage.beside) == []

    assert (stage.content(), stage.names()) == ("old", {"live", "beside"})


def test_a_lost_connection_during_the_swap_reopens_over_a_new_one(stage: Stage) -> None:
    with stage.server.connect(stage.live), stage.server.connect() as superuser:
        threading.Thread(target=kill_session, args=(superuser, "backstop swap"), daemon=True).start()

        with pytest.raises(SwapBlockedError, match="was not swapped"):
            stage.swap(seconds=20)

    assert (stage.content(), stage.names()) == ("old", {"live", "beside"})


def test_an_interrupt_while_the_live_database_is_being_opened_again_does_not_leave_it_closed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupts = [KeyboardInterrupt()]

    def interrupted(*arguments: Any) -> list[str]:
        if interrupts:
            raise interrupts.pop()
        return reopen(*arguments)

    monkeypatch.setattr("backstop.postgres.swap.reopen", interrupted)
    with stage.server.connect(stage.live), pytest.raises(KeyboardInterrupt):
        stage.swap(seconds=0.5)

    assert (stage.content(), stage.names()) == ("old", {"live", "beside"})


def test_a_prepared_transaction_is_named(stage: Stage) -> None:
    with stage.server.connect(stage.live, stage.app) as session:
        session.execute("BEGIN; INSERT INTO s.content VALUES ('x'); PREPARE TRANSACTION 'the gid'")
        try:
            (blocker,) = stage.blockers()
            assert "prepared transaction the gid" in blocker
        finally:
            session.execute("ROLLBACK PREPARED 'the gid'")


def test_a_logical_slot_is_named_unless_accepted(stage: Stage) -> None:
    with stage.server.connect(stage.live) as session:
        session.execute("SELECT pg_create_logical_replication_slot('swap_slot', 'pgoutput')")
    try:
        (blocker,) = stage.blockers()
        assert "logical slot swap_slot (not in use)" in blocker
        assert stage.blockers(accept_logical_slots=True) == []

        stage.swap()
        assert stage.content() == "new"
    finally:
        with stage.server.connect() as session:
            session.execute("SELECT pg_drop_replication_slot('swap_slot')")


def test_a_subscription_is_named(stage: Stage) -> None:
    with stage.server.connect(stage.live) as session:
        session.execute(
            "CREATE SUBSCRIPTION swap_sub CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p "
            "WITH (connect = false)"
        )
    try:
        (blocker,) = stage.blockers()
        assert "subscription swap_sub" in blocker
    finally:
        with stage.server.connect(stage.live) as session:
            session.execute("ALTER SUBSCRIPTION swap_sub SET (slot_name = NONE); DROP SUBSCRIPTION swap_sub")


def test_missing_rights_and_names_are_named_at_once(stage: Stage) -> None:
    with stage.server.connect() as session:
        restorer, app = sql.Identifier(stage.restorer), sql.Identifier(stage.app)
        session.execute(
            sql.SQL("ALTER ROLE {} NOCREATEDB; REVOKE {} FROM {}").format(restorer, app, restorer)
        )
        session.execute(sql.SQL("REVOKE pg_signal_backend FROM {}").format(restorer))
        session.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(stage.old)))

    with stage.server.connect(stage.live, stage.app):
        blockers = " | ".join(stage.blockers())

    assert f"no member of {stage.app}, the owner of database {stage.live}" in blockers
    assert f"no member of {stage.app}, the owner of database {stage.beside}" in blockers
    assert f"role {stage.restorer} lacks CREATEDB" in blockers
    assert f"1 sessions of {stage.app} cannot be ended: grant pg_signal_backend" in blockers
    assert f"{stage.old}, which the old database is to keep, is taken" in blockers
    with stage.admin.connect() as session:
        assert check_swap(session, stage.live, "nowhere", "x")[0] == "there is no database nowhere"


class Crowd:
    """Clients that ask all the time and reconnect whenever they lose their session."""

    def __init__(self, stage: Stage, *, clients: int) -> None:
        self.stage = stage
        self.stop = threading.Event()
        # Of each client: when the old database answered last, when the new one answered first.
        self.last_old = [0.0] * clients
        self.first_new = [0.0] * clients
        self.threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(clients)
        ]

    def __enter__(self) -> None:
        for thread in self.threads:
            thread.start()
        wait_until(lambda: all(self.last_old), seconds=60)

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def wait_until_all_see(self, word: str) -> None:
        assert word == "new"
        wait_until(lambda: all(self.first_new), seconds=60)

    def downtimes(self) -> list[float]:
        return [new - old for old, new in zip(self.last_old, self.first_new, strict=True)]

    def _run(self, number: int) -> None:
        while not self.stop.is_set():
            try:
                with self.stage.server.connect(self.stage.live, self.stage.app) as session:
                    self._ask(session, number)
            except psycopg.OperationalError:
                self.stop.wait(0.1)

    def _ask(self, session: psycopg.Connection[Any], number: int) -> None:
        while not self.stop.is_set():
            row = session.execute("SELECT word FROM s.content").fetchone()
            if row == ("old",):
                self.last_old[number] = time.monotonic()
            elif not self.first_new[number]:
                self.first_new[number] = time.monotonic()
            self.stop.wait(0.2)


def kill_session(superuser: psycopg.Connection[Any], application_name: str) -> None:
    def killed() -> bool:
        row = superuser.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE application_name = %s AND query LIKE '%%usesysid IS NOT NULL%%'",
            [application_name],
        ).fetchone()
        return bool(row and row[0])

    wait_until(killed)


def wait_until(condition: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
