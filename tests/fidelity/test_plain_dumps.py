"""Every hard database as a plain dump: what psql would make of it comes out, without psql."""

from __future__ import annotations

import io
import re
import subprocess
from itertools import zip_longest
from typing import TYPE_CHECKING

import pytest

from backstop.postgres import databases
from backstop.postgres.catalog import read_database_properties
from backstop.postgres.plain_dump import PlainDump
from backstop.postgres.plain_load import load_plain_dump
from tests.fidelity.corpus import DATABASES, CorpusDatabase
from tests.legacy_making import dumped

if TYPE_CHECKING:
    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration

COPIES = ["reloaded_restored_20261123t010000z", "reloaded_restored_20261123t020000z"]
_TOKEN = re.compile(rb"^\\(un)?restrict .*$", re.MULTILINE)
# What a copy must not have: the source's disks; and subscriptions, which psql would make.
_LEFT_OUT = re.compile(rb"^SET default_tablespace = .*\n", re.MULTILINE)
_WANDERING = b"COPY partitions_by_enum."
_LARGE = {"many_tables", "large_values"}
HARD = [
    pytest.param(hard, marks=pytest.mark.long) if _LARGE & {case.name for case in hard.cases} else hard
    for hard in DATABASES
]


@pytest.mark.parametrize(
    "corpus_cluster",
    [
        pytest.param("18", marks=pytest.mark.xdist_group("corpus-18")),
        pytest.param("16", marks=pytest.mark.long),
        pytest.param("distribution", marks=[pytest.mark.system, pytest.mark.long]),
    ],
    indirect=True,
)
@pytest.mark.parametrize("hard", HARD, ids=lambda hard: hard.name)
def test_a_hard_database_comes_back_from_a_plain_dump(corpus_cluster, hard: CorpusDatabase):
    cluster = corpus_cluster.connection()
    with cluster.connect() as session:
        if not hard.fits(session):
            pytest.skip(f"this server cannot make {hard.name}: needs {hard.needs}")
    try:
        source = hard.create(cluster)
        # One has a setting of its own, in which its names cannot be written.
        options = ["--no-subscriptions", *(["--encoding=UTF8"] if hard.name == "corpus_objects" else [])]
        text = dumped(corpus_cluster, source, *options)
        ours, theirs = (copy_like(cluster, source, name) for name in COPIES)
        load(ours, text)
        load_with_psql(corpus_cluster, theirs, text)
        found, expected = dumped(corpus_cluster, ours, *options), dumped(corpus_cluster, theirs, *options)
    finally:
        with cluster.connect() as session:
            for name in COPIES:
                databases.drop_database(session, name)
        hard.drop(cluster)

    assert unlike(sections(found), sections(expected)) == []
    assert unlike(wandering_rows(found), wandering_rows(expected)) == []


def copy_like(cluster: ClusterConnection, source: ClusterConnection, name: str) -> ClusterConnection:
    with source.connect() as session:
        properties = read_database_properties(session)
    with cluster.connect() as session:
        databases.create_like(session, name, properties, owner=str(properties["owner"]))
    return cluster.with_database(name)


def load(copy: ClusterConnection, text: bytes) -> None:
    with copy.connect() as session:
        session.execute("BEGIN")
        load_plain_dump(session, PlainDump(io.BytesIO(text), "plain dump"))
        session.execute("COMMIT")


def load_with_psql(server: EmbeddedPostgres, copy: ClusterConnection, text: bytes) -> None:
    argv = [str(server.bin_dir / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    environment = {"PGHOST": copy.host, "PGPORT": str(copy.port), "PGUSER": copy.user}
    environment |= {"PGDATABASE": copy.dbname, "PGPASSWORD": copy.password or ""}
    script = _LEFT_OUT.sub(b"", text)
    done = subprocess.run(argv, input=script, env=environment, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")


def unlike(found: list[bytes], expected: list[bytes]) -> list[tuple[bytes | None, bytes | None]]:
    """The first few, not all: pytest's own comparison of two dumps takes many minutes."""
    return [pair for pair in zip_longest(found, expected) if pair[0] != pair[1]][:3]


def sections(text: bytes) -> list[bytes]:
    """Of a dump, in order, but for rows that choose their partition by what each database numbers anew."""
    parts = _LEFT_OUT.sub(b"", _TOKEN.sub(b"", text)).split(b"\n--\n")
    return [one for one in parts if _WANDERING not in one]


def wandering_rows(text: bytes) -> list[bytes]:
    return sorted(line for one in text.split(b"\n--\n") if _WANDERING in one for line in one.splitlines())
