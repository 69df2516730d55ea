"""pg_control is read as pg_controldata reads it, and never when it is torn."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from backstop.errors import IntegrityError, SourceError
from backstop.postgres.control_data import parse_control_data
from backstop.postgres.control_file import NAME, parse_control_file, read_control_file

if TYPE_CHECKING:
    from pathlib import Path

    from embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration

# Of a running PostgreSQL 17.6, which pip does not bring; behind it there are only zeros.
OF_17 = bytes.fromhex(
    "1ae04b96ab48096ba40600008979100c0600000000000000ce49096b0000000010427a070000000010427a07000000000100"
    "0000010000000100000001000000a505000000000000c24f00000100000000000000db020000050000000100000000400000"
    "00000000c549096b0000000000000000000000000000000000000000e8030000000000000000000000000000000000000000"
    "00000000000000000000000000000000000000000000010000000000000064000000080000000a0000000000000040000000"
    "00000000080000000000000087d63241002000000000020000200000000000014000000020000000cc070000000800000100"
    "0000010000002e7cfef59002c26fa93f494aad76fa1c6061b90ae66cf2f623907d13ff330d5da87db3fb"
)


@pytest.fixture(params=["postgres18", "postgres16"])
def server(request: pytest.FixtureRequest) -> EmbeddedPostgres:
    return request.getfixturevalue(request.param)


def test_it_says_what_pg_controldata_says(server: EmbeddedPostgres):
    found = read_control_file(server.data)
    told = subprocess.run(
        [server.bin_dir / "pg_controldata", server.data],
        env={"LC_ALL": "C"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    theirs = parse_control_data(told, place=server.data)

    assert found.system_id == theirs.system_id
    assert (found.in_production, theirs.state) == (True, "in production")
    assert found.timeline == theirs.timeline
    assert found.page_checksums is theirs.checksums is True
    fields = dict(line.split(":", 1) for line in told.splitlines())
    assert found.page_bytes == int(fields["Database block size"])
    assert found.segment_pages == int(fields["Blocks per segment of large relation"])
    with server.connect() as session:
        row = session.execute(
            "SELECT checkpoint_lsn::text, redo_lsn::text, timeline_id FROM pg_control_checkpoint()"
        ).fetchone()
    assert (str(found.checkpoint), str(found.redo), found.timeline) == row
    assert found.content == (server.data / NAME).read_bytes()


def test_any_byte_that_is_wrong_is_noticed(server: EmbeddedPostgres):
    whole = (server.data / NAME).read_bytes()
    for place in range(0, 288, 5):
        changed = bytearray(whole)
        changed[place] ^= 1
        with pytest.raises((IntegrityError, SourceError), match="pg_control"):
            parse_control_file(bytes(changed), place=server.data / NAME)
    for size in (0, 10, 288, 290):
        with pytest.raises(IntegrityError, match="does not match its own checksum"):
            parse_control_file(whole[:size], place=server.data / NAME)


def test_one_of_a_version_that_is_not_known_is_refused(server: EmbeddedPostgres):
    whole = bytearray((server.data / NAME).read_bytes())
    whole[8:12] = (9900).to_bytes(4, "little")
    with pytest.raises(SourceError, match="has version 9900; this program reads 1300, 1700, 1800") as refused:
        parse_control_file(bytes(whole), place=server.data / NAME)
    assert "over the network" in refused.value.hint


def test_that_of_version_17_has_everything_where_16_has_it(tmp_path: Path):
    found = parse_control_file(OF_17.ljust(8192, b"\0"), place=tmp_path / NAME)

    assert (found.system_id, found.in_production) == ("7712775738646847514", True)
    assert (str(found.checkpoint), str(found.redo), found.timeline) == ("0/77A4210", "0/77A4210", 1)
    assert (found.page_bytes, found.segment_pages, found.page_checksums) == (8192, 131072, True)
