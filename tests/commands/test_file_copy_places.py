"""A copy holds what lies at odd places of a data directory, under odd names, and recovers with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from backstop.commands.base.fetch import fetch_base
from backstop.commands.progress import Silent
from backstop.model.backup import BackupLabel
from backstop.postgres.tools import PostgresTools
from embedded.accounts import postgres_account
from tests.commands.file_copies import by_file_copy
from tests.physical import BaseBackups, server_of
from tests.protection import protect

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

ROWS = "CREATE TABLE {0} TABLESPACE {0} AS SELECT n FROM generate_series(1, {1}) n"


def test_tablespaces_in_place_and_inside_and_odd_names_are_recovered(folder: Path, servers_directory: Path):
    with server_of(servers_directory / "places", 18) as server:
        seen = servers_directory / "a way to it"
        seen.symlink_to(server.data)
        base = by_file_copy(BaseBackups(protect(folder, server.connection()), server), data=seen)
        account = postgres_account(server.directory, server.bin_dir)
        inside = server.data / "inside"
        inside.mkdir(mode=0o700)
        account.own(inside)
        odd = server.data / os.fsdecode(b"odd \xff\n\xc3\xa4\\ 'name\"")
        odd.write_bytes(b"content")
        (server.data / "empty").write_bytes(b"")
        for file in (odd, server.data / "empty"):
            account.own(file)
        with server.connect() as session:
            session.execute("SET allow_in_place_tablespaces = on")
            session.execute("CREATE TABLESPACE placed LOCATION ''")
            session.execute(f"CREATE TABLESPACE inside LOCATION '{inside}'")
            session.execute(ROWS.format("placed", 1000))
            session.execute(ROWS.format("inside", 2000))
            session.execute("CHECKPOINT")
            report = base.take()
        repository = base.protection.repository("local")
        (folder / "copy").mkdir(mode=0o711)
        restored = fetch_base(
            repository,
            [repository.catalog.backup(BackupLabel(report.label)).manifest],
            keyring=base.protection.keyring,
            tools=PostgresTools.find(18),
            destination=folder / "copy" / "data",
            tablespaces=folder / "copy" / "data-spaces",
            jobs=2,
            progress=Silent(),
        )
        assert len(restored.tablespaces) == 2
        assert (restored.data / odd.name).read_bytes() == b"content"
        assert (restored.data / "empty").read_bytes() == b""
        copy = base.start(restored.data)
        copy.settings["recovery_target"] = "immediate"
        copy.settings["recovery_target_action"] = "promote"
        with copy, copy.connect() as session:
            for name, count in (("placed", 1000), ("inside", 2000)):
                assert session.execute(f"SELECT count(*) FROM {name}").fetchone() == (count,)
