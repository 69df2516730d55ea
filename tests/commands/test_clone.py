"""A clone of a cluster that subscribes, archives and has standbys: whoever starts it disturbs nobody."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.commands.archiving import wait_for
from tests.recovery_world import ACCOUNT, World, running_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

# An apply worker is started within a tenth of a second, and takes its slot at once.
_LONG_ENOUGH_SECONDS = 2.0
_SLOT = "clone_test"


class Publisher:
    """A database elsewhere that the protected cluster subscribes to."""

    def __init__(self, database: ClusterConnection) -> None:
        self.database = database
        self.run("CREATE TABLE public.news (n int PRIMARY KEY)", "INSERT INTO public.news VALUES (1)")
        self.run("CREATE PUBLICATION all_news FOR TABLE public.news")

    def run(self, *statements: str) -> None:
        with self.database.connect() as session:
            for statement in statements:
                session.execute(statement)  # type: ignore[call-overload]
            session.commit()

    def slot(self) -> tuple[Any, ...]:
        with self.database.connect() as session:
            row = session.execute(
                "SELECT active, confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s",
                [_SLOT],
            ).fetchone()
            assert row
            return row


@pytest.fixture
def publisher(
    postgres18: EmbeddedPostgres, new_database: Callable[[EmbeddedPostgres], ClusterConnection]
) -> Iterator[Publisher]:
    made = Publisher(new_database(postgres18))
    yield made
    made.run(f"SELECT pg_drop_replication_slot('{_SLOT}')")


def make_it_disturb(world: World, archive: Path, publisher: Publisher) -> None:
    """In files of the cluster, so that every copy has it too."""
    way = publisher.database
    with world.source.server.connect() as session:
        session.execute("ALTER SYSTEM SET archive_mode = 'always'")
        session.execute(f"ALTER SYSTEM SET archive_command = 'cp %p {archive}/%f'")  # type: ignore[arg-type]
        session.execute("ALTER SYSTEM SET synchronous_standby_names = 'pg_receivewal'")
        session.execute("SELECT pg_reload_conf()")
        session.execute("CREATE TABLE news (n int PRIMARY KEY)")
        session.execute(
            f"CREATE SUBSCRIPTION {_SLOT} CONNECTION 'host={way.host} port={way.port} dbname={way.dbname} "  # type: ignore[arg-type]
            f"user={way.user} password={way.password}' PUBLICATION all_news"
        )

        def news() -> bool:
            return session.execute("SELECT count(*) FROM news").fetchone() == (1,)

        wait_for("the subscription's first row", news)


@contextmanager
def started(data: Path, world: World, folder: Path) -> Iterator[Callable[[], psycopg.Connection]]:
    """By hand, as somebody would who wants to look into it: with its own settings, and no more."""
    sockets = folder / "look"
    sockets.mkdir(mode=0o777)
    sockets.chmod(0o777)
    pg_ctl = [
        *(["setpriv", "--reuid", ACCOUNT, "--clear-groups", "--"] if ACCOUNT else []),
        str(world.source.server.bin_dir / "pg_ctl"), "--pgdata", str(data), "--wait",
    ]  # fmt: skip
    options = f"-k {sockets} -p 5999"
    log = sockets / "log"
    subprocess.run([*pg_ctl, f"--log={log}", f"--options={options}", "start"], check=True, cwd="/")
    try:
        yield lambda: psycopg.connect(
            host=str(sockets), port=5999, user="postgres", dbname="postgres", autocommit=True,
            password=world.source.server.password("postgres"), options="-c statement_timeout=10s",
        )  # fmt: skip
    finally:
        subprocess.run([*pg_ctl, "--mode=immediate", "stop"], check=True, cwd="/", capture_output=True)


def test_a_clone_consumes_no_subscription_archives_nothing_and_lets_no_commit_wait(
    folder: Path, publisher: Publisher
) -> None:
    archive = folder / "archive"
    archive.mkdir()
    archive.chmod(0o777)
    with running_world(folder, 18, archive_mode="always") as world:
        make_it_disturb(world, archive, publisher)
        world.source.ledger.write(3)
        world.backups.take()
        world.source.ledger.write(3)
        world.source.switch()
        world.source.ledger.write(3)
        world.ship()
        wait_for("the source archives", lambda: list(archive.iterdir()))
        # Were it there, it would hold the slot, and nobody could take it.
        world.source.stop_receiving()
        world.source.server.stop()
        wait_for("its slot to be free", lambda: publisher.slot()[0] is False)
        publisher.run("INSERT INTO public.news SELECT generate_series(2, 100)")
        slot, archived = publisher.slot(), sorted(os.listdir(archive))  # noqa: PTH208

        world.recover("latest")
        with started(world.out / "clone", world, folder) as connect, connect() as session:
            session.execute("INSERT INTO ledger VALUES (10)")
            session.execute("SELECT pg_switch_wal()")
            session.execute("INSERT INTO ledger VALUES (11)")
            time.sleep(_LONG_ENOUGH_SECONDS)
            news = session.execute("SELECT count(*) FROM news").fetchone()

        assert slot[0] is False
        assert publisher.slot() == slot
        assert news == (1,)
        assert sorted(os.listdir(archive)) == archived  # noqa: PTH208
