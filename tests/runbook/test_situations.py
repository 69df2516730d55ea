"""Every situation of the runbook, brought about on a real machine and mended by typing what the page says."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from psycopg import sql

from embedded import databases
from tests.runbook.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.integration,
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("runbook"),
]

BACKSTOP = "python -m backstop"
RESTORE_FILES = f"{BACKSTOP} restore-files --target calibrify"
RESTORE = f"{BACKSTOP} restore-database --target calibrify"


@pytest.fixture(scope="module")
def running() -> Iterator[Machine]:
    """One for all situations: each leaves it whole, and protected."""
    root = Path(tempfile.mkdtemp(prefix="backstop-book-"))
    root.chmod(0o755)
    machine = Machine(root)
    try:
        machine.start()
        yield machine
    finally:
        machine.stop()


@pytest.fixture
def machine(running: Machine) -> Machine:
    """With a backup of each kind of what it is now, and nothing kept by the situation before."""
    for kept in running.home.protected.glob("data-*"):
        shutil.rmtree(kept)
    running.back_up()
    return running


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def count(machine: Machine, table: str) -> int:
    return int(machine.ask(f"SELECT count(*) FROM {table}"))


def test_before_the_first_command_one_sees_what_there_is(machine: Machine) -> None:
    said = machine.follow("Before the first command")

    assert machine.labels["full"] in said[-2]


def test_the_database_is_gone(machine: Machine) -> None:
    before = count(machine, "calibrations")
    machine.ask("INSERT INTO users (email, full_name, role, password_hash, created_at) "
                "VALUES ('late@calibrify.example', 'Late', 'admin', 'x', now())")  # fmt: skip
    machine.wait_until_archived()
    machine.lose_the_data_directory()
    seen: dict[str, Any] = {}

    def drop_the_database() -> None:
        seen["late"] = machine.ask("SELECT count(*) FROM users WHERE email = 'late@calibrify.example'")
        machine.ask(f"DROP DATABASE {databases.DATABASE} WITH (FORCE)", database="postgres")

    machine.follow(
        "The database is gone",
        {f"{RESTORE} --label latest-proven --dry-run": drop_the_database},
    )

    assert seen == {"late": 1}, "what was committed just before the loss"
    assert count(machine, "calibrations") == before
    assert list(machine.home.protected.glob("data-before-*")) == []


def test_a_table_was_dropped(machine: Machine) -> None:
    before = count(machine, "certificates"), count(machine, "calibrations")
    machine.ask("DROP TABLE certificates CASCADE")

    def drop_another() -> None:
        assert count(machine, "certificates") == before[0]
        machine.ask("UPDATE calibrations SET remarks = 'of the last minute' WHERE id = 1")
        machine.note_the_time()
        machine.ask("DROP TABLE calibrations CASCADE")
        machine.ask("UPDATE equipment SET notes = 'afterwards' WHERE id = 1")
        machine.wait_until_archived()

    machine.follow("A table was dropped at 14:32", {"export MOMENT": drop_another})

    assert (count(machine, "certificates"), count(machine, "calibrations")) == before
    assert machine.ask("SELECT remarks FROM calibrations WHERE id = 1") == "of the last minute"
    assert machine.ask("SELECT notes FROM equipment WHERE id = 1") == "afterwards"


def test_rows_were_changed_by_mistake(machine: Machine) -> None:
    statuses = "SELECT md5(string_agg(status, ',' ORDER BY id)) FROM equipment"
    before = machine.ask(statuses)
    seen: dict[str, Any] = {}

    def spoil() -> None:
        machine.note_the_time()
        machine.ask("UPDATE equipment SET status = 'lost'")
        machine.ask("UPDATE users SET full_name = 'afterwards' WHERE id = 1")
        machine.wait_until_archived()

    def mended_then_spoilt_again() -> None:
        seen["A"] = machine.ask(statuses)
        assert machine.ask("SELECT full_name FROM users WHERE id = 1") == "afterwards"
        machine.ask("UPDATE users SET full_name = 'before' WHERE id = 1")
        spoil()

    def gone_back() -> None:
        seen["B"] = machine.ask(statuses)
        assert machine.ask("SELECT full_name FROM users WHERE id = 1") == "before"

    machine.follow(
        "Rows were changed by mistake",
        {"export MOMENT": [spoil, mended_then_spoilt_again], "systemctl stop postgresql": gone_back},
    )

    assert seen == {"A": before, "B": before}
    assert machine.ask("SELECT full_name FROM users WHERE id = 1") == "afterwards", "undone"


def test_the_media_folder_is_gone(machine: Machine) -> None:
    before = contents(machine.home.media)
    shutil.rmtree(machine.home.media.parent)

    machine.follow("The media folder is gone")

    assert contents(machine.home.media) == before


def test_a_configuration_file_was_broken(machine: Machine) -> None:
    file = machine.home.host / "opt/calibrify/config/calibrify.yaml"
    good = file.read_bytes()
    file.write_text("broken: [")
    machine.run(f"{BACKSTOP} back-up-files --tree config")
    everything = contents(machine.home.host)
    seen: dict[str, bytes] = {}

    def lose_all() -> None:
        assert file.read_text() == "broken: [", "undone"
        shutil.rmtree(machine.home.host / "opt")
        shutil.rmtree(machine.home.host / "etc")

    machine.follow(
        "A configuration file was broken",
        {
            f"{RESTORE_FILES} --tree config --swap-back": lambda: seen.update(A=file.read_bytes()),
            f"{RESTORE_FILES} --tree config --label latest --in-place --dry-run": lose_all,
        },
    )

    assert seen["A"] == good
    now = contents(machine.home.host)
    assert {name: now[name] for name in everything if name.startswith(("opt/calibrify/config/", "etc/"))
            and ".before-" not in name}.keys() <= now.keys()  # fmt: skip
    assert file.read_text() == "broken: ["
    file.write_bytes(good)


def test_the_machine_of_the_database_server_is_gone(machine: Machine) -> None:
    before = count(machine, "calibrations")
    machine.wait_until_archived()
    machine.stack.receiver().stop()
    machine.lose_the_data_directory()
    shutil.rmtree(machine.home.repository)
    shutil.rmtree(machine.home.spool)

    machine.follow("The database server's machine is gone")

    assert count(machine, "calibrations") == before
    assert machine.newest("-full") > machine.labels["full"]


def test_s3_is_unreachable(machine: Machine) -> None:
    machine.stack.seaweedfs.stop()

    said = machine.follow(
        "S3 is unreachable",
        {f"{BACKSTOP} sync-repositories --target calibrify --dry-run": machine.stack.seaweedfs.start},
    )

    newest = said[-1].split("\n")[1]
    assert "local, s3" in newest, said[-1]


def test_the_local_repository_is_gone(machine: Machine) -> None:
    shutil.rmtree(machine.home.repository)

    said = machine.follow("The local repository is gone")

    assert "proven" in said[-1]


def test_the_key_is_disabled(machine: Machine) -> None:
    from moto.server import ThreadedMotoServer

    ring = machine.home.keyring
    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        machine.kms_endpoint = "http://{}:{}".format(*server.get_host_and_port())
        kms = boto3.client(
            "kms", endpoint_url=machine.kms_endpoint, region_name="eu-central-1",
            aws_access_key_id="x", aws_secret_access_key="x",
        )  # fmt: skip
        machine.key = kms.create_key()["KeyMetadata"]["Arn"]
        kms.schedule_key_deletion(KeyId=machine.key.rpartition("/")[2])
        kept = ring.read_bytes()
        ring.unlink()

        def ring_is_back() -> None:
            assert ring.read_bytes() == kept
            ring.unlink()

        machine.follow(
            "The key is disabled",
            {
                f"{BACKSTOP} decrypt": ring_is_back,
                f"{BACKSTOP} verify": lambda: shutil.copy(machine.safe / "keyring.json", ring),
            },
        )

        assert kms.describe_key(KeyId=machine.key)["KeyMetadata"]["KeyState"] == "Enabled"
        assert (machine.temporary / "dump" / "toc.dat").stat().st_size > 0
    finally:
        server.stop()


def test_ransomware(machine: Machine) -> None:
    media, before = contents(machine.home.media), count(machine, "calibrations")
    time.sleep(1)
    machine.note_the_time()
    for path in machine.home.media.rglob("*"):
        if path.is_file():
            path.write_bytes(b"pay")
    machine.ask("DELETE FROM certificates")
    machine.run(f"{BACKSTOP} back-up-files --tree media", f"{BACKSTOP} back-up-database")

    machine.follow("Ransomware")

    found = machine.home.recovered / "media" / str(machine.home.media)[1:]
    assert contents(found) == media
    assert (machine.home.recovered / "clean" / "PG_VERSION").exists()
    assert count(machine, "calibrations") == before
    shutil.rmtree(machine.home.recovered / "clean")
    machine.run(f"{RESTORE_FILES} --tree media --at '{machine.moment}' --in-place --yes")


def test_airflow_is_gone_too(machine: Machine) -> None:
    for name in ("airflow", databases.INVENTORY):
        machine_metadata(machine, f"DROP DATABASE {name} WITH (FORCE)")

    said = machine.follow(
        "Airflow is gone too",
        {f"{BACKSTOP} migrate-inventory": lambda: databases.prepare_metadata(machine.stack.metadata)},
    )

    assert "calibrify" in said[-1]


def machine_metadata(machine: Machine, statement: str) -> None:
    with machine.stack.metadata.connect("postgres") as session:
        session.execute(sql.SQL(statement))  # type: ignore[arg-type]


def test_backups_fail(machine: Machine) -> None:
    machine.home.repository.chmod(0o755)

    said = machine.follow("Backups fail or nothing is backed up")

    assert "-dump" in said[-2]


def test_wal_has_a_gap(machine: Machine) -> None:
    machine.stack.receiver().stop()
    machine.ask("SELECT pg_drop_replication_slot('backstop_calibrify')")
    machine.ask("UPDATE equipment SET notes = 'in nobody''s WAL' WHERE id = 2")
    machine.ask("SELECT pg_switch_wal()")
    machine.ask("CHECKPOINT")
    before = machine.newest("-full")

    said = machine.follow("WAL has a gap or the slot is lost")

    assert machine.newest("-full") > before
    assert machine.newest("-full") in said[-2]
