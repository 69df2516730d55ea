"""A base backup by file copy is what the server would have sent; whatever goes wrong publishes nothing."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.base import file_copy, file_reading
from backstop.errors import SourceError, SourceUnavailableError, StorageUnavailableError
from backstop.model.backup import BackupKind, BackupLabel
from backstop.postgres import cluster_files
from tests.commands.archiving import wait_for
from tests.commands.file_copies import (
    backup_manifest,
    by_file_copy,
    last_part,
    left_behind,
    members,
    no_backup_mode,
    opened,
    relations,
    tablespace,
)
from tests.faults.line import Line
from tests.physical import BaseBackups, combine, server_of
from tests.protection import protect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from embedded.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("file_copy"), pytest.mark.timeout(180)]

TABLE = "CREATE TABLE {0} AS SELECT n, md5(n::text) FROM generate_series(1, {1}) n"
_WITH_CHECKSUMS = {"summarize_wal": "on", "full_page_writes": "on"}


@pytest.fixture(scope="module")
def server18(servers_directory: Path) -> Iterator[EmbeddedPostgres]:
    with server_of(servers_directory / "files18", 18, **_WITH_CHECKSUMS) as server:
        with server.connect() as session:
            session.execute(TABLE.format("ledger", 50000))
        yield server


@pytest.fixture(scope="module")
def server16(servers_directory: Path) -> Iterator[EmbeddedPostgres]:
    with server_of(servers_directory / "files16", 16) as server:
        yield server


@pytest.fixture(scope="module")
def server15(servers_directory: Path) -> Iterator[EmbeddedPostgres]:
    with server_of(servers_directory / "files15", 15) as server:
        yield server


@pytest.fixture
def base(folder: Path, server18: EmbeddedPostgres) -> BaseBackups:
    return by_file_copy(BaseBackups(protect(folder, server18.connection()), server18))


@pytest.mark.parametrize("name", ["server18", "server16", pytest.param("server15", marks=pytest.mark.system)])
def test_both_ways_hold_the_same_members_in_the_same_archives(
    folder: Path, name: str, request: pytest.FixtureRequest
):
    server: EmbeddedPostgres = request.getfixturevalue(name)
    base = BaseBackups(protect(folder, server.connection()), server)
    with (
        tablespace(server, "apart") as place,
        server.connect() as session,
        relations(session, "apart"),
        left_behind(server, place),
    ):
        session.execute("CHECKPOINT")
        sent = base.take()
        read = by_file_copy(base).take()

    theirs, ours = members(base, sent), members(base, read)
    assert theirs.keys() == ours.keys()
    for archive, listed in theirs.items():
        assert ours[archive] == listed
    assert len(ours) == 2
    names = {member[0] for member in ours["base"]}
    assert {"base/1/99999_init", "backup_label.old", "pg_wal/archive_status", "mine/deeper"} <= names
    assert names.isdisjoint({"base/1/99999", "base/1/t3_16384", "postmaster.pid", "mine/link", "mine/pipe"})
    assert last_part(base, read) == ["backup_label", "global/pg_control"]
    told, ours_told = (json.loads(backup_manifest(base, report)) for report in (sent, read))
    assert list(ours_told) == list(told)
    assert sorted(one["Path"] for one in ours_told["Files"]) == sorted(one["Path"] for one in told["Files"])
    assert {tuple(one) for one in ours_told["Files"]} == {tuple(one) for one in told["Files"]}
    assert (sent.copied, read.copied) == ("network", "files")
    catalog = base.protection.repository("local").catalog
    summaries = [catalog.backup(BackupLabel(one.label)).manifest.summary for one in (sent, read)]
    assert summaries[0].keys() == summaries[1].keys()
    assert [one["copied"] for one in summaries] == ["network", "files"]
    assert "mine/link (a link or special file)" in read.not_included


@pytest.mark.parametrize("name", ["server18", pytest.param("server15", marks=pytest.mark.system)])
def test_a_copy_starts_with_every_row_of_every_tablespace_while_tables_were_rewritten(
    folder: Path, name: str, request: pytest.FixtureRequest
):
    server: EmbeddedPostgres = request.getfixturevalue(name)
    base = by_file_copy(BaseBackups(protect(folder, server.connection()), server), readers=3)
    with tablespace(server, "rows"), server.connect() as session:
        session.execute("CREATE TABLE apart TABLESPACE rows AS SELECT n FROM generate_series(1, 100000) n")
        session.execute(TABLE.format("rewritten", 100000))
        done = threading.Event()

        def rewrite() -> None:
            with server.connect() as other:
                while not done.is_set():
                    other.execute("UPDATE rewritten SET md5 = md5(md5) WHERE n % 7 = 0")
                    other.execute("VACUUM FULL rewritten")

        thread = threading.Thread(target=rewrite)
        thread.start()
        time.sleep(0.1)
        try:
            report = base.take()
        finally:
            done.set()
            thread.join()
        rows = session.execute("SELECT count(*), sum(n) FROM rewritten").fetchone()
        session.execute("DROP TABLE apart, rewritten")

    assert report.complete
    places = base.lay_out(report.label, folder / "copy" / "data")
    (folder / "copy").chmod(0o711)
    assert len(places) == 1
    copy = base.start(folder / "copy" / "data")
    copy.settings["recovery_target"] = "immediate"
    copy.settings["recovery_target_action"] = "promote"
    with copy, copy.connect() as session:
        assert session.execute("SELECT count(*) FROM apart").fetchone() == (100000,)
        assert session.execute("SELECT count(*), sum(n) FROM rewritten").fetchone() == rows


def test_links_that_nobody_can_spell_do_not_keep_a_backup_from_being_published(base: BaseBackups):
    folder = base.server.data / "mine"
    folder.mkdir(mode=0o700)
    try:
        (folder / "a\udcff\n").symlink_to("/etc/hostname")
        for number in range(30):
            (folder / f"link {number:02d}").symlink_to("/etc/hostname")
        report = base.take()
    finally:
        shutil.rmtree(folder)

    assert report.complete
    assert "mine/a\ufffd\ufffd (a link or special file)" in report.not_included
    assert report.not_included[-2:] == (
        "mine/link 18 (a link or special file)",
        "and 11 more links and special files",
    )


def test_incremental_backups_build_upon_a_copy(base: BaseBackups, folder: Path):
    full = base.take()
    with base.server.connect() as session:
        session.execute("UPDATE ledger SET md5 = 'changed' WHERE n % 10 = 1")
        rows = session.execute("SELECT count(*) FROM ledger WHERE md5 = 'changed'").fetchone()
    incremental = base.take(BackupKind.INCREMENTAL)

    assert (full.copied, incremental.copied) == ("files", "network")
    assert incremental.parent == full.label
    assert incremental.plain_bytes < full.plain_bytes / 2
    chain = [full.label, incremental.label]
    for label in chain:
        base.lay_out(label, folder / "parts" / label)
    (folder / "copy").mkdir(mode=0o711)
    combine(base.server, [folder / "parts" / label for label in chain], folder / "copy" / "data")
    with base.start(folder / "copy" / "data") as copy, copy.connect() as session:
        assert session.execute("SELECT count(*) FROM ledger WHERE md5 = 'changed'").fetchone() == rows


def test_a_file_that_shrinks_grows_or_goes_while_it_is_read_is_wal_s_to_mend(
    base: BaseBackups, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """What is read before and after has another length; the copy recovers all the same."""
    with base.server.connect() as session:
        for table in ("shrinking", "growing", "going"):
            session.execute(TABLE.format(table, 40000))
        session.execute("CHECKPOINT")
        paths = {
            table: session.execute("SELECT pg_relation_filepath(%s)", [table]).fetchone()[0]
            for table in ("shrinking", "growing", "going")
        }
    done = set()
    honest, honest_open = os.pread, os.open

    def pread(descriptor: int, size_bytes: int, offset: int) -> bytes:
        name = opened(descriptor)
        content = honest(descriptor, size_bytes, offset)
        with base.server.connect() as session:
            if name.endswith(paths["shrinking"]) and offset == 0 and "shrinking" not in done:
                done.add("shrinking")
                session.execute("DELETE FROM shrinking WHERE n > 1000")
                session.execute("VACUUM (TRUNCATE true) shrinking")
            elif name.endswith(paths["growing"]) and offset == 0 and "growing" not in done:
                done.add("growing")
                session.execute("INSERT INTO growing SELECT n, 'more' FROM generate_series(1, 40000) n")
        return content

    def open_(path: object, *further: object, **named: object) -> int:
        if str(path).endswith(paths["going"]) and "going" not in done:
            done.add("going")
            with base.server.connect() as session:
                session.execute("DROP TABLE going")
                session.execute("CHECKPOINT")
        return honest_open(path, *further, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(file_reading, "READ_BYTES", 64 * 8192)
    monkeypatch.setattr(file_reading.os, "pread", pread)
    monkeypatch.setattr(file_reading.os, "open", open_)
    report = base.take()
    monkeypatch.undo()
    with base.server.connect() as session:
        expected = [
            session.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("shrinking", "growing")
        ]
        session.execute("DROP TABLE shrinking, growing")

    assert done == {"shrinking", "growing", "going"}
    listed = {entry["Path"]: entry for entry in json.loads(backup_manifest(base, report))["Files"]}
    assert paths["going"] not in listed
    base.lay_out(report.label, folder / "copy" / "data")
    assert (folder / "copy" / "data" / paths["shrinking"]).stat().st_size == listed[paths["shrinking"]][
        "Size"
    ]
    (folder / "copy").chmod(0o711)
    copy = base.start(folder / "copy" / "data")
    copy.settings["recovery_target"] = "immediate"
    copy.settings["recovery_target_action"] = "promote"
    with copy, copy.connect() as session:
        found = [
            session.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("shrinking", "growing")
        ]
    assert found == expected


def test_a_session_that_is_lost_ends_the_copy_and_nothing_is_published(
    base: BaseBackups, monkeypatch: pytest.MonkeyPatch
):
    killed = []

    def endless(_: object, member: Any) -> Iterator[bytes]:
        if not killed:
            killed.append(True)
            with base.server.connect() as session:
                session.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'backstop:base' AND backend_type = 'client backend'"
                )
        # There is much to read yet, and nobody who asks for it to the end.
        assert member.__self__.stop.wait(60), "the copy went on without its session"
        yield b""

    monkeypatch.setattr(file_copy, "tar_blocks", endless)
    with pytest.raises(SourceUnavailableError, match="the session that held the backup was lost"):
        base.take()
    assert base.nothing_is_left()


def test_a_session_that_nothing_comes_back_from_is_given_up(
    base: BaseBackups, monkeypatch: pytest.MonkeyPatch
):
    line = Line(base.server.host, base.server.port)

    def endless(_: object, member: Any) -> Iterator[bytes]:
        line.hang()
        assert member.__self__.stop.wait(60), "the copy went on, and nobody knows whether it is one"
        yield b""

    monkeypatch.setattr(file_copy, "tar_blocks", endless)
    monkeypatch.setattr(file_copy, "_PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(file_copy, "_ASK_SECONDS", 0.2)
    try:
        with pytest.raises(SourceUnavailableError, match="has not answered for 1 s in the session"):
            base.take(cluster=replace(base.server.connection(), port=line.port))
    finally:
        line.close()
    assert base.nothing_is_left()
    wait_for("the server to notice", lambda: no_backup_mode(base.server))


def test_a_reader_that_fails_ends_the_others_with_its_own_error(
    base: BaseBackups, monkeypatch: pytest.MonkeyPatch
):
    honest = base.protection.storages["local"].upload

    def full(key: str, path: Path, **named: object) -> object:
        if "/base/" in key:
            raise StorageUnavailableError("the repository is gone")
        return honest(key, path, **named)

    monkeypatch.setattr(base.protection.storages["local"], "upload", full)
    with pytest.raises(StorageUnavailableError, match="the repository is gone"):
        base.take()
    assert base.protection.published()["local"] == []
    assert base.leftovers() == []
    wait_for("the server to notice", lambda: no_backup_mode(base.server))


@pytest.mark.parametrize("known", ["before", "while it is read"])
def test_a_file_that_may_not_be_read_is_named_with_the_user(
    base: BaseBackups, known: str, monkeypatch: pytest.MonkeyPatch
):
    # Whoever runs the tests may read everything.
    if known == "before":
        monkeypatch.setattr(cluster_files.os, "access", lambda path, _: not path.endswith("pg_hba.conf"))
        monkeypatch.setattr(file_copy, "plan_parts", lambda *_, **__: pytest.fail("something was read"))
    honest = os.open

    def refused(path: object, *further: object, **named: object) -> int:
        if str(path).endswith("pg_hba.conf"):
            raise PermissionError(13, "Permission denied", str(path))
        return honest(path, *further, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(file_reading.os, "open", refused)
    with pytest.raises(SourceError, match=r"pg_hba\.conf cannot be read by user \w+ \(uid \d+\)") as told:
        base.take()
    assert "initdb --allow-group-access" in told.value.hint
    assert base.nothing_is_left()
