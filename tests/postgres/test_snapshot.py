# ruff: noqa: PT012 - what is tested is how a context ends, whatever runs inside
from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from psycopg import sql

from backstop.errors import SourceBusyError, SourceError, SourceUnavailableError, ToolError
from backstop.postgres import snapshot as snapshot_module
from backstop.postgres.catalog import list_tables
from backstop.postgres.fingerprint import take_content
from backstop.postgres.process import run_tool
from backstop.postgres.snapshot import hold_snapshot, session_name
from backstop.postgres.tools import PostgresTools, pg_dump_argv
from backstop.postgres.watchdog import PATIENCE_SECONDS, POLL_SECONDS, statement_kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.snapshot import HeldSnapshot

pytestmark = pytest.mark.integration

HOUR = timedelta(hours=1)
# Nobody may wait longer than a second for a backup (docs/design.md, invariant 11). So it is by the watchdog's
# own numbers; a machine that is busy with other tests adds what it likes.
LONGEST_WAIT_SECONDS = 2.5


def test_what_the_watchdog_waits_leaves_a_third_of_the_second_that_is_promised() -> None:
    assert PATIENCE_SECONDS + POLL_SECONDS < 0.67


class Application:
    """A session of the application in a thread, and how long its statement took."""

    def __init__(self, connection: ClusterConnection, statement: str, *, delay: float = 0.0) -> None:
        self.seconds = 0.0
        self.error: Exception | None = None
        self._connection = connection
        self._statement = statement
        self._delay = delay
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        started = time.monotonic()
        try:
            with self._connection.connect(application_name="calibrify") as session:
                time.sleep(self._delay)
                started = time.monotonic()
                session.execute(self._statement)
                self.seconds = time.monotonic() - started
        except Exception as error:
            self.error = error

    def wait(self) -> float:
        self._thread.join(timeout=30)
        assert not self._thread.is_alive(), f"{self._statement} hangs"
        if self.error is not None:
            raise self.error
        return self.seconds


def execute(connection: ClusterConnection, *statements: str) -> None:
    with connection.connect() as session:
        for statement in statements:
            session.execute(statement)


def sessions_of(connection: ClusterConnection, attempt: str) -> int:
    """How many of the attempt's sessions the server still has, a moment later."""
    with connection.connect() as session:
        for _ in range(50):
            row = session.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [session_name(attempt)]
            ).fetchone()
            if row == (0,):
                return 0
            time.sleep(0.02)
    return row[0] if row else -1


def locks_on(connection: ClusterConnection, table: str) -> int:
    with connection.connect() as session:
        row = session.execute(
            "SELECT count(*) FROM pg_locks WHERE relation = %s::regclass AND pid <> pg_backend_pid()", [table]
        ).fetchone()
    return row[0] if row else -1


@contextmanager
def open_transaction(connection: ClusterConnection, statement: str) -> Iterator[Any]:
    with connection.connect(autocommit=False) as session:
        session.execute(statement)
        yield session
        session.rollback()


def pg_dump(held: HeldSnapshot, folder: Path, jobs: int = 2) -> None:
    with (
        held.connection.connect() as session,
        held.connection.child_environment(folder, application_name=held.application_name) as environment,
    ):
        tools = PostgresTools.find(session.info.server_version // 10000)
        argv = pg_dump_argv(
            tools,
            directory=folder / "dump",
            jobs=jobs,
            snapshot_id=held.snapshot_id,
            lock_wait_timeout_ms=60_000,
        )
        run_tool(argv, env=environment, stop=held.stop)


@pytest.fixture
def tables(database):
    return with_tables(database)


@pytest.fixture
def any_tables(any_database):
    """The same on each version in turn."""
    return with_tables(any_database)


def with_tables(connection: ClusterConnection) -> ClusterConnection:
    execute(
        connection,
        "CREATE TABLE public.t AS SELECT generate_series(1, 1000) AS i",
        "CREATE TABLE public.parent (i integer) PARTITION BY LIST (i)",
        "CREATE TABLE public.part PARTITION OF public.parent FOR VALUES IN (1)",
        "CREATE MATERIALIZED VIEW public.mv AS SELECT i FROM public.t",
        "CREATE VIEW public.v AS SELECT i FROM public.t",
    )
    return connection


def test_others_read_in_the_snapshot_what_was_there_when_it_was_taken(any_tables):
    with hold_snapshot(any_tables, attempt="a", max_age=HOUR) as held:
        execute(any_tables, "DELETE FROM public.t", "INSERT INTO public.part VALUES (1)")
        contents, _ = take_content(any_tables, tables=held.tables, snapshot_id=held.snapshot_id, attempt="a")
        rows = held.session.execute("SELECT count(*) FROM public.t").fetchone()

    assert {table.name: table.rows for table in contents} == {"public.t": 1000, "public.part": 0}
    assert rows == (1000,)
    assert [table.table for table in held.tables] == ["t", "parent", "part"]
    assert held.materialized_views == ("public.mv",)
    assert held.tables[0].heap_bytes > 0
    assert held.taken_at.tzinfo is not None
    assert "/" in held.lsn


def test_nothing_is_held_once_the_context_is_left(tables):
    with pytest.raises(ValueError, match="planted"), hold_snapshot(tables, attempt="b", max_age=HOUR):
        assert locks_on(tables, "public.t") > 0
        raise ValueError("planted")

    assert sessions_of(tables, "b") == 0
    assert locks_on(tables, "public.t") == 0


@pytest.mark.parametrize("statement", ["TRUNCATE public.t", "DROP TABLE public.t CASCADE"])
def test_a_table_cannot_be_emptied_or_dropped_behind_the_snapshot(tables, statement):
    with pytest.raises(SourceBusyError), hold_snapshot(tables, attempt="c", max_age=HOUR) as held:
        application = Application(tables, statement)
        time.sleep(0.05)
        count = held.session.execute("SELECT count(*) FROM public.t").fetchone()
        held.stop.wait(30)

    assert count == (1000,), "it was emptied under the snapshot"
    assert application.wait() < LONGEST_WAIT_SECONDS


def test_rows_that_move_to_another_table_while_we_lock_are_in_one_of_them(tables, monkeypatch):
    """A snapshot older than the locks would find them in neither: TRUNCATE ignores snapshots."""
    lock_tables = snapshot_module._lock_tables

    def lock_late(*arguments: Any) -> None:
        execute(tables, "BEGIN; INSERT INTO public.part SELECT 1 FROM public.t; TRUNCATE public.t; COMMIT")
        lock_tables(*arguments)

    monkeypatch.setattr(snapshot_module, "_lock_tables", lock_late)

    with hold_snapshot(tables, attempt="d", max_age=HOUR) as held:
        contents, _ = take_content(tables, tables=held.tables, snapshot_id=held.snapshot_id, attempt="d")

    assert {table.name: table.rows for table in contents} == {"public.t": 0, "public.part": 1000}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE IF NOT EXISTS public.late ()",
        "DROP TABLE IF EXISTS public.part",
        "ALTER TABLE IF EXISTS public.t RENAME TO other",
    ],
)
def test_tables_that_come_and_go_while_we_lock_are_all_locked_in_the_end(tables, monkeypatch, statement):
    lock_tables, times = snapshot_module._lock_tables, []

    def lock_late(*arguments: Any) -> None:
        if not times:
            execute(tables, statement)
        times.append(1)
        lock_tables(*arguments)

    monkeypatch.setattr(snapshot_module, "_lock_tables", lock_late)

    with hold_snapshot(tables, attempt="e", max_age=HOUR) as held, tables.connect() as session:
        now = {table.oid for table in list_tables(session)}
        locked = session.execute(
            "SELECT relation FROM pg_locks WHERE pid = %s AND mode = 'AccessShareLock'",
            [held.session.info.backend_pid],
        ).fetchall()

    assert len(times) == 2
    assert {table.oid for table in held.tables} == now
    assert now <= {oid for (oid,) in locked}


def test_tables_that_never_keep_still_end_the_attempt(tables, monkeypatch):
    number = iter(range(100))
    lock_tables = snapshot_module._lock_tables

    def lock_late(*arguments: Any) -> None:
        execute(tables, f"CREATE TABLE public.late{next(number)} ()")
        lock_tables(*arguments)

    monkeypatch.setattr(snapshot_module, "_lock_tables", lock_late)
    monkeypatch.setattr(snapshot_module, "LOCK_ATTEMPTS", 3)

    with (
        pytest.raises(SourceBusyError, match="were being created, renamed or dropped"),
        hold_snapshot(tables, attempt="f", max_age=HOUR),
    ):
        pytest.fail("an unlocked table would be dumped")


def test_a_table_that_somebody_keeps_locked_is_named_with_its_holder(tables, monkeypatch):
    monkeypatch.setattr(snapshot_module, "LOCK_ATTEMPTS", 3)
    with open_transaction(tables, "LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE") as holder:
        pid = holder.info.backend_pid
        with (
            pytest.raises(SourceBusyError, match=rf"process {pid} holds public\.t"),
            hold_snapshot(tables, attempt="g", max_age=HOUR),
        ):
            pytest.fail("held without its locks")

    assert sessions_of(tables, "g") == 0


def test_a_short_lock_of_the_application_is_waited_out(tables):
    def let_go(session: Any) -> None:
        time.sleep(1)
        session.rollback()

    with tables.connect(autocommit=False) as session:
        session.execute("LOCK TABLE public.part IN ACCESS EXCLUSIVE MODE")
        threading.Thread(target=let_go, args=(session,)).start()
        with hold_snapshot(tables, attempt="h", max_age=HOUR) as held:
            assert len(held.tables) == 3


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("ALTER TABLE public.t ADD secret text DEFAULT 'hunter2'", "ALTER TABLE"),
        ("CREATE INDEX CONCURRENTLY ON public.t (i)", "CREATE INDEX"),
        ("LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE", "LOCK"),
        ("VACUUM FULL public.t", "VACUUM"),
    ],
)
def test_whoever_waits_for_the_backup_makes_it_give_way_within_a_second(any_tables, statement, kind):
    if statement.startswith("LOCK"):
        statement = f"BEGIN; {statement}; COMMIT"
        kind = "some statement"
    with (
        pytest.raises(SourceBusyError) as caught,
        hold_snapshot(any_tables, attempt="i", max_age=HOUR) as held,
    ):
        application = Application(any_tables, statement)
        assert held.stop.wait(30), "the watchdog saw nothing"

    assert application.wait() < LONGEST_WAIT_SECONDS
    assert f"({kind}, " in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.retryable
    assert sessions_of(any_tables, "i") == 0


def test_nobody_waits_for_a_backup_that_is_slow_to_notice_that_it_must_stop(tables):
    with pytest.raises(SourceBusyError), hold_snapshot(tables, attempt="r", max_age=HOUR) as held:
        reader = tables.connect(application_name=held.application_name, autocommit=False)
        reader.execute("SELECT count(*) FROM public.t")
        application = Application(tables, "ALTER TABLE public.t ADD j integer")
        time.sleep(3)

    assert application.wait() < LONGEST_WAIT_SECONDS
    reader.close()


def test_pg_dump_behind_a_queued_alter_table_is_no_endless_cycle_and_no_query_waits(any_tables, tmp_path):
    """Holder, ALTER TABLE and pg_dump wait for each other, unseen by PostgreSQL; every SELECT queues."""
    started = time.monotonic()
    with (
        pytest.raises(SourceBusyError, match=r"ALTER TABLE, AccessExclusiveLock.* on public\.t"),
        hold_snapshot(any_tables, attempt="j", max_age=HOUR) as held,
    ):
        application = [Application(any_tables, "ALTER TABLE public.t ADD j integer")]
        time.sleep(0.05)
        application += [
            Application(any_tables, "SELECT count(*) FROM public.t", delay=n / 20) for n in range(8)
        ]
        pg_dump(held, tmp_path)

    assert time.monotonic() - started < 10
    assert [session.wait() for session in application if session.wait() > LONGEST_WAIT_SECONDS] == []
    assert sessions_of(any_tables, "j") == 0


def test_a_parallel_pg_dump_that_stalls_is_killed_at_once_when_the_application_waits(any_tables, tmp_path):
    execute(
        any_tables,
        "CREATE TABLE public.big AS SELECT repeat(md5(g::text), 20) AS s FROM generate_series(1, 50000) g",
        "CREATE TABLE public.big2 AS TABLE public.big",
    )
    application: list[Application] = []

    def stall_and_queue() -> None:
        while len(list((tmp_path / "dump").glob("*.dat"))) < 2:
            time.sleep(0.002)
        # Like a disk that no longer answers: SIGTERM reaches nobody.
        for child in psutil.Process().children(recursive=True):
            if child.name() == "pg_dump":
                child.suspend()
        application.append(Application(any_tables, "TRUNCATE public.big"))
        time.sleep(0.05)
        application.extend(Application(any_tables, "SELECT count(*) FROM public.big") for _ in range(4))

    queueing = threading.Thread(target=stall_and_queue)
    with (
        pytest.raises(SourceBusyError, match=r"on public\.big;") as caught,
        hold_snapshot(any_tables, attempt="k", max_age=HOUR) as held,
    ):
        queueing.start()
        pg_dump(held, tmp_path)

    queueing.join()
    assert "pg_dump was stopped" in str(caught.value.__cause__)
    assert max(session.wait() for session in application) < LONGEST_WAIT_SECONDS
    assert sessions_of(any_tables, "k") == 0


def test_a_wait_while_tables_are_still_being_locked_makes_it_give_way_too(tables, monkeypatch):
    lock_tables, application = snapshot_module._lock_tables, []

    def lock_slowly(session: Any, *arguments: Any) -> None:
        lock_tables(session, *arguments)
        if not application:
            application.append(Application(tables, "ALTER TABLE public.t ADD j integer"))
            session.execute("SELECT pg_sleep(5)")

    monkeypatch.setattr(snapshot_module, "_lock_tables", lock_slowly)

    with (
        pytest.raises(SourceBusyError, match="had to wait"),
        hold_snapshot(tables, attempt="l", max_age=HOUR),
    ):
        pytest.fail("went on although somebody waits")

    assert application[0].wait() < LONGEST_WAIT_SECONDS


def test_sessions_that_wait_for_each_other_are_none_of_our_business(tables):
    with (
        hold_snapshot(tables, attempt="m", max_age=HOUR) as held,
        open_transaction(tables, "UPDATE public.t SET i = 0 WHERE i = 1"),
    ):
        application = Application(tables, "UPDATE public.t SET i = 2 WHERE i = 1")
        assert not held.stop.wait(1.5)
    held.check()
    application.wait()


def test_a_role_that_cannot_see_what_others_do_gives_way_all_the_same(tables, tmp_path):
    role = f"modest_{tmp_path.name[-6:]}"
    execute(
        tables,
        f"CREATE ROLE {role} LOGIN PASSWORD 'x'",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
    )
    modest = replace(tables, user=role, password="x")
    try:
        with (
            pytest.raises(SourceBusyError, match=r"some statement, AccessExclusiveLock.*public\.t"),
            hold_snapshot(modest, attempt="n", max_age=HOUR) as held,
        ):
            application = Application(tables, "ALTER TABLE public.t ADD j integer")
            assert held.stop.wait(30)
        assert application.wait() < LONGEST_WAIT_SECONDS
    finally:
        execute(tables, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_role_that_becomes_another_one_on_connecting_keeps_its_snapshot_and_gives_way(tables, tmp_path):
    login, other = f"login_{tmp_path.name[-6:]}", f"other_{tmp_path.name[-6:]}"
    execute(
        tables,
        f"CREATE ROLE {other}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {other}",
        f"CREATE ROLE {login} LOGIN PASSWORD 'x' IN ROLE {other}",
        f"ALTER ROLE {login} SET role = {other}",
    )
    try:
        with (
            pytest.raises(SourceBusyError, match=r"AccessExclusiveLock.*public\.t"),
            hold_snapshot(replace(tables, user=login, password="x"), attempt="r", max_age=HOUR) as held,
        ):
            assert not held.stop.wait(1)
            application = Application(tables, "ALTER TABLE public.t ADD j integer")
            assert held.stop.wait(30)
            # Ended by the server, before we have noticed.
            assert application.wait() < LONGEST_WAIT_SECONDS
    finally:
        execute(tables, f"DROP OWNED BY {other}", f"DROP ROLE {login}, {other}")


def test_a_snapshot_that_grows_too_old_is_given_up_for_good(tables):
    with (
        pytest.raises(SourceError, match=r"was held for 0:00:00\.500000, the most allowed") as caught,
        hold_snapshot(tables, attempt="o", max_age=timedelta(seconds=0.5)) as held,
    ):
        assert held.stop.wait(30)

    assert not caught.value.retryable
    assert sessions_of(tables, "o") == 0


@pytest.mark.parametrize("who", ["holder", "watchdog"])
def test_losing_a_session_on_the_server_ends_the_backup_with_what_happened(tables, who):
    with (
        pytest.raises(SourceUnavailableError, match=r"ended the session|terminating connection"),
        hold_snapshot(tables, attempt="p", max_age=HOUR) as held,
    ):
        holder = held.session.info.backend_pid
        with tables.connect() as session:
            session.execute(
                sql.SQL(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'backstop:p' AND (pid = {}) = {}"
                ).format(sql.Literal(holder), sql.Literal(who == "holder"))
            )
        assert held.stop.wait(30)
        if who == "watchdog":
            # The holder goes too: nobody watches over it any more.
            assert sessions_of(tables, "p") == 0

    assert sessions_of(tables, "p") == 0


def test_what_the_body_raises_when_killed_gives_way_to_the_reason(tables):
    with pytest.raises(SourceBusyError) as caught, hold_snapshot(tables, attempt="q", max_age=HOUR) as held:
        application = Application(tables, "ALTER TABLE public.t ADD j integer")
        held.stop.wait(30)
        raise ToolError("pg_dump was stopped")

    application.wait()
    assert "pg_dump was stopped" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("alter  table t add password text default 'hunter2'", "ALTER TABLE"),
        ("/* hunter2 */ -- hunter2\n  DROP INDEX x", "DROP INDEX"),
        ("select 'hunter2'", "SELECT"),
        ("ALTER hunter2", "ALTER"),
        ("hunter2", "some statement"),
        ("", "some statement"),
        ("<insufficient privilege>", "some statement"),
    ],
)
def test_of_a_statement_only_its_kind_is_told(query, kind):
    assert statement_kind(query) == kind
