"""Whatever goes wrong while a backup is restored beside: the live database stays as it is."""

from __future__ import annotations

import os
import secrets
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from backstop.commands.database import load
from backstop.crypto.keyring import LocalKeyring
from backstop.errors import BackstopError, IntegrityError, KeyUnavailableError, ObjectMissingError
from backstop.model.backup import BackupLabel
from tests.faults.planting import SAMPLE, Forked, Gate, assert_nothing_left, fill, flip, in_background, rows
from tests.faults.slow_line import SlowLine
from tests.protection import Protection, protect, utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backstop.commands.database.restore import DatabaseRestore
    from backstop.model.backup import StoredObject
    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration

# What somebody has done to the live database since the backup.
LIVE = {"equipment": 300, "measurements": 7, "certificates": None}


@pytest.fixture
def restorer(postgres18: EmbeddedPostgres, database: ClusterConnection) -> ClusterConnection:
    """The restore role, not a superuser; the database and what is in it belong to a role of its own."""
    owner, name, password = (f"{kind}_{secrets.token_hex(4)}" for kind in ("owner", "restore", "secret"))
    with postgres18.connect() as session:

        def run(statement: str, *names: str) -> None:
            session.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

        run("CREATE ROLE {}", owner)
        run("ALTER DATABASE {} OWNER TO {}", database.dbname, owner)
        session.execute(
            sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(
                sql.Identifier(name), sql.Literal(password)
            )
        )
        for granted in (owner, "pg_signal_backend", "pg_read_all_stats", "pg_read_all_data"):
            run("GRANT {} TO {}", granted, name)
    with database.connect() as session:
        session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(owner)))
        session.execute("RESET search_path")
        session.execute(SAMPLE.encode())
    return replace(database, user=name, password=password)


@pytest.fixture
def protection(
    folder: Path, database: ClusterConnection, restorer: ClusterConnection
) -> Iterator[Protection]:
    """A backup taken, and a live database that was harmed since."""
    protection = protect(folder, database)
    protection.back_up()
    fill(database, "DROP TABLE certificates; DELETE FROM measurements WHERE ctid > '(0,7)'")
    yield protection
    with database.with_database("postgres").connect() as session:
        for name in databases_beside(protection):
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def restore(protection: Protection, restorer: ClusterConnection) -> DatabaseRestore:
    return protection.restore(protection.published()["local"][0], server=restorer)


def databases_beside(protection: Protection) -> list[str]:
    with protection.source.connect() as session:
        pattern = f"{protection.source.dbname}_%"
        found = session.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [pattern])
        return [name for (name,) in found]


def assert_as_before(protection: Protection) -> None:
    assert rows(protection.source) == LIVE
    assert databases_beside(protection) == []
    assert_nothing_left(protection)


def assert_says_what_to_do(error: BackstopError, restore: DatabaseRestore) -> None:
    assert error.hint
    assert str(restore.server.password) not in str(error)


def largest(protection: Protection, restore: DatabaseRestore) -> StoredObject:
    manifest = protection.repository("local").catalog.backup(BackupLabel(restore.label.text)).manifest
    return max(manifest.objects, key=lambda stored: stored.stored_bytes)


@pytest.fixture
def gate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """In front of the pg_restore that loads."""
    gate = Gate(folder / "bin", program="pg_restore", argument="--dbname=")
    real = load.pg_restore_argv
    monkeypatch.setattr(load, "pg_restore_argv", lambda *a, **k: [str(gate.path), *real(*a, **k)[1:]])
    yield gate
    gate.open()


def test_a_restore_killed_half_way_leaves_the_live_database_alone_and_the_next_one_starts_afresh(
    protection: Protection, restore: DatabaseRestore
):
    plan = restore.plan()
    with SlowLine(restore.server, after_bytes=1024 * 1024) as line:
        slow = replace(restore, server=line.connection)
        # The line stalls in this process, so it is this one that knows.
        worker = Forked(lambda: slow.restore_beside(plan))
        assert line.stalled.wait(30)
        worker.kill()
    assert databases_beside(protection) == [plan.beside]
    assert rows(protection.source) == LIVE

    restore.restore_beside(plan)

    assert restore.validate(plan)["rows"] == 300 + 2000 + 3500
    assert rows(protection.source) == LIVE
    assert databases_beside(protection) == [plan.beside]
    assert_nothing_left(protection)


@pytest.mark.parametrize("victim", ["pg_restore", "the server's sessions"])
def test_a_restore_that_breaks_off_takes_its_half_made_copy_away(
    protection: Protection, restore: DatabaseRestore, gate: Gate, victim: str
):
    plan = restore.plan()
    restoring = in_background(lambda: restore.restore_beside(plan))
    gate.await_arrival()
    assert databases_beside(protection) == [plan.beside]
    if victim == "pg_restore":
        os.kill(gate.arrivals()[0], signal.SIGKILL)
    else:
        gate.open()
        with protection.source.connect() as session:
            session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
                [restore.server.user],
            )

    with pytest.raises(BackstopError) as caught:
        restoring.result(60)

    assert_says_what_to_do(caught.value, restore)
    gate.open()
    assert rows(protection.source) == LIVE
    assert_nothing_left(protection)
    restore.restore_beside(plan)
    assert restore.validate(plan)["tables"] == 3


@pytest.mark.parametrize("damage", ["flipped", "deleted"])
def test_a_damaged_backup_is_noticed_before_anything_is_made(
    protection: Protection, restore: DatabaseRestore, damage: str
):
    plan = restore.plan()
    stored = largest(protection, restore)
    path = protection.folder / "repository" / stored.key
    if damage == "flipped":
        flip(path)
    else:
        path.unlink()

    with pytest.raises((IntegrityError, ObjectMissingError), match=stored.key) as caught:
        restore.restore_beside(plan)

    assert_says_what_to_do(caught.value, restore)
    assert_as_before(protection)


def test_without_the_right_key_not_even_a_plan_is_made(
    protection: Protection, restore: DatabaseRestore, folder: Path
):
    restore.keyring = LocalKeyring.create(folder / "other.json", utc_now())

    with pytest.raises(KeyUnavailableError, match="no key of the ring opens") as caught:
        restore.plan()

    assert_says_what_to_do(caught.value, restore)
    assert_as_before(protection)


def test_a_backup_that_does_not_restore_here_leaves_nothing_beside(
    protection: Protection, restore: DatabaseRestore, monkeypatch: pytest.MonkeyPatch
):
    plan = restore.plan()
    real = load.pg_restore_argv
    # Twice the same: the second pg_restore finds everything there already.
    monkeypatch.setattr(load, "pg_restore_argv", lambda *a, **k: twice(real(*a, **k)))

    def twice(argv: list[str]) -> list[str]:
        if not any(one.startswith("--dbname=") for one in argv):
            return argv
        return ["/bin/sh", "-c", '"$@" && "$@"', "sh", *argv]

    with pytest.raises(BackstopError, match="already exists") as caught:
        restore.restore_beside(plan)

    assert_says_what_to_do(caught.value, restore)
    assert_as_before(protection)
