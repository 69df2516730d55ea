"""Where a backup is verified, and what is asked of the copy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backstop.commands.proof.work import Policies, unverified
from backstop.commands.questions import Query
from backstop.errors import ScratchError
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from tests.commands.test_dump import ROWS
from tests.protection import protect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection

pytestmark = pytest.mark.integration


def test_the_targets_questions_are_asked_and_a_wrong_answer_is_named(
    folder: Path, database: ClusterConnection
):
    with database.connect() as session:
        session.execute("RESET search_path")
        session.execute(ROWS.encode())
    protection = protect(folder, database)
    label = protection.back_up().label
    questions = [
        Query("SELECT count(*) FROM equipment", 1000, "equipment"),
        Query("SELECT id, name FROM equipment WHERE id < 3 ORDER BY id", [[1, "gauge 1"], [2, "x"]], "names"),
        Query("SELECT nothing FROM equipment", 1, "broken"),
    ]

    proof = protection.prove(label, settings=replace(protection.verify, queries=questions))

    assert not proof.matched
    names, broken = proof.differences
    assert "'names'" in names
    assert "'broken'" in broken


def test_a_backup_is_proven_in_a_folder_with_blanks_and_stars_in_its_name(
    folder: Path, database: ClusterConnection
):
    blank = folder / "my  backups *"
    blank.mkdir(mode=0o711)
    protection = protect(blank, database)

    assert protection.prove(protection.back_up().label).matched


def test_what_was_verified_leaves_the_work_list(folder: Path, database: ClusterConnection):
    protection = protect(folder, database)
    label = protection.back_up().label
    assert [str(found.label) for found in unverified(protection.repositories, Policies(dumps="each"))] == [
        label
    ]

    protection.prove(label)

    assert unverified(protection.repositories, Policies(dumps="each")) == []


def test_a_verification_server_that_is_the_source_itself_is_refused(
    folder: Path, database: ClusterConnection
):
    protection = protect(folder, database)
    label = protection.back_up().label

    with pytest.raises(ScratchError, match="the very cluster"):
        protection.prove(label, settings=replace(protection.verify, server=database))

    assert protection.repository("local").catalog.proofs(_published(protection, label)) == ()


@pytest.fixture(scope="module")
def others_encodings(servers_directory: Path) -> Iterator[EmbeddedPostgres]:
    """A server of its own: such a name is not valid in databases of other encodings."""
    with EmbeddedPostgres(
        servers_directory / "encodings", bin_dir=pip_postgres_bin(18), durable=False, die_with_parent=True
    ) as server:
        yield server


@pytest.mark.xdist_group("encodings")
@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "UTF8"])
def test_roles_whose_names_are_not_ascii_are_restored_whatever_the_databases_encoding(
    folder: Path, others_encodings: EmbeddedPostgres, encoding: str
):
    with others_encodings.connect() as session:
        session.execute(
            f"CREATE DATABASE old TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    protection = protect(folder, others_encodings.connection("old"))
    try:
        with protection.source.connect() as session:
            session.execute("""
                CREATE ROLE "Jürgen"; COMMENT ON ROLE "Jürgen" IS 'Grüße';
                CREATE TABLE public."Prüfung" AS SELECT 'é'::text AS "größe";
                ALTER TABLE public."Prüfung" OWNER TO "Jürgen";
                ALTER DATABASE old OWNER TO "Jürgen";
            """)

        proof = protection.prove(protection.back_up().label)

        with protection.source.connect() as session:
            session.execute('REASSIGN OWNED BY "Jürgen" TO CURRENT_USER; DROP ROLE "Jürgen"')
    finally:
        with others_encodings.connect() as session:
            session.execute("DROP DATABASE old WITH (FORCE)")

    assert proof.differences == ()


def _published(protection, label):
    (found,) = protection.repository("local").catalog.backups().backups
    assert str(found.manifest.label) == label
    return found
