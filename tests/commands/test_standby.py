"""A standby as the source: nothing is written there, and what it cannot have is said."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from tests.protection import protect

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


def test_a_backup_of_a_standby_is_proven_though_its_unlogged_tables_are_empty(
    folder: Path, servers_directory: Path
):
    bin_dir = pip_postgres_bin(18)
    primary, standby = servers_directory / "primary", servers_directory / "standby"
    with EmbeddedPostgres(primary, bin_dir=bin_dir, durable=False, die_with_parent=True) as server:
        server.create_database("lab")
        with server.connect("lab") as session:
            session.execute("CREATE TABLE kept AS SELECT generate_series(1, 10) AS n")
            session.execute("CREATE UNLOGGED TABLE passing (n int); INSERT INTO passing VALUES (1)")
    # With the owners as they are. Shut down in order, it is as good as a base backup.
    subprocess.run(["cp", "-a", primary, standby], check=True)
    (standby / "data" / "standby.signal").touch()

    with EmbeddedPostgres(standby, bin_dir=bin_dir, durable=False, die_with_parent=True) as server:
        protection = protect(folder, server.connection("lab"))
        report = protection.back_up()
        proof = protection.prove(report.label)

    assert report.not_included == ("rows of unlogged table public.passing (a standby does not have them)",)
    assert report.rows == 10
    assert proof.differences == ()
