"""Real servers for the tests: each pytest process (each xdist worker) starts its own on demand."""

from __future__ import annotations

import io
import shutil
import signal
import tempfile
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from psycopg import sql

from embedded.home import Home
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from embedded.roles import USERS
from embedded.seaweedfs import EmbeddedSeaweedFS
from embedded.stack import Stack
from embedded.steps import Steps
from tests.chromium import CHROMIUM
from tests.fleet import make_fleet
from tests.fleet_troubles import TROUBLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from backstop.postgres.connection import ClusterConnection

# A busy machine is no fault of the code. The rest is as Hypothesis has it, in CI and elsewhere.
settings.register_profile("patient", settings(), deadline=None)
settings.load_profile("patient")

FLEET_NOW = datetime(2026, 11, 26, 14, 32, 7, tzinfo=timezone.utc)

# Whoever started us in the background may have had interrupts ignored, and so would every program of a test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse to spread a group over workers, each with servers of its own: a pytest once did so silently."""
    if getattr(config.option, "loadgroup", False):
        for item in items:
            if item.get_closest_marker("xdist_group") and "@" not in item.nodeid.rpartition("]")[2]:
                raise pytest.UsageError("pytest-xdist does not group: pin a pytest that it understands")


@pytest.fixture(scope="session")
def servers_directory() -> Iterator[Path]:
    """Where this session's servers live: short, and open to the account PostgreSQL runs under."""
    directory = Path(tempfile.mkdtemp(prefix="backstop-tests-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres18(servers_directory: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL 18 that the whole session shares. Leave it as you found it, or start one of your own."""
    with _postgres(servers_directory / "postgres18", 18) as server:
        yield server
        assert _slots_left(server) == []


@pytest.fixture(scope="session")
def postgres16(servers_directory: Path) -> Iterator[EmbeddedPostgres]:
    """The same, version 16."""
    with _postgres(servers_directory / "postgres16", 16) as server:
        yield server
        assert _slots_left(server) == []


@pytest.fixture(scope="session")
def seaweedfs(servers_directory: Path) -> Iterator[EmbeddedSeaweedFS]:
    """An S3 server that the whole session shares; the bucket `backstop-tests` exists, and a user a role."""
    with EmbeddedSeaweedFS(
        servers_directory / "seaweedfs",
        buckets=["backstop-tests"],
        die_with_parent=True,
        users=USERS,
    ) as server:
        yield server


@pytest.fixture(scope="session")
def running_stack() -> Iterator[Stack]:
    """The whole embedded stack, Airflow included, for every test of the xdist group ``airflow``."""
    root = Path(tempfile.mkdtemp(prefix="backstop-stack-"))
    stack = Stack(Home(root))
    try:
        stack.up(Steps(io.StringIO()))
        yield stack
    finally:
        stack.down(Steps(io.StringIO()))
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def new_database() -> Iterator[Callable[[EmbeddedPostgres], ClusterConnection]]:
    """Makes empty databases on a given server, each dropped at the end; connections are the superuser's."""
    made: list[tuple[EmbeddedPostgres, str]] = []

    def make(server: EmbeddedPostgres) -> ClusterConnection:
        name = f"test_{uuid.uuid4().hex[:12]}"
        with server.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        made.append((server, name))
        return server.connection(name)

    yield make
    for server, name in made:
        with server.connect() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


@pytest.fixture
def database(
    postgres18: EmbeddedPostgres, new_database: Callable[[EmbeddedPostgres], ClusterConnection]
) -> ClusterConnection:
    """A fresh, empty database on PostgreSQL 18, connected as the superuser."""
    return new_database(postgres18)


@pytest.fixture
def query(database: ClusterConnection) -> Callable[[str], list[Any]]:
    """Asks that database in SQL."""

    def query(statement: str) -> list[Any]:
        with database.connect() as session:
            session.execute("SET search_path TO public")
            cursor = session.execute(statement)
            return cursor.fetchall() if cursor.description else []

    return query


@pytest.fixture(scope="session")
def fleet(postgres18: EmbeddedPostgres) -> ClusterConnection:
    """An inventory of the ten targets of tests/fleet_troubles.py at ``fleet_now``; to be read only."""
    return make_fleet(postgres18, "fleet", targets=len(TROUBLES), days=45, now=FLEET_NOW)


@pytest.fixture(scope="session")
def fleet_now() -> datetime:
    """The moment that it shows."""
    return FLEET_NOW


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium, of one module: while it is open no test can run an event loop, or open another."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield browser
        browser.close()


def _slots_left(server: EmbeddedPostgres) -> list[str]:
    """Each keeps WAL for ever, and other tests take it for theirs."""
    with server.connect() as session:
        rows = session.execute("SELECT slot_name FROM pg_catalog.pg_replication_slots").fetchall()
    return [name for (name,) in rows]


def _postgres(directory: Path, major: int) -> EmbeddedPostgres:
    # Prepared transactions and logical slots: a swap must notice them.
    settings = {"max_prepared_transactions": "50", "wal_level": "logical", "max_connections": "300"}
    return EmbeddedPostgres(
        directory, bin_dir=pip_postgres_bin(major), settings=settings, durable=False, die_with_parent=True
    )
