"""A base backup starts on every version, and whatever goes wrong on the way publishes nothing."""

from __future__ import annotations

import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from backstop.cli.session import newest
from backstop.commands.base import backup
from backstop.commands.decrypt import decrypt_backup
from backstop.commands.progress import Silent
from backstop.commands.proof.work import Policies, unverified
from backstop.errors import (
    BackstopError,
    ConfigurationError,
    IntegrityError,
    LeaseHeldError,
    SourceError,
    SourceUnavailableError,
    StorageError,
)
from backstop.model.backup import BackupKind, BackupLabel
from backstop.operators.known import known_backups
from backstop.postgres.base_backup_stream import BackupData
from backstop.postgres.replication import ReplicationConnection
from backstop.repository.lock import Lease
from backstop.storage.posix import PosixStorage
from tests.physical import BaseBackups, combine, damaged_table, server_of
from tests.protection import protect, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from backstop.commands.wal.holds import WalNeeded
    from backstop.postgres.base_backup_stream import BackupMessage
    from embedded.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("base_backup")]

TABLE = "CREATE TABLE {0} {1} AS SELECT n, md5(n::text) FROM generate_series(1, {2}) n"


@pytest.fixture(scope="module")
def server18(servers_directory: Path) -> Iterator[EmbeddedPostgres]:
    with server_of(servers_directory / "base18", 18, summarize_wal="on") as server:
        with server.connect() as session:
            session.execute(TABLE.format("ledger", "", 50000))
        yield server


@pytest.fixture(scope="module")
def server16(servers_directory: Path) -> Iterator[EmbeddedPostgres]:
    with server_of(servers_directory / "base16", 16) as server:
        yield server


@pytest.fixture(scope="module")
def server15(servers_directory: Path) -> Iterator[EmbeddedPostgres]:
    with server_of(servers_directory / "base15", 15) as server:
        yield server


@pytest.fixture
def base(folder: Path, server18: EmbeddedPostgres) -> BaseBackups:
    return BaseBackups(protect(folder, server18.connection()), server18)


@pytest.mark.parametrize("name", ["server18", "server16", pytest.param("server15", marks=pytest.mark.system)])
def test_a_base_backup_starts_with_every_row_of_every_tablespace(
    folder: Path, name: str, request: pytest.FixtureRequest
):
    server: EmbeddedPostgres = request.getfixturevalue(name)
    base = BaseBackups(protect(folder, server.connection()), server)
    from embedded.accounts import postgres_account

    account = postgres_account(server.directory, server.bin_dir)
    with server.connect() as session:
        for number in (1, 2):
            place = server.directory / f"space{number}"
            place.mkdir(mode=0o700, exist_ok=True)
            account.own(place)
            session.execute(f"CREATE TABLESPACE space{number} LOCATION '{place}'")
            session.execute(TABLE.format(f"apart{number}", f"TABLESPACE space{number}", 100000))
        session.execute(TABLE.format("rewritten", "", 100000))

        with rewriting(server):
            report = base.take()

        rows = session.execute("SELECT count(*), sum(n) FROM rewritten").fetchone()
        session.execute("DROP TABLE apart1, apart2, rewritten")
        session.execute("DROP TABLESPACE space1")
        session.execute("DROP TABLESPACE space2")
    assert report.complete
    assert report.tablespaces == 2
    places = base.lay_out(report.label, folder / "copy" / "data")
    (folder / "copy").chmod(0o711)
    assert len(places) == 2
    manifest = base.protection.repository("local").catalog.backup(BackupLabel(report.label)).manifest
    # Each part is a tar of its own, and there are several.
    assert len([stored for stored in manifest.objects if stored.name.startswith("base/")]) > 2
    assert manifest.system_id == report.system_id
    assert manifest.summary["wal_segment_bytes"] == 16 * 1024 * 1024
    copy = base.start(folder / "copy" / "data")
    copy.settings["recovery_target"] = "immediate"
    copy.settings["recovery_target_action"] = "promote"
    with copy, copy.connect() as session:
        for table in ("apart1", "apart2"):
            assert session.execute(f"SELECT count(*) FROM {table}").fetchone() == (100000,)
        assert session.execute("SELECT count(*), sum(n) FROM rewritten").fetchone() == rows


class rewriting:
    """Files change, grow and go while the backup reads them."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._rewrite)

    def _rewrite(self) -> None:
        with self._server.connect() as session:
            while not self._done.is_set():
                session.execute("UPDATE rewritten SET md5 = md5(md5) WHERE n % 7 = 0")
                session.execute("VACUUM FULL rewritten")

    def __enter__(self) -> None:
        self._thread.start()
        time.sleep(0.1)

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def test_incremental_backups_combine_into_a_cluster_that_starts(base: BaseBackups, folder: Path):
    chain = [base.take().label]
    for number in (1, 2):
        with base.server.connect() as session:
            session.execute(f"UPDATE ledger SET md5 = 'changed {number}' WHERE n % 10 = {number}")
        chain.append(base.take(BackupKind.INCREMENTAL).label)
    with base.server.connect() as session:
        rows = session.execute("SELECT md5, count(*) FROM ledger GROUP BY 1 HAVING count(*) > 1").fetchall()

    catalog = base.protection.repository("local").catalog
    newest = catalog.backup(BackupLabel(chain[2])).manifest
    assert newest.parent == BackupLabel(chain[1])
    assert [label.text for label in newest.refers_to] == chain[:2]
    assert newest.plain_bytes < catalog.backup(BackupLabel(chain[0])).manifest.plain_bytes / 2
    for label in chain:
        base.lay_out(label, folder / "parts" / label)
    (folder / "copy").mkdir(mode=0o711)
    combine(base.server, [folder / "parts" / label for label in chain], folder / "copy" / "data")
    with base.start(folder / "copy" / "data") as copy, copy.connect() as session:
        found = session.execute("SELECT md5, count(*) FROM ledger GROUP BY 1 HAVING count(*) > 1").fetchall()
    assert sorted(found) == sorted(rows)
    assert len(rows) >= 2


def test_a_page_that_the_server_finds_damaged_is_named_and_nothing_is_published(base: BaseBackups):
    with damaged_table(base.server) as path, pytest.raises(SourceError, match=f"damaged pages.*{path}"):
        base.take()
    assert base.nothing_is_left()


def tampering(monkeypatch: pytest.MonkeyPatch, change: Callable[[int, BackupData], BackupMessage]) -> None:
    """Hand each data message, numbered, to ``change`` on its way from the server."""
    honest = ReplicationConnection.base_backup

    def base_backup(self: ReplicationConnection, **options: Any) -> Iterator[BackupMessage]:
        number = 0
        for message in honest(self, **options):
            if isinstance(message, BackupData):
                number += 1
                yield change(number, message)
            else:
                yield message

    monkeypatch.setattr(ReplicationConnection, "base_backup", base_backup)


def test_a_byte_that_flips_on_the_way_is_noticed_and_nothing_is_published(
    base: BaseBackups, monkeypatch: pytest.MonkeyPatch
):
    flipped = []

    def flip(number: int, message: BackupData) -> BackupData:
        # A whole buffer is the middle of a file, not a header.
        if number > 500 and not flipped and len(message.data) == 32768:
            flipped.append(number)
            changed = bytearray(message.data)
            changed[16000] ^= 1
            return BackupData(memoryview(bytes(changed)))
        return message

    tampering(monkeypatch, flip)
    with pytest.raises(IntegrityError, match=r"arrived with other bytes \(CRC-32C\)"):
        base.take()
    assert flipped
    assert base.nothing_is_left()


def test_a_connection_killed_half_way_publishes_nothing_and_leaves_nothing(
    base: BaseBackups, monkeypatch: pytest.MonkeyPatch
):
    def kill(number: int, message: BackupData) -> BackupData:
        if number == 500:
            with base.server.connect() as session:
                session.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'"
                )
            time.sleep(0.2)
        return message

    tampering(monkeypatch, kill)
    with pytest.raises(SourceUnavailableError):
        base.take()
    assert base.nothing_is_left()


def test_another_cluster_under_the_same_target_is_refused_until_it_is_allowed(
    base: BaseBackups, server16: EmbeddedPostgres
):
    first = base.take()
    other = BaseBackups(base.protection, server16)

    with pytest.raises(SourceError, match=f"{first.label} .* is of cluster {first.system_id}") as refused:
        other.take()
    with server16.connect() as session:
        (system_id,) = session.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone()
    assert f"allow system identifier {system_id}" in refused.value.hint

    assert other.take(settings=replace(other.settings, allow_system_id=system_id)).complete
    with pytest.raises(SourceError, match=f"is of cluster {system_id}"):
        base.take()


def promote(server: EmbeddedPostgres) -> None:
    with server.connect() as session:
        while session.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() != ("paused",):
            time.sleep(0.05)
        session.execute("SELECT pg_promote()")


def test_after_each_recovery_to_an_earlier_position_dumps_and_base_backups_are_taken_at_once(
    base: BaseBackups, folder: Path
):
    full, behind = base.take(), base.server
    with ExitStack() as stack:
        for timeline in (2, 3):
            with behind.connect() as session:
                # Pages for the checkpoint after the promotion to write, which takes its time: until then
                # pg_control knows nothing of the new timeline.
                session.execute(TABLE.format(f"replayed{timeline}", "", 20000))
                (point,) = session.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
                session.execute(TABLE.format(f"further{timeline}", "", 20000))
            base.protection.back_up(source=behind.connection())
            earlier = BaseBackups(base.protection, behind)
            data = folder / f"timeline{timeline}" / "data"
            earlier.lay_out(full.label, data)
            data.parent.chmod(0o711)
            recovered = earlier.start(data)
            recovered.settings |= {"recovery_target_lsn": point, "hot_standby": "on"}
            stack.enter_context(recovered)
            promote(recovered)

            dump = base.protection.back_up(source=recovered.connection())
            full, behind = base.take(cluster=recovered.connection()), recovered

            found = [
                base.protection.repository("local").catalog.backup(BackupLabel(one.label)).manifest
                for one in (dump, full)
            ]
            assert [one.timeline for one in found] == [timeline, timeline]
        with pytest.raises(SourceError, match="this server of the same system identifier has only come to"):
            base.protection.back_up(source=base.server.connection())
        with pytest.raises(SourceError, match="it is a copy of that one, or was put back"):
            base.take()


def test_a_dump_that_is_published_while_the_lease_is_taken_does_not_make_the_server_a_copy(
    base: BaseBackups, monkeypatch: pytest.MonkeyPatch
):
    """A repository that is slow to answer keeps a base backup from starting for minutes."""
    honest = backup.acquire_in

    def slow(*given: Any, **named: Any) -> Any:
        with base.server.connect() as session:
            session.execute(TABLE.format("meanwhile", "", 1000))
            session.execute("DROP TABLE meanwhile")
        base.protection.back_up(source=base.server.connection())
        return honest(*given, **named)

    monkeypatch.setattr(backup, "acquire_in", slow)
    assert base.take().complete


def test_a_copy_whose_wal_the_archive_does_not_get_is_not_published(base: BaseBackups):
    asked = []

    def never(repository: Any, needed: WalNeeded) -> bool:
        asked.append((repository.name, needed.timeline))
        return False

    impatient = replace(base.settings, wal_timeout=timedelta(seconds=1))
    with pytest.raises(StorageError, match="WAL archiving does not keep up"):
        base.take(wal_holds=never, settings=impatient)
    assert len(asked) >= 2
    assert asked[0] == ("local", 1)
    assert base.nothing_is_left()


def test_only_a_repository_whose_archive_holds_the_wal_gets_the_backup(base: BaseBackups, folder: Path):
    base.protection.storages["slow"] = PosixStorage(folder / "slow")
    impatient = replace(base.settings, wal_timeout=timedelta(seconds=1))

    report = base.take(wal_holds=lambda repository, *_: repository.name == "local", settings=impatient)

    assert report.repositories["local"] == "completed"
    assert "repository slow does not hold the WAL" in report.repositories["slow"]
    assert base.protection.published() == {"local": [report.label], "slow": []}
    assert list(base.protection.storages["slow"].list("calibrify/data/")) == []


def test_an_incremental_backup_needs_its_parent_in_every_repository(base: BaseBackups, folder: Path):
    with pytest.raises(SourceError, match="no base backup of cluster") as refused:
        base.take(BackupKind.INCREMENTAL)
    assert "take a full base backup" in refused.value.hint

    base.take()
    base.protection.storages["second"] = PosixStorage(folder / "second")
    with pytest.raises(SourceError, match="is in all of: local, second"):
        base.take(BackupKind.INCREMENTAL)


def test_an_incremental_backup_of_a_server_that_cannot_is_refused(
    base: BaseBackups, server16: EmbeddedPostgres
):
    with pytest.raises(SourceError, match="PostgreSQL 16; incremental base backups need 17"):
        BaseBackups(base.protection, server16).take(BackupKind.INCREMENTAL)

    base.take()
    with base.server.connect() as session:
        session.execute("ALTER SYSTEM SET summarize_wal = off")
    base.server.stop()
    base.server.settings["summarize_wal"] = "off"
    base.server.start()
    try:
        with pytest.raises(SourceError, match="does not summarize its WAL") as refused:
            base.take(BackupKind.INCREMENTAL)
        assert "summarize_wal = on" in refused.value.hint
    finally:
        base.server.stop()
        base.server.settings["summarize_wal"] = "on"
        base.server.start()


def test_two_base_backups_of_a_target_exclude_each_other(base: BaseBackups):
    storage = base.protection.storages["local"]
    with (
        Lease.acquire(storage, "calibrify", "base", holder="somebody", clock=utc_now),
        pytest.raises(LeaseHeldError, match="somebody"),
    ):
        base.take()


def test_a_role_that_may_not_replicate_is_told_what_it_lacks(base: BaseBackups):
    base.server.create_role("reader", "LOGIN NOREPLICATION")
    with pytest.raises(SourceError) as refused:
        base.take(cluster=base.server.connection(user="reader"))
    assert "REPLICATION attribute" in refused.value.hint
    with suppress(psycopg.Error), base.server.connect() as session:
        session.execute("DROP ROLE reader")


def test_progress_is_the_servers_own(base: BaseBackups):
    class Watching:
        phases: list[tuple[str, int | None]] = []  # noqa: RUF012
        done_bytes = 0

        def phase(self, name: str, *, total_bytes: int | None = None) -> None:
            self.phases.append((name, total_bytes))

        def advance(self, done_bytes: int) -> None:
            self.done_bytes += done_bytes

    watching = Watching()
    report = base.take(progress=watching)

    assert [name for name, _ in watching.phases] == ["copy", "upload"]
    assert watching.phases[0][1] == pytest.approx(report.plain_bytes, rel=0.2)
    assert watching.done_bytes == pytest.approx(report.plain_bytes, rel=0.2)


def test_an_encoder_that_fails_ends_the_copy_with_its_own_error(
    base: BaseBackups, monkeypatch: pytest.MonkeyPatch
):
    from backstop.commands.base import copy as base_copy

    def broken(*_: object) -> None:
        raise BackstopError("the key service is gone")

    monkeypatch.setattr(base_copy, "encode_parts", broken)
    with pytest.raises(BackstopError, match="the key service is gone"):
        base.take()
    assert base.nothing_is_left()


def test_a_base_backup_is_never_taken_for_a_dump(base: BaseBackups, folder: Path):
    dump = base.protection.back_up().label
    label = base.take().label
    repository = base.protection.repository("local")

    assert [found.label.text for found in unverified([repository], Policies(dumps="each"))] == [dump]
    assert newest(repository, proven=False).text == label
    assert newest(repository, proven=False, dumps=True).text == dump
    assert [known.label for known in known_backups([repository]).backups] == [dump]
    with pytest.raises(ConfigurationError, match=f"{label} of calibrify is no dump"):
        base.protection.prove(label)
    with pytest.raises(ConfigurationError, match=f"{label} of calibrify is no dump"):
        base.protection.restore(label, server=base.server.connection()).plan()


def test_decrypting_a_base_backup_gives_tar_files_and_the_servers_list(
    folder: Path, server16: EmbeddedPostgres
):
    # The pg_verifybackup 18 that pip brings crashes, on pg_basebackup's own backups too.
    base = BaseBackups(protect(folder, server16.connection()), server16)
    label = base.take().label
    done = decrypt_backup(
        base.protection.repository("local"),
        BackupLabel(label),
        keyring=base.protection.keyring,
        destination=folder / "plain",
        jobs=2,
        clock=utc_now,
        progress=Silent(),
    )
    assert {"base-000001.tar", "base-000002.tar", "backup_manifest"} <= set(done.files)
    (folder / "data").mkdir()
    for part in sorted((folder / "plain").glob("base-*.tar")):
        subprocess.run(["tar", "-xf", part, "-C", folder / "data"], check=True)
    (folder / "plain" / "backup_manifest").rename(folder / "data" / "backup_manifest")
    verified = subprocess.run(
        [base.server.bin_dir / "pg_verifybackup", "--no-parse-wal", folder / "data"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "successfully verified" in verified.stdout
