"""What of a data directory is copied, without a server: what it may look like while others work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstop.errors import SourceError
from backstop.postgres import cluster_files
from backstop.postgres.cluster_files import list_cluster

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """With one tablespace, 16400, that has one file."""
    data = tmp_path / "data"
    (data / "pg_tblspc").mkdir(mode=0o700, parents=True)
    (data / "PG_VERSION").write_text("18\n")
    database = tmp_path / "apart" / "PG_18_202506291" / "5"
    database.mkdir(mode=0o700, parents=True)
    (database / "16401").write_bytes(b"rows")
    (data / "pg_tblspc" / "16400").symlink_to(tmp_path / "apart")
    return data


def test_a_tablespace_without_the_server_s_folder_is_refused(data: Path, tmp_path: Path):
    """A mount point whose disk is not there, or the same path on another host."""
    (listed, _) = list_cluster(data, server_data=str(data))
    assert [file.name for file in listed.files] == ["PG_18_202506291/5/16401"]

    (tmp_path / "apart").rename(tmp_path / "elsewhere")
    (tmp_path / "apart" / "PG_17_202406281").mkdir(mode=0o700, parents=True)
    with pytest.raises(SourceError, match=f"tablespace 16400 .* {tmp_path}/apart.* without .*PG_18_") as told:
        list_cluster(data, server_data=str(data))
    assert "at the same path" in told.value.hint


def test_where_a_tablespace_is_stands_there_as_in_its_link(data: Path, tmp_path: Path):
    """Byte by byte: a link that was made by hand may end in a slash, and the server's own map has that."""
    link = data / "pg_tblspc" / "16400"
    link.unlink()
    link.symlink_to(f"{tmp_path}//apart/")

    listed, base = list_cluster(data, server_data=str(data))

    assert listed.location == f"{tmp_path}//apart/"
    assert [folder.link for folder in base.folders if folder.link] == [f"{tmp_path}//apart/"]


@pytest.mark.parametrize("when", ["before it was looked at", "while it was looked at"])
def test_a_tablespace_that_is_dropped_meanwhile_is_left_out(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
):
    honest = cluster_files._tablespace_entries

    def drop(_: object = None) -> None:
        (data / "pg_tblspc" / "16400").unlink(missing_ok=True)

    def entries(place: Path) -> object:
        found = honest(place)
        # In this order, as DROP TABLESPACE does.
        (tmp_path / "apart" / "PG_18_202506291").rename(tmp_path / "removed")
        if when == "before it was looked at":
            drop()
        return found

    monkeypatch.setattr(cluster_files, "_tablespace_entries", entries)
    monkeypatch.setattr(cluster_files.time, "sleep", drop)
    (base,) = list_cluster(data, server_data=str(data))

    assert base.name == "base"
    assert "pg_tblspc/16400" not in {folder.name for folder in base.folders}
