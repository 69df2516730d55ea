"""Whole databases of the corpus: which cases each holds, and its own properties."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from tests.fidelity.corpus.objects import OBJECT_CASES, SQL, ObjectCase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.postgres.connection import ClusterConnection

_ALONE = {"many_tables", "large_values"}


@dataclass(frozen=True, slots=True)
class CorpusDatabase:
    """One database to create on a cluster where :func:`create_roles` has run.

    :param options: what follows ``CREATE DATABASE name TEMPLATE template0``.
    :param since: the oldest major version that knows these options.
    :param properties: statements about the database itself; ``{}`` is its quoted name.
    :param content: run inside it, as bytes in its own encoding.
    """

    name: str
    options: str = ""
    since: int = 0
    cases: tuple[ObjectCase, ...] = ()
    properties: tuple[str, ...] = ()
    content: bytes = field(default=b"", repr=False)
    needs_icu: bool = False

    def create(self, cluster: ClusterConnection) -> ClusterConnection:
        """Create and fill it. :returns: the same superuser, connected to it."""
        inside = cluster.with_database(self.name)
        name = sql.Identifier(self.name)
        with cluster.connect() as session:
            # The text comes from this file.
            options = sql.SQL(self.options)  # type: ignore[arg-type]
            session.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 {}").format(name, options))
        with _raw(inside) as session:
            if self.content:
                session.execute(self.content)
            for case in self.cases_for(session.info.server_version // 10000):
                case.build(session)
        with cluster.connect() as session:
            for statement in self.properties:
                session.execute(sql.SQL(statement).format(name))  # type: ignore[arg-type]
        return inside

    def cases_for(self, major: int) -> tuple[ObjectCase, ...]:
        return tuple(case for case in self.cases if case.since <= major)

    def fits(self, session: psycopg.Connection[Any]) -> bool:
        """Can this server make such a database?"""
        if session.info.server_version // 10000 < self.since:
            return False
        return not self.needs_icu or bool(
            # Initdb lists a language's collation only where ICU is built in.
            session.execute("SELECT 1 FROM pg_catalog.pg_collation WHERE collname = 'de-x-icu'").fetchone()
        )

    @property
    def needs(self) -> str:
        """For the reason of a skip."""
        return f"PostgreSQL {self.since}" + (" built with ICU" if self.needs_icu else "")

    def drop(self, cluster: ClusterConnection) -> None:
        with cluster.connect() as session:
            name = sql.Identifier(self.name)
            known = session.execute("SELECT 1 FROM pg_database WHERE datname = %s", (self.name,)).fetchone()
            if known and any(case.name == "publications" for case in self.cases):
                # A database with a subscription cannot be dropped.
                with cluster.connect(dbname=self.name) as inside:
                    inside.execute("SET default_transaction_read_only = off")
                    inside.execute("DROP SUBSCRIPTION IF EXISTS corpus_subscription")
            session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def create_roles(cluster: ClusterConnection) -> None:
    """The cluster-wide roles that cases grant to."""
    with cluster.connect() as session:
        session.execute((SQL / "roles.sql").read_bytes())


def drop_roles(cluster: ClusterConnection) -> None:
    """Once every corpus database is gone."""
    with cluster.connect() as session:
        session.execute((SQL / "drop_roles.sql").read_bytes())


@contextmanager
def _raw(connection: ClusterConnection) -> Iterator[psycopg.Connection[Any]]:
    with connection.connect() as session:
        # Subscriptions and DDL triggers of the corpus mean no noise here.
        session.execute("SET client_min_messages = error")
        session.execute("SET search_path = public")
        if session.info.parameter_status("server_encoding") != "SQL_ASCII":
            session.execute("SET client_encoding = 'UTF8'")
        yield session


_PROPERTIES = (
    "ALTER DATABASE {} OWNER TO corpus_owner",
    "ALTER DATABASE {} CONNECTION LIMIT 42",
    "COMMENT ON DATABASE {} IS 'It''s a database\nwith two lines: größe'",
    "REVOKE ALL ON DATABASE {} FROM PUBLIC",
    "GRANT CONNECT ON DATABASE {} TO corpus_reader WITH GRANT OPTION",
    'GRANT CREATE ON DATABASE {} TO "Corpus ""odd"" Role"',
    "ALTER DATABASE {} SET TimeZone = 'Asia/Kathmandu'",
    "ALTER DATABASE {} SET DateStyle = 'German, DMY'",
    "ALTER DATABASE {} SET IntervalStyle = 'sql_standard'",
    "ALTER DATABASE {} SET extra_float_digits = 0",
    "ALTER DATABASE {} SET bytea_output = 'escape'",
    'ALTER DATABASE {} SET search_path = "$user", \'odd "schema"\', public',
    "ALTER DATABASE {} SET default_transaction_read_only = on",
    "ALTER DATABASE {} SET default_transaction_isolation = 'serializable'",
    "ALTER DATABASE {} SET client_encoding = 'LATIN1'",
    "ALTER DATABASE {} SET quote_all_identifiers = on",
    "ALTER DATABASE {} SET array_nulls = off",
    "ALTER DATABASE {} SET transform_null_equals = on",
    "ALTER DATABASE {} SET xmloption = document",
    "ALTER DATABASE {} SET row_security = off",
    "ALTER DATABASE {} SET corpus.custom_setting = 'quo''te \\ back'",
    "ALTER DATABASE {} SET statement_timeout = '45s'",
    "ALTER ROLE corpus_reader IN DATABASE {} SET work_mem = '9MB'",
    "ALTER ROLE corpus_owner IN DATABASE {} SET search_path = views, public",
)

_COMMON = "CREATE TABLE words (v text); CREATE INDEX ON words (v); "

DATABASES = (
    CorpusDatabase("corpus empty"),
    CorpusDatabase(
        "corpus_objects",
        cases=tuple(case for case in OBJECT_CASES if case.name not in _ALONE),
        properties=_PROPERTIES,
    ),
    CorpusDatabase("corpus_many_tables", cases=(ObjectCase("many_tables"),)),
    CorpusDatabase("corpus_large_values", cases=(ObjectCase("large_values"),)),
    CorpusDatabase(
        'Corpus "SQL_ASCII"',
        options="ENCODING 'SQL_ASCII' LOCALE 'C'",
        # Bytes of three encodings side by side, one of them in a name: none need be valid.
        content=_COMMON.encode()
        + b"INSERT INTO words VALUES (E'gr\\366\\337e'), ('gr\xf6\xdfe'), ('gr\xc3\xb6\xc3\x9fe');"
        + b"INSERT INTO words VALUES (E'\\377\\376');"
        + b'CREATE TABLE "latin \xe9" ("\xfc" integer, note text DEFAULT \'\xe4\');'
        + b'INSERT INTO "latin \xe9" VALUES (1);'
        + b"COMMENT ON TABLE words IS 'caf\xe9'",
    ),
    CorpusDatabase(
        "corpus_latin1",
        options="ENCODING 'LATIN1' LOCALE 'C' OWNER corpus_owner",
        content=(
            _COMMON
            + "INSERT INTO words VALUES ('größe'), ('ÿ'), (chr(160)); CREATE TABLE \"käse\" (\"é\" text);"
            " COMMENT ON TABLE words IS 'déjà'"
        ).encode(),
    ),
    CorpusDatabase(
        "corpus_c_utf8",
        options="ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'",
        content=(_COMMON + "INSERT INTO words VALUES ('größe'), ('尺寸'), (upper('ß')), ('📏')").encode(),
    ),
    CorpusDatabase(
        "corpus_builtin_locale",
        options="LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C' CONNECTION LIMIT 3",
        since=17,
        content=(_COMMON + "INSERT INTO words VALUES ('größe'), ('Ä'), ('z')").encode(),
    ),
    CorpusDatabase(
        "corpus_icu_locale",
        options="LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' LOCALE 'C' ENCODING 'UTF8'",
        since=15,
        needs_icu=True,
        content=(
            _COMMON + "INSERT INTO words VALUES ('größe'), ('Ä'), ('z');"
            " CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
            " CREATE TABLE loose_words (v text COLLATE loose UNIQUE);"
            " INSERT INTO loose_words VALUES ('a'), ('b')"
        ).encode(),
    ),
)
