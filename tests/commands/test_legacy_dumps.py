"""Plain dumps of the old scripts: checked, restored into scratch and beside the live database, proven."""

from __future__ import annotations

import gzip
import os
import secrets
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

from backstop.commands.database.restore import RestoreSettings
from backstop.commands.database.swap import ApplicationCommands, swap_in
from backstop.commands.legacy.restore import LegacyDatabaseRestore
from backstop.commands.progress import Silent
from backstop.commands.questions import Query
from backstop.errors import IntegrityError, RestoreError, VerificationError
from tests.legacy_making import DUMPS, OldHost, dumped, write_dump
from tests.protection import protect, s3_corner, utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from backstop.storage.s3 import S3Storage
    from embedded.postgres import EmbeddedPostgres
    from embedded.seaweedfs import EmbeddedSeaweedFS

pytestmark = pytest.mark.integration

SCHEMA = """
CREATE TABLE equipment (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, due date);
INSERT INTO equipment (name, due) SELECT 'gauge; ' || n || E'\\n\\\\.', date '2026-01-01' + n
FROM generate_series(1, 2000) n;
CREATE TABLE "Odd; table" (a int, "b ""c" bytea);
INSERT INTO "Odd; table" SELECT n, decode(md5(n::text), 'hex') FROM generate_series(1, 30) n;
CREATE TABLE empty (a int);
CREATE FUNCTION overdue(on_day date) RETURNS bigint LANGUAGE sql
BEGIN ATOMIC SELECT CASE WHEN true THEN count(*) END FROM equipment WHERE due < on_day; END;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END; $$;
CREATE TRIGGER noted BEFORE INSERT ON equipment FOR EACH ROW EXECUTE FUNCTION noted();
SELECT lo_from_bytea(0, 'a large object; ');
"""
COUNT = Query("SELECT count(*) FROM equipment", 2000, "all equipment is there")


@pytest.fixture
def roles(postgres18: EmbeddedPostgres, database: ClusterConnection) -> Iterator[tuple[str, str]]:
    """The owner of all that is in the database, and somebody who was granted something."""
    owner, reader = f"owner {secrets.token_hex(4)}", f"reader_{secrets.token_hex(4)}"
    with postgres18.connect() as session:
        for role in (owner, reader):
            session.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        session.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                sql.Identifier(database.dbname), sql.Identifier(owner)
            )
        )
    with database.connect() as session:
        session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(owner)))
        session.execute("RESET search_path")
        session.execute(SCHEMA.encode())
        session.execute(sql.SQL("GRANT SELECT ON equipment TO {}").format(sql.Identifier(reader)))
    yield owner, reader
    with postgres18.connect() as session:
        made = session.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [f"{database.dbname}_re"]
        ).fetchall()
        for (name,) in made:
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def restorer(
    postgres18: EmbeddedPostgres, database: ClusterConnection, roles: tuple[str, str]
) -> ClusterConnection:
    """No superuser: may create databases, and is a member of the owner."""
    name, password = f"restore_{secrets.token_hex(4)}", secrets.token_hex(8)
    with postgres18.connect() as session:
        role = sql.Identifier(name)
        session.execute(
            sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(role, sql.Literal(password))
        )
        for granted in (roles[0], "pg_signal_backend", "pg_read_all_stats"):
            session.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(granted), role))
    return replace(database, user=name, password=password)


@pytest.fixture
def plain(postgres18: EmbeddedPostgres, database: ClusterConnection, roles: tuple[str, str]) -> bytes:
    """What pg_dump wrote into the script's pipe."""
    return dumped(postgres18, database)


@pytest.fixture
def host(folder: Path, database: ClusterConnection) -> OldHost:
    protection = protect(folder, database)
    protection.repository("local").catalog.repository_id(create=True)
    return OldHost(
        folder,
        protection.repository("local"),
        protection.trust,
        protection.proof_signer,
        replace(protection.verify, queries=[COUNT]),
    )


def restore(host: OldHost, server: ClusterConnection, **settings: Any) -> LegacyDatabaseRestore:
    [known] = host.stock().found
    return LegacyDatabaseRestore(
        place=known.place,
        backup=known.backup,
        server=server,
        settings=replace(
            RestoreSettings(
                scratch=host.folder / "staging", database=server.dbname, reader=server, queries=[COUNT]
            ),
            **settings,
        ),
        progress=Silent(),
        proofs=known.proofs,
    )


def exists(server: ClusterConnection, name: str) -> bool:
    with server.connect(dbname="postgres") as session:
        return session.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def test_an_old_dump_is_proven_by_a_restore_and_says_so_until_the_file_changes(host: OldHost, plain: bytes):
    path = write_dump(host.directory("database of old", DUMPS), plain)
    [known] = host.stock().found
    assert known.state == "unproven"

    proof = host.verify(known)

    assert (proof.matched, proof.differences) == (True, ())
    assert (proof.checks["tables"], proof.checks["rows"], proof.checks["queries"]) == (3, 2030, 1)
    assert "isolated" in proof.isolation
    assert [one.state for one in host.stock().found] == ["proven"]

    os.utime(path, (1, 1))
    assert [one.state for one in host.stock().found] == ["unproven"]


def test_an_old_dump_from_the_bucket_is_listed_and_proven_just_so(
    host: OldHost, plain: bytes, seaweedfs: EmbeddedSeaweedFS
):
    corner: S3Storage = s3_corner(seaweedfs)
    corner.upload("full_20231201_010000.sql.gz", gzip.compress(plain))
    corner.upload("full_20231201_010000.sql.gz.part", b"x")
    corner.upload("deeper/full_20231201_010000.sql.gz", b"x")
    corner.upload("full report.pdf", b"x")
    host.bucket(corner, DUMPS)

    [known] = host.stock().found
    assert host.verify(known).matched
    assert [one.state for one in host.stock().found] == ["proven"]


def test_cut_at_any_part_old_dumps_are_failed_and_named(host: OldHost, plain: bytes):
    directory = host.directory("database", DUMPS)
    whole = gzip.compress(plain)
    cuts = {
        "an empty pg_dump": gzip.compress(b""),
        "60 % of the text, well compressed": gzip.compress(plain[: len(plain) * 6 // 10]),
        "60 % of the file": whole[: len(whole) * 6 // 10],
        "half the trailer": whole[:-4],
        "a whole member, and no more": gzip.compress(plain[: plain.index(b"COPY")]),
        "at the end of the rows": gzip.compress(plain[: plain.index(b"\n\\.\n") + 4]),
        "rubbish behind": whole + b"\0\0",
        "no gzip": plain,
    }
    for number, data in enumerate(cuts.values()):
        (directory / f"full_202312{number + 1:02d}_010000.sql.gz").write_bytes(data)

    proofs = [host.verify(known) for known in host.stock().found]

    assert len(proofs) == len(cuts)
    assert [proof.matched for proof in proofs] == [False] * len(cuts)
    assert all(proof.location in proof.differences[0] for proof in proofs)
    assert {one.state for one in host.stock().found} == {"failed"}


def test_an_old_dump_comes_back_beside_the_live_database_and_can_be_swapped_in(
    host: OldHost,
    plain: bytes,
    database: ClusterConnection,
    restorer: ClusterConnection,
    roles: tuple[str, str],
):
    write_dump(host.directory("database", DUMPS), plain, age=timedelta(days=20))
    with database.connect() as session:
        session.execute("DELETE FROM public.equipment WHERE id > 10")
    one = restore(host, restorer, after_restore=["UPDATE equipment SET name = 'masked' WHERE id = 1"])

    plan = one.plan()
    assert (plan.live_exists, plan.owner, plan.rows, exists(database, plan.beside)) == (
        True,
        roles[0],
        2030,
        False,
    )
    report = one.restore_beside(plan)

    with database.with_database(plan.beside).connect() as session:
        assert session.execute("SELECT name FROM public.equipment WHERE id = 1").fetchone() == ("masked",)
        assert session.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone() == (1,)
        owners = session.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        assert owners == [(roles[0],)]
    with database.connect() as session:
        assert session.execute("SELECT count(*) FROM public.equipment").fetchone() == (10,)

    outcome = swap_in(
        names := one.exchange(plan, oid=report["database_oid"], clock=utc_now),
        server=restorer,
        application=ApplicationCommands(),
        accept_logical_slots=False,
        beside_oid=names.beside_oid,
    )
    with database.connect() as session:
        assert session.execute("SELECT count(*) FROM public.equipment").fetchone() == (2000,)
    assert outcome.kept is not None
    assert exists(database, outcome.kept)


def test_an_existing_database_is_never_restored_over(
    host: OldHost, plain: bytes, database: ClusterConnection, restorer: ClusterConnection
):
    write_dump(host.directory("database", DUMPS), plain)

    with pytest.raises(RestoreError, match=r"there is a database .* already"):
        restore(host, restorer).plan(into=database.dbname)


def test_without_a_live_database_what_the_dump_says_has_to_do(
    host: OldHost,
    plain: bytes,
    database: ClusterConnection,
    restorer: ClusterConnection,
    roles: tuple[str, str],
):
    write_dump(host.directory("database", DUMPS), plain)
    one = restore(host, restorer, database=f"{database.dbname}_reborn")

    plan = one.plan()
    one.restore_beside(plan)

    assert (plan.live_exists, plan.owner) == (False, roles[0])
    assert exists(database, plan.beside)


def test_a_superuser_does_not_restore_old_dumps(host: OldHost, plain: bytes, database: ClusterConnection):
    write_dump(host.directory("database", DUMPS), plain)

    with pytest.raises(RestoreError, match="is a superuser, and what a dump contains is code"):
        restore(host, database).plan()


def test_a_wrong_answer_leaves_the_copy_to_be_looked_at_and_the_live_database_alone(
    host: OldHost, plain: bytes, database: ClusterConnection, restorer: ClusterConnection
):
    write_dump(host.directory("database", DUMPS), plain)
    one = restore(host, restorer, queries=[replace(COUNT, expect=7)])
    plan = one.plan()

    with pytest.raises(VerificationError, match="all equipment is there"):
        one.restore_beside(plan)

    assert exists(database, plan.beside)


_BEYOND = "reaches beyond the database"
HARM = {
    "COMMIT WORK;\nDROP DATABASE {live} WITH (FORCE);": "ends the transaction",
    "ROLLBACK;": "ends the transaction",
    "COMMIT;\nDROP DATABASE {live} WITH (FORCE);": _BEYOND,
    "COMMIT AND CHAIN;\nDROP DATABASE {live};": _BEYOND,
    "COPY public.equipment TO PROGRAM 'touch {mark}';": _BEYOND,
    "DO $$ BEGIN EXECUTE $c$ COPY pg_class TO PROGRAM 'touch {mark}' $c$; END $$;": _BEYOND,
    "CREATE FUNCTION public.run() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN EXECUTE "
    "$c$ COPY pg_class TO PROGRAM 'touch {mark}' $c$; END $f$;\nSELECT public.run();": "permission denied",
    "ALTER DATABASE {live} SET search_path = evil;": _BEYOND,
    "alter /* x */ database {live} connection limit 0;": _BEYOND,
    "CREATE TABLE t (a int);\n\\! touch {mark}\n": "has a command of psql",
    "COPY public.equipment TO STDOUT;": _BEYOND,
    "SELECT 1/0;": "does not accept",
}


def test_a_hostile_dump_harms_nothing_and_leaves_nothing(
    host: OldHost, plain: bytes, database: ClusterConnection, restorer: ClusterConnection, folder: Path
):
    mark, beside = folder / "harm", f"{database.dbname}_re"
    at = plain.index(b"--\n-- PostgreSQL database dump complete")
    directory = host.directory("database", DUMPS)
    for harm, error in HARM.items():
        text = harm.format(live=database.dbname, mark=mark).encode()
        path = write_dump(directory, plain[:at] + text + b"\n" + plain[at:])

        with pytest.raises((RestoreError, IntegrityError), match=error):
            (one := restore(host, restorer)).restore_beside(one.plan(beside))

        assert not mark.exists()
        assert exists(database, database.dbname)
        assert not exists(database, beside)
        path.unlink()


def test_in_scratch_a_hostile_dump_reaches_nothing_of_the_machine(host: OldHost, plain: bytes, folder: Path):
    mark = folder / "harm"
    folder.chmod(0o777)
    at = plain.index(b"--\n-- PostgreSQL database dump complete")
    harm = (
        "CREATE FUNCTION public.run() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN EXECUTE "
        f"$c$ COPY pg_class TO PROGRAM 'touch {mark} 2>/dev/null; cat > /dev/null' $c$; END $f$;\n"
        "SELECT public.run();\n"
    ).encode()
    write_dump(host.directory("database", DUMPS), plain[:at] + harm + plain[at:])

    host.verify(host.stock().found[0])

    assert not mark.exists()


@pytest.mark.parametrize("encoding", ["GBK", "SHIFT_JIS_2004"])
def test_a_dump_in_an_encoding_of_clients_only_is_proven_in_another(
    host: OldHost, plain: bytes, encoding: str
):
    text = plain.replace(b"SET client_encoding = 'UTF8';", f"SET client_encoding = '{encoding}';".encode())
    write_dump(host.directory("database", DUMPS), text)

    proof = host.verify(host.stock().found[0])

    assert (text != plain, proof.differences) == (True, ())


@pytest.mark.parametrize("owner", ["public", "none"])
def test_an_owner_that_no_server_can_have_is_the_dumps_fault(host: OldHost, plain: bytes, owner: str):
    at = plain.index(b"--\n-- PostgreSQL database dump complete")
    text = plain[:at] + f'ALTER TABLE public.empty OWNER TO "{owner}";\n'.encode() + plain[at:]
    write_dump(host.directory("database", DUMPS), text)

    proof = host.verify(host.stock().found[0])

    assert owner in proof.differences[0]
    assert not proof.restored


def test_what_an_old_pg_dump_says_of_the_database_is_left_out(host: OldHost, plain: bytes):
    at = plain.index(b"--\n-- PostgreSQL database dump complete")
    write_dump(
        host.directory("database", DUMPS), plain[:at] + b"COMMENT ON DATABASE gone IS 'x';\n" + plain[at:]
    )

    assert host.verify(host.stock().found[0]).matched


def test_a_dump_of_another_version_is_proven_too(
    host: OldHost, postgres16: EmbeddedPostgres, new_database: Any
):
    source = new_database(postgres16)
    with source.connect() as session:
        session.execute("RESET search_path")
        session.execute(SCHEMA.encode())
    plain = dumped(postgres16, source, "--inserts", "--rows-per-insert=100")
    write_dump(host.directory("database", DUMPS), plain)

    proof = host.verify(host.stock().found[0])

    assert (proof.matched, proof.differences) == (True, ())
