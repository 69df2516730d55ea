"""Failed restores name what is missing, from the messages that real servers give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from backstop.postgres.restore_failures import explain_restore_failure

if TYPE_CHECKING:
    from backstop.postgres.connection import ClusterConnection


@pytest.mark.parametrize(
    ("stderr", "explanation"),
    [
        (
            'ERROR:  could not open extension control file "/usr/share/postgresql/postgis.control": '
            "No such file or directory",
            "extension postgis is not installed on this server: install postgresql-16-postgis-3",
        ),
        ('ERROR:  could not access file "$libdir/vector": No such file', "install postgresql-16-pgvector"),
        ('ERROR:  extension "made_up" is not available', "install postgresql-16-made-up"),
        ('ERROR:  role "lab owner" does not exist', "role lab owner does not exist"),
        ('ERROR:  could not create locale "sv_SE.utf8": No such file', "locale sv_SE.utf8 is not installed"),
        ("ERROR:  compression method lz4 not supported", "built without lz4"),
    ],
)
def test_what_is_missing_is_named_with_what_brings_it(stderr: str, explanation: str) -> None:
    assert explanation in (explain_restore_failure(stderr, 16) or "")


def test_other_failures_are_not_explained_away() -> None:
    assert explain_restore_failure('ERROR:  duplicate key value violates unique constraint "a"', 16) is None


@pytest.mark.integration
@pytest.mark.parametrize(
    ("statement", "explanation"),
    [
        ('CREATE EXTENSION "uuid-ossp"', "uuid-ossp is not installed on this server: install postgresql-18 "),
        ("CREATE COLLATION public.x (locale = 'xx_XX.utf8')", "locale xx_XX.utf8 is not installed"),
        ("CREATE TABLE public.t (a text COMPRESSION lz4)", "built without lz4"),
        ('CREATE SCHEMA x AUTHORIZATION "no such"', "role no such does not exist"),
    ],
)
def test_the_words_of_a_real_server_are_understood(
    database: ClusterConnection, statement: str, explanation: str
) -> None:
    with database.connect() as session, pytest.raises(psycopg.Error) as caught:
        session.execute(statement.encode())

    assert explanation in (explain_restore_failure(str(caught.value), 18) or "")
