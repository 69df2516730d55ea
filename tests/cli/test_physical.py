"""Base backups, WAL and recovery from the command line alone, against a server of one's own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from backstop.cli.main import main
from backstop.model.lsn import Lsn, WalSegment
from backstop.repository.wal_archive import WalArchive, archived_position
from backstop.storage.posix import PosixStorage
from embedded.accounts import postgres_account
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("physical_site"), pytest.mark.timeout(180)]

CHECKOUT = Path(__file__).resolve().parents[2]
TARGET = "calibrify"
SEGMENT_BYTES = 16 * 1024**2
_SWITCH = """\
import sys
from pathlib import Path
sys.path[:0] = [{plugins!r}, {checkout!r}]
from tests.cli.test_physical import server_in
getattr(server_in(Path({folder!r})), sys.argv[1])()
"""


def server_in(folder: Path) -> EmbeddedPostgres:
    """The protected server below a folder; the same for the test and for the commands of its cut-over."""
    settings = {"summarize_wal": "on", "max_slot_wal_keep_size": "2GB", "synchronous_commit": "on"}
    return EmbeddedPostgres(
        folder / "pg", bin_dir=pip_postgres_bin(18), settings=settings, durable=False, die_with_parent=False
    )


class Site:
    """A server, its targets.yaml, and an ``archive-wal`` that a service manager would start again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = server_in(folder)
        self.targets = folder / "targets.yaml"
        self.recovered = folder / "recovered"
        self.archiver: subprocess.Popen[bytes] | None = None
        self.due_because = ""
        self.full: dict[str, Any] = {}
        self.incremental: dict[str, Any] = {}

    def prepare(self) -> None:
        self.server.start()
        self.recovered.mkdir()
        self.recovered.chmod(0o755)
        with self.server.connect() as session:
            session.execute("CREATE TABLE ledger (n int)")
        self.server.create_role("replicator", "LOGIN REPLICATION")
        script = self.folder / "switch.py"
        script.write_text(
            _SWITCH.format(plugins=str(CHECKOUT / "plugins"), checkout=str(CHECKOUT), folder=str(self.folder))
        )
        self.write_targets()
        credentials = self.folder / "connections.json"
        credentials.touch(mode=0o600)
        credentials.write_text(
            json.dumps(
                {
                    "reader": self._credential("postgres"),
                    "replicator": self._credential("replicator"),
                }
            )
        )

    def write_targets(self, **changes: Any) -> Path:
        """targets.yaml, with other words in the target ``calibrify``."""
        account = postgres_account(self.server.directory, self.server.bin_dir)
        switch = [sys.executable, str(self.folder / "switch.py")]
        target = {
            "keys": "lab",
            "database": {
                "conn_id": "reader",
                "dbname": "postgres",
                "repositories": ["near", "far"],
                "spool": str(self.folder / "spool"),
                "verify": {"isolation": "preferred"},
            },
            "cluster": {
                "conn_id": "replicator",
                "full": "0 3 * * 0",
                "incremental": "0 3 * * 1-6",
                "recovery": {
                    "directory": str(self.recovered),
                    **({"run_as": account.name} if account.uid is not None else {}),
                    "queries": [{"sql": "SELECT count(*) > 0 FROM ledger", "expect": True}],
                    "cutover": {
                        "data_directory": str(self.server.data),
                        "stop": [[*switch, "stop"]],
                        "start": [[*switch, "start"]],
                    },
                },
            },
            **changes,
        }
        path = self.targets if not changes else self.folder / "other-targets.yaml"
        keys = {
            "storage": "local",
            "path": f"{self.folder}/ring.json",
            "signing": f"{self.folder}/signing",
            "escrow": {"waived": "test"},
        }
        repositories = {name: {"type": "posix", "path": str(self.folder / name)} for name in ("near", "far")}
        document = {
            "version": 1,
            "keys": {"lab": keys},
            "repositories": repositories,
            "targets": {TARGET: {key: value for key, value in target.items() if value is not None}},
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def _credential(self, role: str) -> dict[str, Any]:
        way = self.server.connection(user=role)
        return {
            "conn_type": "postgres", "host": way.host, "port": way.port, "login": role,
            "password": way.password,
        }  # fmt: skip

    # -- The command line ----------------------------------------------------------------------------------

    def run(self, *argv: str, code: int = 0) -> Any:
        """One verb with ``--json``: its document."""
        return json.loads(self.text(*argv, "--json", code=code)[0])

    def text(self, *argv: str, code: int = 0) -> tuple[str, str]:
        """One verb: what it says on stdout and stderr, which never is a password."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            found = main(list(argv))
        said = out.getvalue() + err.getvalue()
        assert found == code, said
        assert not any(self.server.password(role) in said for role in ("postgres", "replicator"))
        return out.getvalue(), err.getvalue()

    def start_archiver(self) -> None:
        log = (self.folder / "archive-wal.log").open("ab")
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "plugins")}
        self.archiver = subprocess.Popen(
            [sys.executable, "-m", "backstop", "archive-wal", "--target", TARGET],
            env=environment, cwd="/", stderr=log, stdout=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def keep_archiving(self) -> None:
        """Wait until it is connected; it is started again when it has ended, as by a service manager."""

        def connected() -> bool:
            if self.archiver is None or self.archiver.poll() is not None:
                self.start_archiver()
            return self.confirmed() > Lsn(0)

        wait_for(connected, self.said)

    def end_archiver(self) -> int:
        """By TERM; its exit code."""
        assert self.archiver is not None
        self.archiver.terminate()
        return self.archiver.wait(60)

    def said(self) -> str:
        return (self.folder / "archive-wal.log").read_text()

    # -- The server ----------------------------------------------------------------------------------------

    def write(self, *rows: int) -> datetime:
        """Rows; the server's time when they were committed."""
        with self.server.connect() as session:
            for n in rows:
                session.execute("INSERT INTO ledger VALUES (%s)", [n])
            row = session.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        time.sleep(0.01)
        return row[0].astimezone(timezone.utc)

    def rows(self) -> list[int]:
        with self.server.connect() as session:
            return [n for (n,) in session.execute("SELECT n FROM ledger ORDER BY n").fetchall()]

    def ask(self, query: str) -> Any:
        with self.server.connect() as session:
            row = session.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]

    def timeline(self) -> int:
        return int(self.ask("SELECT timeline_id FROM pg_control_checkpoint()"))

    def position(self) -> Lsn:
        return Lsn.parse(self.ask("SELECT pg_current_wal_flush_lsn()"))

    def confirmed(self) -> Lsn:
        """What the slot's reader has told the server to be safe."""
        query = (
            "SELECT coalesce(max(flush_lsn), '0/0') FROM pg_stat_replication "
            "WHERE application_name = 'backstop_wal'"
        )
        return Lsn.parse(self.ask(query))

    def wait_until_archived(self) -> None:
        """Until everything that has been written so far is in a repository."""
        position = self.position()
        wait_for(lambda: self.confirmed() >= position, self.said)

    def archived_until(self, name: str, near: Lsn) -> Lsn:
        """The end of what a repository has, from the start of the segment of ``near`` on."""
        system_id = str(self.ask("SELECT system_identifier FROM pg_control_system()"))
        archive = WalArchive(PosixStorage(self.folder / name), TARGET, system_id)
        segment = WalSegment.containing(near, timeline=self.timeline(), size_bytes=SEGMENT_BYTES)
        return archived_position(
            archive, timeline=segment.timeline, segment_bytes=SEGMENT_BYTES, start=segment.start
        )


def wait_for(found: Callable[[], Any], why: Callable[[], str], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A protected server, whose WAL flows, with one full and one incremental base backup."""
    folder = Path(tempfile.mkdtemp(prefix="backstop-cli-"))
    folder.chmod(0o755)
    site = Site(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKSTOP_TARGETS", str(site.targets))
        patch.setenv("BACKSTOP_CREDENTIALS", str(folder / "connections.json"))
        try:
            site.prepare()
            site.text("init-keys")
            site.start_archiver()
            site.keep_archiving()
            site.write(1)
            document, site.due_because = site.text("take-base-backup", "--json")
            site.full = json.loads(document)
            site.write(2)
            site.incremental = site.run("take-base-backup", "--incremental")
            yield site
        finally:
            if site.archiver is not None:
                site.archiver.kill()
                site.archiver.wait()
            site.server.stop()
            shutil.rmtree(folder)


@pytest.fixture
def archiving(site: Site) -> Site:
    """With ``archive-wal`` at work."""
    site.keep_archiving()
    return site


def test_the_first_base_backup_that_is_due_is_a_full_one_and_the_next_builds_on_it(site: Site) -> None:
    assert "a base backup of kind full: " in site.due_because
    assert site.full["label"].endswith("-full")
    assert site.full["complete"] is True
    assert site.full["repositories"] == {"near": "completed", "far": "completed"}
    assert site.incremental["label"].endswith("-incr")
    assert site.incremental["parent"] == site.full["label"]


def test_a_full_one_is_read_from_the_servers_files_unless_it_is_to_come_over_the_network(
    archiving: Site,
) -> None:
    files = {"data_directory": str(archiving.server.data), "readers": 2}
    targets = str(archiving.write_targets(cluster={"conn_id": "replicator", "file_copy": files}))
    take = ("take-base-backup", "--full", "--targets", targets)

    _, said = archiving.text(*take, code=1)
    assert "role replicator may not execute pg_backup_start(text, boolean), pg_backup_stop(boolean)" in said
    with archiving.server.connection().child_environment(archiving.folder) as environment:
        script = CHECKOUT / "include/sql/roles/file_copy_role.sql"
        psql = [archiving.server.bin_dir / "psql", "-q", "-v", "role=replicator", "-f", script]
        subprocess.run(psql, env=environment, check=True)
    text, _ = archiving.text(*take)
    assert "read on its host" in text
    assert archiving.run(*take, "--over-network")["copied"] == "network"
    incremental = archiving.run("take-base-backup", "--incremental", "--targets", targets)

    assert archiving.full["copied"] == incremental["copied"] == "network"


def test_base_backups_are_listed_and_shown_with_what_they_build_on(site: Site) -> None:
    listed = site.run("list", "--all")["targets"][TARGET]["backups"]
    labels = [one["label"] for one in listed]
    assert {site.full["label"], site.incremental["label"]} <= set(labels)

    shown = site.run("show", "--label", site.incremental["label"])
    assert site.full["label"] in json.dumps(shown)
    text, _ = site.text("show", "--label", site.incremental["label"])
    assert site.full["label"] in text


def test_the_recovery_window_reaches_from_the_base_backup_to_now(archiving: Site) -> None:
    archiving.write(3)
    archiving.wait_until_archived()

    found = archiving.run("recovery-windows")

    assert found["problems"] == []
    window = next(one for one in found["windows"] if one["chain"] == [archiving.full["label"]])
    assert not window["gap"]
    assert window["from"] < window["to"]
    text, said = archiving.text("recovery-windows", "--from", "far")
    assert archiving.full["label"] in text
    assert "as repository far has it" in said


def test_a_base_backup_is_proven_in_the_repository_that_was_named(archiving: Site) -> None:
    proofs = archiving.run("verify", "--label", archiving.full["label"], "--repository", "near")["proofs"]

    assert [(one["repository"], one["matched"]) for one in proofs] == [("near", True)]
    listed = archiving.run("list", "--all")["targets"][TARGET]["backups"]
    states = next(one for one in listed if one["label"] == archiving.full["label"])["repositories"]
    assert states["near"]["state"] == "proven"


def test_a_dry_run_says_what_would_be_recovered_and_fetches_nothing(archiving: Site) -> None:
    archiving.wait_until_archived()

    plan = archiving.run("restore-to-point-in-time", "--to", "latest", "--dry-run")["plan"]

    assert plan["repository"] == "near"
    assert plan["chain"][0].endswith("-full")
    assert not Path(plan["destination"]).exists()
    text, _ = archiving.text("restore-to-point-in-time", "--to", "latest", "--dry-run", "--from", "far")
    assert plan["base"] in text
    assert "left alone" in text


def test_a_recovery_beside_leaves_the_live_cluster_alone(archiving: Site) -> None:
    archiving.write(4)
    archiving.wait_until_archived()
    before = archiving.rows(), archiving.timeline(), archiving.server.pid
    into = archiving.recovered / "beside"

    done = archiving.run(
        "restore-to-point-in-time", "--to", "latest", "--beside-only", "--into", str(into), "--yes"
    )

    assert done["cut_over"] is None
    assert done["recovered"]["data"] == str(into)
    assert "archive_mode = off" in (into / "postgresql.auto.conf").read_text()
    assert (archiving.rows(), archiving.timeline(), archiving.server.pid) == before


def test_a_cut_over_brings_the_rows_of_that_moment_back_and_archiving_goes_on(archiving: Site) -> None:
    moment = archiving.write(100, 101)
    before, timeline = archiving.rows(), archiving.timeline()
    with archiving.server.connect() as session:
        session.execute("DELETE FROM ledger")
        session.execute("INSERT INTO ledger VALUES (-1)")
    archiving.wait_until_archived()

    done = archiving.run("restore-to-point-in-time", "--to", moment.isoformat(), "--cut-over", "--yes")

    assert archiving.rows() == before
    assert archiving.timeline() > timeline
    assert Path(done["cut_over"]["kept"], "PG_VERSION").exists()
    assert archiving.ask("SELECT slot_name FROM pg_replication_slots") == "backstop_calibrify"
    # Without a word from anybody: the slot is there again.
    archiving.keep_archiving()
    again = archiving.run("take-base-backup", "--full")
    assert (again["complete"], again["timeline"]) == (True, archiving.timeline())
    archiving.write(102)
    archiving.wait_until_archived()
    plan = archiving.run("restore-to-point-in-time", "--to", "latest", "--dry-run")["plan"]
    assert plan["chain"] == [again["label"]]


def test_told_to_end_the_archiver_ships_what_it_has_and_ends_well(archiving: Site) -> None:
    archiving.wait_until_archived()
    archiving.write(5)
    position = archiving.position()
    sent = f"SELECT bool_or(sent_lsn >= '{position}') FROM pg_stat_replication"
    wait_for(lambda: archiving.ask(sent), archiving.said)
    time.sleep(0.2)  # received, and less than a second old: it would be shipped later

    assert archiving.end_archiver() == 0, archiving.said()

    for name in ("near", "far"):
        assert archiving.archived_until(name, position) >= position


def test_a_moment_that_has_not_come_is_refused_with_the_nearest_one(archiving: Site) -> None:
    archiving.wait_until_archived()
    tomorrow = (datetime.now(timezone.utc) + timedelta(days=1)).isoformat()

    refused = archiving.run("restore-to-point-in-time", "--to", tomorrow, "--dry-run", code=3)["error"]

    assert refused["exit_code"] == 3
    assert "nearest" in refused["message"] + refused["hint"], refused
    long_ago = archiving.run("restore-to-point-in-time", "--to", "2020-01-01T00:00:00Z", "--dry-run", code=3)
    assert "nearest" in long_ago["error"]["message"] + long_ago["error"]["hint"], long_ago


def test_a_time_without_a_zone_is_refused(site: Site) -> None:
    refused = site.run("restore-to-point-in-time", "--to", "2026-11-23 12:00:00", "--dry-run", code=2)

    assert "zone" in refused["error"]["message"] + refused["error"]["hint"]


def test_a_target_without_a_cluster_is_told_what_to_describe(site: Site) -> None:
    other = str(site.write_targets(cluster=None))

    for verb in (["take-base-backup"], ["restore-to-point-in-time", "--to", "latest", "--dry-run"]):
        refused = site.run(*verb, "--targets", other, code=2)["error"]
        assert "has no `cluster` section" in refused["message"]
        assert refused["hint"]


def test_a_target_without_a_cutover_can_only_be_recovered_beside(site: Site) -> None:
    recovery = {"directory": str(site.recovered)}
    other = str(site.write_targets(cluster={"conn_id": "replicator", "recovery": recovery}))

    refused = site.run(
        "restore-to-point-in-time", "--to", "latest", "--cut-over", "--yes", "--targets", other, code=2
    )

    assert "has no cluster.recovery.cutover" in refused["error"]["message"]
    assert list(site.recovered.glob(f"{TARGET}-*")) == []


def test_another_cluster_under_the_same_target_is_refused(
    site: Site, postgres18: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = postgres18.connection()
    stranger = {
        "conn_type": "postgres", "host": way.host, "port": way.port, "login": way.user,
        "password": way.password,
    }  # fmt: skip
    credentials = site.folder / "stranger.json"
    credentials.touch(mode=0o600)
    credentials.write_text(json.dumps({"reader": stranger, "replicator": stranger}))
    monkeypatch.setenv("BACKSTOP_CREDENTIALS", str(credentials))

    refused = site.run("take-base-backup", "--full", code=1)["error"]
    assert str(postgres18_system(postgres18)) in refused["message"]
    assert "--new-cluster" in refused["hint"]

    ended = subprocess.run(
        [sys.executable, "-m", "backstop", "archive-wal"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "plugins")},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "but the WAL in" in ended.stderr
    assert "--new-cluster" in ended.stderr


def postgres18_system(server: EmbeddedPostgres) -> int:
    with server.connect() as session:
        row = session.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
    assert row is not None
    return int(row[0])
