"""The list of a copy that no server sent is the one that a server would have sent, to the letter."""

from __future__ import annotations

import pytest

from backstop.model.lsn import Lsn
from backstop.postgres.backup_manifest import ManifestFile, WalRange, parse_backup_manifest
from backstop.postgres.low_level_backup import parse_tablespace_map
from backstop.postgres.manifest_writing import CopiedFile, write_backup_manifest
from tests.postgres.test_backup_manifest import FILES, manifest

COPIED = {
    "backup_label": CopiedFile(9, 0xE3069283, 1795662000),
    "base\udcff": CopiedFile(0, 0, 1795662000),
}
WAL = [WalRange(1, Lsn(0x2000028), Lsn(0x2000120))]


@pytest.mark.parametrize(("version", "server"), [(2, 180000), (2, 170004), (1, 160014), (1, 150006)])
def test_it_is_written_as_servers_write_it(version: int, server: int):
    written = write_backup_manifest(COPIED, wal=WAL, system_id="77", server_version=server)
    assert written == manifest(*FILES, version=version)


def test_odd_names_are_read_back_as_they_were():
    names = {'a "quoted" \\ name\n', "naïve", "pg_tblspc/16400/PG_18_202506291/5/16384"}
    written = write_backup_manifest(
        {name: CopiedFile(3, 7, 0) for name in names}, wal=WAL, system_id="7", server_version=180000
    )
    assert set(parse_backup_manifest(written).files) == {ManifestFile(name, 3, 7) for name in names}


def test_a_tablespace_map_gives_back_every_path():
    content = (
        b"16400 /srv/one\n16401 /srv/with space\n16402 /srv/back\\\\slash\\\nline\n16403 pg_tblspc/16403\n"
    )
    assert parse_tablespace_map(content) == {
        16400: "/srv/one",
        16401: "/srv/with space",
        16402: "/srv/back\\slash\nline",
        16403: "pg_tblspc/16403",
    }
    assert parse_tablespace_map(b"") == {}
