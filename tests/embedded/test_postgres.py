"""The PostgreSQL starter."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest

from embedded.errors import StackError
from embedded.ports import free_ports
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection

pytestmark = pytest.mark.integration


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(
        tmp_path / "pg", bin_dir=pip_postgres_bin(18), durable=False, die_with_parent=True
    )
    yield server
    server.stop()


def test_a_fresh_database_is_empty_and_answers(database: ClusterConnection) -> None:
    with database.connect() as connection:
        tables = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchone()

    assert tables == (0,)


def test_the_server_never_runs_as_root(server: EmbeddedPostgres) -> None:
    server.start()

    with server.connect() as connection:
        (effective,) = connection.execute(
            "SELECT substring(pg_read_file('/proc/self/status') FROM 'Uid:\\s+\\d+\\s+(\\d+)')"
        ).fetchone() or ("0",)
    assert effective != "0"


def test_a_wrong_password_is_refused(server: EmbeddedPostgres) -> None:
    server.start()

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host="127.0.0.1", port=server.port, user="postgres", password="guess")


def test_data_and_port_survive_stop_and_start(server: EmbeddedPostgres) -> None:
    server.start()
    port = server.port
    server.create_database("kept")
    server.stop()
    assert server.pid is None

    server.start()

    assert server.port == port
    server.connect("kept").close()


def test_a_start_cut_short_before_initdb_ended_is_begun_again(server: EmbeddedPostgres) -> None:
    server.data.mkdir(parents=True)
    (server.data / "PG_VERSION").write_text("18\n")

    server.start()

    assert server.pid is not None


def test_a_lock_file_left_by_a_reboot_does_not_stop_the_next_start(server: EmbeddedPostgres) -> None:
    server.start()
    lock = (server.data / "postmaster.pid").read_text()
    server.stop()
    # After the reboot an unrelated process has the pid: ours.
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n{lock.partition(chr(10))[2]}")
    assert server.pid is None

    server.start()

    assert server.pid not in (None, os.getpid())


def test_a_killed_server_starts_again(server: EmbeddedPostgres) -> None:
    server.start()
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=5)

    server.start()

    assert server.pid != pid


def test_a_port_that_was_asked_for_and_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = EmbeddedPostgres(tmp_path / "pg", bin_dir=pip_postgres_bin(18), port=port, durable=False)

        with pytest.raises(StackError, match=f"port {port} .* is taken"):
            server.start()

    assert server.pid is None


def test_a_remembered_port_taken_meanwhile_is_replaced(server: EmbeddedPostgres) -> None:
    with socket.socket() as other:
        port = free_ports(1)[0]
        other.bind(("127.0.0.1", port))
        other.listen()
        server.directory.mkdir()
        (server.directory / "port").write_text(str(port))

        server.start()

    assert server.port != port


def test_a_server_without_tcp_is_reached_by_its_socket(servers_directory: Path) -> None:
    server = EmbeddedPostgres(
        servers_directory / "socket-only",
        bin_dir=pip_postgres_bin(18),
        listen_tcp=False,
        durable=False,
        die_with_parent=True,
    )
    with server, server.connect() as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_an_unknown_version_is_named_with_the_way_on() -> None:
    with pytest.raises(StackError, match=r"no PostgreSQL 9.*BACKSTOP_PG_BIN"):
        pip_postgres_bin(9)


def test_data_of_another_major_version_is_refused_with_the_way_on(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    older = EmbeddedPostgres(server.directory, bin_dir=pip_postgres_bin(16))

    with pytest.raises(StackError, match=r"was made by PostgreSQL 18, but .* 16\.\d+ .*BACKSTOP_PG_BIN"):
        older.start()
