"""Where a server's settings differ from backup.conf is named, with what it means and what it takes."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from backstop.errors import ConfigurationError, SourceError
from backstop.postgres.server_settings import WantedSetting, backup_conf, read_wanted, server_drift

if TYPE_CHECKING:
    from embedded.postgres import EmbeddedPostgres


@pytest.fixture(params=["postgres18", "postgres16"])
def server(request: pytest.FixtureRequest) -> EmbeddedPostgres:
    return request.getfixturevalue(request.param)


def drift(server: EmbeddedPostgres, **wanted: str):
    with server.connect() as session:
        settings = [WantedSetting(name, value) for name, value in wanted.items()]
        return {one.name: one for one in server_drift(session, settings)}


def test_every_setting_is_explained_with_its_section_and_what_happens_without():
    text = backup_conf().read_text(encoding="utf-8")

    paragraphs = [
        block for block in text.split("\n\n") if re.search(r"^(#: |#)?[a-z_]+ = ", block, re.MULTILINE)
    ]
    assert len(paragraphs) == 16
    for block in paragraphs:
        assert re.search(r"\[[^\]]+\]", block), block
        assert re.search(
            r"(?i)without|too few|too little|off,|with the default|none free|less makes|minimal|plain", block
        )


def test_the_file_asks_for_what_is_checked():
    names = [one.name for one in read_wanted(backup_conf())]

    assert names == [
        "wal_level", "max_wal_senders", "max_replication_slots", "max_slot_wal_keep_size", "wal_keep_size",
        "summarize_wal", "full_page_writes", "wal_compression", "data_checksums", "maintenance_work_mem",
        "max_wal_size", "checkpoint_completion_target",
    ]  # fmt: skip


@pytest.mark.integration
def test_a_server_understands_every_line_of_the_file(server: EmbeddedPostgres):
    """pg_file_settings reads the files as they are, without a reload."""
    copy = server.data / "backup.conf"
    main = server.data / "postgresql.conf"
    before = main.read_bytes()
    shutil.copyfile(backup_conf(), copy)
    copy.chmod(0o644)
    try:
        with main.open("ab") as stream:
            stream.write(b"\ninclude = 'backup.conf'\n")
        with server.connect() as session:
            lines = session.execute(
                "SELECT name, error FROM pg_file_settings WHERE sourcefile LIKE '%/backup.conf'"
            ).fetchall()
    finally:
        main.write_bytes(before)
        copy.unlink()

    assert len(lines) == 10
    # A change that takes a restart is no mistake of the file.
    assert {error for _, error in lines} <= {None, "setting could not be applied"}


@pytest.mark.integration
def test_a_setting_that_differs_is_one_sentence(server: EmbeddedPostgres):
    found = drift(server, max_wal_size="1MB", max_slot_wal_keep_size="16GB", max_wal_senders="500")

    assert found.keys() == {"max_slot_wal_keep_size", "max_wal_senders"}
    assert found["max_slot_wal_keep_size"].sentence == (
        "max_slot_wal_keep_size is -1, wanted 16GB: it decides whether an absent receiver costs its slot or "
        "the server's disk (takes a reload)"
    )
    assert found["max_wal_senders"].takes == "restart"
    assert found["max_wal_senders"].found == "10"


@pytest.mark.integration
def test_the_same_size_in_another_unit_is_no_drift(server: EmbeddedPostgres):
    with server.connect() as session:
        (kilobytes,) = session.execute(
            "SELECT setting::int FROM pg_settings WHERE name = 'work_mem'"
        ).fetchone()
        (pages,) = session.execute(
            "SELECT setting::int FROM pg_settings WHERE name = 'shared_buffers'"
        ).fetchone()

    assert (
        drift(
            server,
            work_mem=f"{kilobytes}kB",
            shared_buffers=f"{pages * 8}kB",
            checkpoint_timeout="5min",
            checkpoint_completion_target="0.90",
            wal_writer_delay="0.2s",
        )
        == {}
    )
    assert drift(server, checkpoint_timeout="300") == {}
    assert drift(server, checkpoint_timeout="600s")["checkpoint_timeout"].found == "5min"


@pytest.mark.integration
def test_what_is_as_good_or_more_is_no_drift(server: EmbeddedPostgres):
    assert drift(server, wal_level="replica", max_wal_senders="2", autovacuum="true") == {}
    assert drift(server, wal_level="minimal").keys() == {"wal_level"}
    assert drift(server, autovacuum="off").keys() == {"autovacuum"}


@pytest.mark.integration
def test_a_setting_that_the_version_lacks_is_passed_over(
    postgres18: EmbeddedPostgres, postgres16: EmbeddedPostgres
):
    assert drift(postgres16, summarize_wal="on") == {}
    assert (
        "every base backup is a full one" in drift(postgres18, summarize_wal="on")["summarize_wal"].sentence
    )


@pytest.mark.integration
def test_what_initdb_decides_says_so(server: EmbeddedPostgres):
    with server.connect() as session:
        (now,) = session.execute("SHOW data_checksums").fetchone()
    found = drift(server, data_checksums="off" if now == "on" else "on")

    assert "cannot be set in a file" in found["data_checksums"].sentence


@pytest.mark.integration
def test_a_change_that_waits_for_a_restart_is_told_apart(server: EmbeddedPostgres, tmp_path):
    main = server.data / "postgresql.conf"
    before = main.read_bytes()
    try:
        with main.open("ab") as stream:
            stream.write(b"\nmax_files_per_process = 900\n")
        with server.connect() as session:
            session.execute("SELECT pg_reload_conf()")
            for _ in range(100):
                if session.execute(
                    "SELECT pending_restart FROM pg_settings WHERE name = 'max_files_per_process'"
                ).fetchone() == (True,):
                    break
                session.execute("SELECT pg_sleep(0.05)")
        found = drift(server, max_files_per_process="900")
    finally:
        main.write_bytes(before)
        with server.connect() as session:
            session.execute("SELECT pg_reload_conf()")

    assert found["max_files_per_process"].sentence.endswith("(changed already, and waits for a restart)")


def test_a_line_that_is_no_setting_is_named_with_its_number(tmp_path):
    file = tmp_path / "own.conf"
    file.write_text("wal_level = replica\nmax_wal_size 4GB # as PostgreSQL takes it\nnonsense\n")

    with pytest.raises(ConfigurationError, match="line 3"):
        read_wanted(file)


def test_a_value_that_postgresql_would_refuse_is_refused():
    from backstop.postgres.server_settings import _as_wanted

    with pytest.raises(ConfigurationError, match="max_wal_size"):
        _as_wanted(WantedSetting("max_wal_size", "4 gigs"), "1024", "MB", "integer")


def test_a_server_that_is_too_old_is_refused():
    class Info:
        server_version = 140010

    class Session:
        info = Info()

    with pytest.raises(SourceError, match="PostgreSQL 14"):
        server_drift(Session(), [])  # type: ignore[arg-type]
