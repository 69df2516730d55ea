"""pg_control is read as pg_controldata reads it, and never when it is torn."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from backstop.errors import IntegrityError, SourceError
from backstop.postgres.control_data import parse_control_data
from backstop.postgres.control_file import NAME, parse_control_file, read_control_file

if TYPE_CHECKING:
    from embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration


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
    with pytest.raises(SourceError, match="has version 9900; this program reads 1300, 1800") as refused:
        parse_control_file(bytes(whole), place=server.data / NAME)
    assert "over the network" in refused.value.hint
