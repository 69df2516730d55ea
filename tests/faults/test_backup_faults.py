"""Whatever goes wrong while a database is backed up: nothing half is published, nothing is left behind."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.database.dump import ATTEMPTS
from backstop.crypto.keyring import LocalKeyring
from backstop.errors import (
    KeyUnavailableError,
    LeaseHeldError,
    SourceBusyError,
    SourceError,
    ToolError,
)
from backstop.postgres import tools
from embedded.postgres import pip_postgres_bin
from tests.faults.planting import (
    Application,
    Forked,
    Gate,
    assert_nothing_left,
    exclusive_lock,
    fill,
    in_background,
    payload,
    programs,
    rows,
    seconds_of,
)
from tests.faults.s3_proxy import wait_until
from tests.faults.slow_line import SlowLine
from tests.protection import Protection, protect, utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backstop.model.backup import Manifest
    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration

ALL = {"equipment": 300, "measurements": 2000, "certificates": 3500}
# What the application may wait for us. See design, invariant "backing up never harms the source".
# The promise is one second; a loaded machine gets two more.
LONGEST_WAIT_SECONDS = 3.0


@pytest.fixture
def protection(folder: Path, database: ClusterConnection) -> Protection:
    fill(database)
    return protect(folder, database)


@pytest.fixture
def gate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(folder / "bin")
    monkeypatch.setenv("BACKSTOP_PG_BIN", str(gate.bin_dir))
    yield gate
    gate.open()


def no_pause(_: float) -> None:
    """Between attempts: tests are not patient."""


def assert_nothing_published(protection: Protection) -> None:
    for name in protection.storages:
        assert protection.published()[name] == []
        assert payload(protection, name) == []
    assert_nothing_left(protection)
    assert rows(protection.source) == ALL


# -- Programs that die -----------------------------------------------------------------------------------


@pytest.mark.parametrize("victim", ["pg_dump", "one of its workers"])
def test_a_pg_dump_killed_half_way_publishes_nothing(protection: Protection, victim: str):
    with SlowLine(protection.source, after_bytes=1024 * 1024) as line:
        backup = in_background(lambda: protection.back_up(source=line.connection))
        assert line.stalled.wait(30)
        leaders = [process for process in programs("pg_dump") if process.parent() not in programs("pg_dump")]
        workers = [process for process in programs("pg_dump") if process not in leaders]
        killed = leaders[0] if victim == "pg_dump" else workers[0]
        os.kill(killed.pid, signal.SIGKILL)
        with pytest.raises(ToolError, match="pg_dump") as caught:
            backup.result(60)

    assert caught.value.hint
    assert protection.source.password not in str(caught.value)
    assert_nothing_published(protection)


def test_a_server_that_goes_away_half_way_is_named_and_nothing_is_published(protection: Protection):
    with SlowLine(protection.source, after_bytes=1024 * 1024) as line:
        backup = in_background(lambda: protection.back_up(source=line.connection))
        assert line.stalled.wait(30)
        with protection.source.connect(application_name="fail-over") as session:
            session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with pytest.raises((SourceError, ToolError)) as caught:
            backup.result(60)

    assert caught.value.hint
    assert_nothing_published(protection)


def test_a_worker_killed_between_payload_and_manifest_publishes_nothing_and_the_next_run_cleans_up(
    protection: Protection,
):
    class DiesInsteadOfSigning:
        def sign(self, document: Manifest) -> Manifest:
            os.kill(os.getpid(), signal.SIGKILL)
            return document

    worker = Forked(lambda: protection.back_up(signer=DiesInsteadOfSigning()))
    assert worker.wait() == -signal.SIGKILL
    assert payload(protection) != []
    assert protection.published() == {"local": []}

    # Nobody can know that it died, so the next one is told until when it has to wait.
    with pytest.raises(LeaseHeldError, match="free at 20") as caught:
        protection.back_up()
    assert str(worker.pid) in str(caught.value)
    assert_nothing_left(protection)

    later = replace_clock(protection, timedelta(minutes=4))
    report = later.back_up()

    assert later.published() == {"local": [report.label]}
    assert later.prove(report.label).matched
    assert_nothing_left(later)


def replace_clock(protection: Protection, ahead: timedelta) -> Protection:
    """The same, so much later."""
    protection.clock = lambda: utc_now() + ahead
    return protection


def test_a_worker_killed_in_the_middle_of_the_dump_leaves_no_program_and_no_lock_behind(
    protection: Protection,
):
    with SlowLine(protection.source, after_bytes=1024 * 1024) as line:
        worker = Forked(lambda: protection.back_up(source=line.connection))
        assert line.stalled.wait(30)
        # pg_dump's own workers hold locks, and would not notice before they had read their table.
        worker.kill()

    assert seconds_of(protection.source, exclusive_lock("certificates")) < LONGEST_WAIT_SECONDS
    report = replace_clock(protection, timedelta(minutes=4)).back_up()
    assert protection.published() == {"local": [report.label]}
    assert_nothing_left(protection)


# -- The application comes first -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DROP TABLE public.measurements", {**ALL, "measurements": None}),
        ("TRUNCATE public.measurements", {**ALL, "measurements": 0}),
        ("ALTER TABLE public.measurements ADD COLUMN note text", ALL),
    ],
)
def test_a_schema_change_during_the_dump_waits_less_than_a_second_and_the_backup_starts_again(
    protection: Protection, gate: Gate, statement: str, expected: dict[str, int | None]
):
    backup = in_background(lambda: protection.back_up(pause=no_pause))
    gate.await_arrival()
    with Application(protection.source, "SELECT count(*) FROM public.measurements WHERE false") as queued:
        if "DROP" in statement:
            queued.stop()
        waited = seconds_of(protection.source, statement)
        gate.open()
    report = backup.result(60)

    assert waited < LONGEST_WAIT_SECONDS
    assert queued.longest_seconds < LONGEST_WAIT_SECONDS
    assert report.yielded >= 1
    assert rows(protection.source) == expected
    proof = protection.prove(report.label)
    assert proof.differences == ()
    assert report.rows == sum(count or 0 for count in expected.values())
    assert_nothing_left(protection)


def test_a_backup_that_is_never_let_through_gives_up_names_the_table_and_publishes_nothing(
    protection: Protection, gate: Gate
):
    longest = 0.0
    backup = in_background(lambda: protection.back_up(pause=no_pause))
    for attempt in range(ATTEMPTS):
        gate.await_arrival(attempt + 1)
        longest = max(longest, seconds_of(protection.source, exclusive_lock("measurements")))
    with pytest.raises(SourceBusyError, match=r"public\.measurements") as caught:
        backup.result(60)

    assert longest < LONGEST_WAIT_SECONDS
    assert caught.value.retryable
    assert caught.value.hint
    assert_nothing_published(protection)


def test_a_table_that_somebody_else_holds_locked_is_waited_for_without_anybody_queueing_behind_us(
    protection: Protection,
):
    with protection.source.connect(autocommit=False, application_name="migration") as migration:
        migration.execute("LOCK TABLE public.measurements IN ACCESS EXCLUSIVE MODE")
        backup = in_background(lambda: protection.back_up(pause=no_pause))
        with Application(protection.source, "SELECT count(*) FROM public.equipment") as others:
            wait_until(lambda: others.answers > 20)
            migration.rollback()
            report = backup.result(60)

    assert others.longest_seconds < LONGEST_WAIT_SECONDS
    assert report.rows == sum(ALL.values())


def test_a_snapshot_is_not_held_for_longer_than_is_allowed(protection: Protection, gate: Gate):
    short = replace(protection.dump, snapshot_max=timedelta(seconds=0.5))

    with pytest.raises(SourceError, match=r"held for .*, the most allowed") as caught:
        protection.back_up(settings=short)

    assert "snapshot_max" in caught.value.hint
    assert_nothing_published(protection)


# -- Refused before anything is written ------------------------------------------------------------------


def assert_untouched(protection: Protection) -> None:
    assert not (protection.folder / "repository").exists()
    assert_nothing_left(protection)


def test_a_client_older_than_the_server_is_refused_before_anything_is_written(
    protection: Protection, monkeypatch: pytest.MonkeyPatch
):
    # This machine as it would be with clients of version 16 alone, by whatever way they are found.
    monkeypatch.setattr(tools, "_candidates", lambda *_: iter([pip_postgres_bin(16)]))

    with pytest.raises(ToolError, match="pg_dump 16 is older than server 18") as caught:
        protection.back_up()

    assert "postgresql-client-18" in caught.value.hint
    assert_untouched(protection)


def test_an_older_client_named_in_the_environment_is_not_taken(
    protection: Protection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BACKSTOP_PG_BIN", str(pip_postgres_bin(16)))

    report = protection.back_up()

    manifest = protection.repository("local").catalog.backups().backups[0].manifest
    assert manifest.label.text == report.label
    assert manifest.tools["pg_dump"].startswith("18.")


@pytest.mark.parametrize("problem", ["missing", "readable for others", "damaged"])
def test_without_a_usable_key_ring_nothing_is_written(protection: Protection, problem: str):
    path = protection.keys / "keyring.json"
    if problem == "missing":
        path.unlink()
    elif problem == "damaged":
        path.write_text("{}")
    else:
        path.chmod(0o644)

    with pytest.raises(KeyUnavailableError, match=r"keyring\.json") as caught:
        protection.back_up(keyring=LocalKeyring.load(path))

    assert caught.value.hint
    assert_untouched(protection)


def test_a_key_ring_that_stops_working_is_noticed_before_anything_is_written(protection: Protection):
    class Dead:
        """A ring without a key that wraps, as after an import that went wrong."""

        key_ids = ()

        def encryption_keys(self) -> list[Any]:
            return []

        check = LocalKeyring.check

    with pytest.raises(KeyUnavailableError, match="key ring cannot be used") as caught:
        protection.back_up(keyring=Dead())

    assert caught.value.hint
    assert_untouched(protection)


# -- One writer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["thread", "process"])
def test_of_two_backups_at_once_one_runs_and_the_other_is_told_who_runs(
    protection: Protection, gate: Gate, where: str
):
    def second() -> None:
        with pytest.raises(LeaseHeldError, match="are being written by first") as caught:
            protection.back_up(holder="second")
        assert "wait until it has finished" in caught.value.hint

    first = in_background(lambda: protection.back_up(holder="first"))
    gate.await_arrival()
    if where == "thread":
        second()
    else:
        assert Forked(second).wait() == 0
    gate.open()
    report = first.result(60)

    assert protection.published() == {"local": [report.label]}
    assert len(gate.arrivals()) == 1
    assert_nothing_left(protection)


# -- Odd sources -----------------------------------------------------------------------------------------


def test_an_empty_database_is_backed_up_and_proven(folder: Path, database: ClusterConnection):
    protection = protect(folder, database)

    report = protection.back_up()

    assert (report.tables, report.rows) == (0, 0)
    assert protection.prove(report.label).matched


def test_another_cluster_under_the_same_target_is_refused_until_it_is_allowed_by_name(
    protection: Protection, postgres16: EmbeddedPostgres, new_database: Any
):
    first = protection.back_up()
    other = new_database(postgres16)
    fill(other)
    with postgres16.connect() as session:
        (ours,) = session.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone()
    allowed = replace(protection.dump, new_cluster=ours, new_database=other.dbname)

    with pytest.raises(
        SourceError, match=f"{first.label} .* is of cluster [0-9]+, and this server is"
    ) as refused:
        protection.back_up(source=other)
    assert f"--new-cluster {ours}" in refused.value.hint
    assert protection.published() == {"local": [first.label]}

    second = protection.back_up(source=other, settings=allowed)
    assert protection.published() == {"local": [first.label, second.label]}
    # From now on the former one is the stranger.
    with pytest.raises(SourceError, match=f"{second.label} .* is of cluster {ours}, and this server is"):
        protection.back_up()


def test_another_database_of_the_same_cluster_under_the_same_target_is_refused_until_it_is_allowed_by_name(
    protection: Protection, postgres18: EmbeddedPostgres, new_database: Any
):
    first = protection.back_up()
    other = new_database(postgres18)
    fill(other)

    with pytest.raises(
        SourceError, match=f"{first.label} .* is of database '{protection.source.dbname}'"
    ) as refused:
        protection.back_up(source=other)
    assert f"--new-database {other.dbname}" in refused.value.hint
    assert protection.published() == {"local": [first.label]}

    assert protection.back_up(source=other, settings=replace(protection.dump, new_database=other.dbname))


def test_two_targets_of_the_same_names_in_one_repository_do_not_mix(
    folder: Path, postgres18: EmbeddedPostgres, new_database: Any
):
    here, there = new_database(postgres18), new_database(postgres18)
    fill(here)
    fill(there, "CREATE TABLE equipment (id int); INSERT INTO equipment VALUES (1);")
    one = protect(folder, here)
    two = replace_target(one, there, "calibrify-2")
    moment = utc_now()
    one.clock = two.clock = lambda: moment  # the same label, too

    first, second = one.back_up(), two.back_up()

    assert first.label == second.label
    assert one.published() == two.published() == {"local": [first.label]}
    assert (first.rows, second.rows) == (sum(ALL.values()), 1)
    assert two.prove(second.label).checks["rows"] == 1
    assert {key.split("/")[0] for key in payload(one)} == {"calibrify"}


def replace_target(protection: Protection, source: ClusterConnection, target: str) -> Protection:
    """Another target in the same repository under the same keys."""
    other = object.__new__(Protection)
    other.__dict__.update(protection.__dict__)
    other.source, other.target = source, target
    return other
