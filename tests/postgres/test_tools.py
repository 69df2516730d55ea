from __future__ import annotations

import os
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from backstop.errors import ToolError
from backstop.postgres import tools as tools_module
from backstop.postgres.tools import PostgresTools, pg_dump_argv, pg_dumpall_argv, pg_restore_argv


def install(
    directory: Path, version: str, programs: tuple[str, ...] = ("pg_dump", "pg_dumpall", "pg_restore")
):
    """Programs that tell this version: stand-ins for installations that no test machine has."""
    directory.mkdir(parents=True)
    for program in programs:
        path = directory / program
        path.write_text(f"#!/bin/sh\necho '{program} (PostgreSQL) {version} (Debian 1)'\n")
        path.chmod(0o755)
    return directory


@pytest.fixture
def bare(monkeypatch):
    """A machine without any PostgreSQL."""
    monkeypatch.setattr(tools_module, "_candidates", lambda major, extra_dirs: iter(extra_dirs))
    monkeypatch.delenv("BACKSTOP_PG_BIN", raising=False)


def test_a_client_older_than_the_server_is_refused_with_both_versions_and_the_package(bare, tmp_path):
    fifteen = install(tmp_path / "15", "15.18")

    with pytest.raises(ToolError, match="pg_dump 15 is older than server 18") as caught:
        PostgresTools.find(18, [fifteen])

    assert "postgresql-client-18" in caught.value.hint


def test_the_same_version_is_preferred_to_a_newer_one(bare, tmp_path):
    directories = [install(tmp_path / name, name) for name in ("17.2", "18.0", "16.4")]

    assert PostgresTools.find(16, directories).version == "16.4"
    assert PostgresTools.find(17, directories).version == "17.2"


def test_the_nearest_newer_version_serves_where_the_same_is_missing(bare, tmp_path):
    directories = [install(tmp_path / name, name) for name in ("18.0", "17.2", "15.1")]

    assert PostgresTools.find(16, directories).major == 17


def test_a_named_directory_wins_among_equals(bare, tmp_path, monkeypatch):
    first, named = install(tmp_path / "a", "18.1"), install(tmp_path / "b", "18.0")
    monkeypatch.setenv("BACKSTOP_PG_BIN", str(named))

    assert PostgresTools.find(18, [first, named]).bin_dir == named


def test_a_scratch_server_has_exactly_the_sources_version(bare, tmp_path):
    programs = ("pg_dump", "pg_dumpall", "pg_restore", "initdb", "postgres")
    newer = install(tmp_path / "18", "18.1", programs)
    clients_only = install(tmp_path / "16", "16.4")

    with pytest.raises(ToolError, match="no postgres 16 on this machine") as caught:
        PostgresTools.find(16, [newer, clients_only], server=True)

    assert "install postgresql-16" in caught.value.hint
    assert PostgresTools.find(18, [newer], server=True).major == 18


def test_a_machine_without_any_client_says_which_to_install(bare):
    with pytest.raises(ToolError, match="no pg_dump 18 on this machine"):
        PostgresTools.find(18)


def test_beta_versions_have_a_major_number(bare, tmp_path):
    assert PostgresTools.find(18, [install(tmp_path / "x", "19beta2")]).major == 19


def test_command_lines_hold_no_password_and_never_ask_for_one(tmp_path):
    tools = PostgresTools(Path("/pg/bin"), "18.4")

    dump = pg_dump_argv(tools, directory=tmp_path, jobs=3, snapshot_id="1-2-3", lock_wait_timeout_ms=300)
    roles = pg_dumpall_argv(tools, database="it's = \\ odd", role_passwords=False)

    assert dump[0] == "/pg/bin/pg_dump"
    assert {"--jobs=3", "--snapshot=1-2-3", "--lock-wait-timeout=300", "--no-password"} <= set(dump)
    assert roles[1:] == [
        "--globals-only", "--no-password", "--database=dbname='it\\'s = \\\\ odd'", "--no-role-passwords",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a=b", "host=elsewhere dbname=x", "postgresql://elsewhere/x", "it's"])
def test_a_database_is_restored_under_its_own_name_even_when_that_reads_like_a_connection_string(
    tmp_path, name: str
):
    (option,) = [
        argument
        for argument in pg_restore_argv(
            PostgresTools(Path("/pg/bin"), "18.4"), directory=tmp_path, dbname=name
        )
        if argument.startswith("--dbname=")
    ]

    assert conninfo_to_dict(option.removeprefix("--dbname=")) == {"dbname": name}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_folder_on_the_path_that_we_may_not_enter_is_passed_over(tmp_path, monkeypatch):
    for above in [tmp_path, *tmp_path.parents[:-2]]:
        above.chmod(0o755)
    eighteen = install(tmp_path / "18", "18.4")
    install(tmp_path / "closed" / "bin", "18.4")
    (tmp_path / "closed").chmod(0o700)
    monkeypatch.delenv("BACKSTOP_PG_BIN", raising=False)
    monkeypatch.setattr(tools_module, "_pip_directories", lambda: iter(()))
    monkeypatch.setenv("PATH", f"{tmp_path / 'closed' / 'bin'}:{eighteen}")
    os.seteuid(12345)
    try:
        assert PostgresTools.find(18).bin_dir == eighteen
    finally:
        os.seteuid(0)


def test_programs_that_do_not_run_are_passed_over_for_others_that_do(bare, tmp_path):
    # Debian's wrappers without any client behind them end so.
    wrappers = install(tmp_path / "wrappers", "18.4")
    for program in wrappers.iterdir():
        program.write_text("#!/bin/sh\necho 'You must install a postgresql-client package' >&2; exit 1\n")
    eighteen = install(tmp_path / "18", "18.4")

    assert PostgresTools.find(18, [wrappers, eighteen]).bin_dir == eighteen
    with pytest.raises(ToolError, match="You must install a postgresql-client package"):
        PostgresTools.find(18, [wrappers])
