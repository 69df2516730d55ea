"""Only the running server's own directory is copied, by a role that may: all else is refused by name."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from backstop.commands.base import file_copy
from backstop.errors import SourceError
from backstop.postgres import local_cluster
from tests.commands.file_copies import by_file_copy, no_backup_mode, tablespace
from tests.physical import BaseBackups
from tests.protection import protect

if TYPE_CHECKING:
    from pathlib import Path

    from embedded.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

ROLE = "copies_files"


@pytest.fixture
def base(folder: Path, postgres18: EmbeddedPostgres) -> BaseBackups:
    return by_file_copy(BaseBackups(protect(folder, postgres18.connection()), postgres18))


def test_the_directory_of_another_server_is_refused_before_anything_is_written(
    base: BaseBackups, postgres16: EmbeddedPostgres, folder: Path
):
    for data, why in (
        (postgres16.data, "it is of PostgreSQL 16, the server is 18"),
        (folder, "PG_VERSION is not in it"),
        (folder / "nowhere", "PG_VERSION is not in it"),
    ):
        with pytest.raises(SourceError, match=f"{data} is not the data directory of .*{why}") as refused:
            by_file_copy(base, data=data).take()
        assert "--over-network" in refused.value.hint
    assert not base.settings.staging.exists() or base.nothing_is_left()


def test_a_former_directory_of_the_same_cluster_is_refused(base: BaseBackups, folder: Path):
    """As a cut-over leaves it, with the lock file that a killed server forgot."""
    former = folder / "former"
    shutil.copytree(base.server.data, former, ignore=shutil.ignore_patterns("base", "pg_wal"))
    (former / "postmaster.pid").unlink()
    with pytest.raises(SourceError, match=r"postmaster\.pid is not in it"):
        by_file_copy(base, data=former).take()

    shutil.copy(base.server.data / "postmaster.pid", former)
    with pytest.raises(SourceError, match=f"{former} is not the data directory .*newest checkpoint"):
        by_file_copy(base, data=former).take()
    assert base.nothing_is_left()
    assert no_backup_mode(base.server)

    pid = (former / "postmaster.pid").read_text().splitlines()
    (former / "postmaster.pid").write_text("\n".join([*pid[:2], str(int(pid[2]) - 86400), *pid[3:]]))
    with pytest.raises(SourceError, match="started at another time"):
        by_file_copy(base, data=former).take()
    (former / "postmaster.pid").write_text("\n".join([*pid[:3], "1", *pid[4:]]))
    with pytest.raises(SourceError, match="its server listens on port 1,"):
        by_file_copy(base, data=former).take()


@pytest.mark.parametrize("when", ["before the copy", "while files are read"])
def test_a_tablespace_whose_disk_is_not_mounted_here_is_refused(
    base: BaseBackups, folder: Path, monkeypatch: pytest.MonkeyPatch, when: str
):
    """The server goes on with it, in its own view of the machine; what we see is the mount point."""
    with tablespace(base.server, "mounted") as place, base.server.connect() as session:
        session.execute("CREATE TABLE apart TABLESPACE mounted AS SELECT n FROM generate_series(1, 1000) n")
        (oid,) = session.execute("SELECT oid FROM pg_tablespace WHERE spcname = 'mounted'").fetchone()
        # Its files stay where the server has them.
        link, seen = base.server.data / "pg_tblspc" / str(oid), folder / "seen"
        (version,) = (one.name for one in place.iterdir())
        (seen / version).mkdir(mode=0o700, parents=True)
        honest, planned = local_cluster._folder, file_copy.plan_parts

        def here(data: Path, tablespace: int) -> Path:
            return seen if tablespace == oid else honest(data, tablespace)

        def unmounted(*given: object, **named: object) -> object:
            monkeypatch.setattr(local_cluster, "_folder", here)
            return planned(*given, **named)  # type: ignore[arg-type]

        if when == "before the copy":
            monkeypatch.setattr(local_cluster, "_folder", here)
        else:
            monkeypatch.setattr(file_copy, "plan_parts", unmounted)
        try:
            with pytest.raises(
                SourceError, match=f"has files in tablespace {oid} .* no folder of it"
            ) as told:
                base.take()
        finally:
            session.execute("DROP TABLE apart")
        assert link.is_symlink()
    assert "at the same paths" in told.value.hint
    assert base.nothing_is_left()
    assert no_backup_mode(base.server)


def test_a_role_without_the_right_is_told_which_and_nothing_is_written(base: BaseBackups):
    base.server.create_role(ROLE, "LOGIN REPLICATION")
    with pytest.raises(
        SourceError, match=rf"{ROLE} may not execute pg_backup_start\(text, boolean\)"
    ) as told:
        base.take(cluster=base.server.connection(user=ROLE))
    assert (
        "GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), pg_backup_stop(boolean)" in told.value.hint
    )
    assert not base.settings.staging.exists() or base.nothing_is_left()

    with base.server.connect() as session:
        functions = "pg_backup_start(text, boolean), pg_backup_stop(boolean)"
        session.execute(f"GRANT EXECUTE ON FUNCTION {functions} TO {ROLE}")
        try:
            assert base.take(cluster=base.server.connection(user=ROLE)).copied == "files"
        finally:
            session.execute(f"DROP OWNED BY {ROLE}")
            session.execute(f"DROP ROLE {ROLE}")
