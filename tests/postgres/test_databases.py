"""Databases like the source: names, properties, refusals."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from backstop.errors import RestoreError
from backstop.model.backup import BackupLabel
from backstop.postgres.databases import apply_properties, beside_name, create_like, drop_database, old_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded.postgres import EmbeddedPostgres

LABEL = BackupLabel("20261123T010000Z-dump")
NOW = datetime(2026, 11, 23, 11, 30, tzinfo=timezone.utc)
PROPERTIES_SQL = Path("include/sql/catalog/database_properties.sql")
PLAIN: dict[str, Any] = {"encoding": "UTF8", "collate": "C", "ctype": "C", "locale_provider": "libc"}


def test_names_say_where_they_come_from() -> None:
    assert beside_name("calibrify", LABEL) == "calibrify_restored_20261123t010000z"
    assert old_name("calibrify", NOW) == "calibrify_replaced_20261123t113000z"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=63))
def test_a_derived_name_always_fits(database: str) -> None:
    for name in (beside_name(database, LABEL), old_name(database, NOW)):
        assert len(name.encode()) <= 63
        assert name.endswith("z")


def test_long_names_that_differ_at_their_end_stay_different() -> None:
    assert beside_name("ü" * 30 + "a", LABEL) != beside_name("ü" * 30 + "b", LABEL)


@pytest.fixture(params=["postgres18", "postgres16"])
def server(request: pytest.FixtureRequest) -> EmbeddedPostgres:
    found: EmbeddedPostgres = request.getfixturevalue(request.param)
    return found


class Playground:
    """Unusual names on one server, dropped at the end."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self.mark = uuid.uuid4().hex[:6]
        self.owner = f"Owner '{self.mark}'"
        self.guest = f'guest="{self.mark}"'
        self.restorer = f"restorer_{self.mark}"
        self.database = f'Lab "{self.mark}"; %s'
        self.copy = beside_name(self.database, LABEL)

    def __enter__(self) -> Playground:
        with self.server.connect() as session:
            for role in (self.owner, self.guest, self.restorer):
                session.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
            session.execute(
                sql.SQL("ALTER ROLE {} CREATEDB; GRANT {} TO {}").format(
                    sql.Identifier(self.restorer), sql.Identifier(self.owner), sql.Identifier(self.restorer)
                )
            )
        return self

    def __exit__(self, *_: object) -> None:
        with self.server.connect() as session:
            for database in (self.database, self.copy):
                session.execute(
                    sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database))
                )
            for role in (self.owner, self.guest, self.restorer):
                session.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))

    def make_source(self) -> dict[str, Any]:
        database, owner, guest = map(sql.Identifier, (self.database, self.owner, self.guest))
        with self.server.connect() as session:
            for statement in (
                "CREATE DATABASE {database} OWNER {owner} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'",
                "REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC",
                "GRANT CREATE ON DATABASE {database} TO {guest} WITH GRANT OPTION",
                "COMMENT ON DATABASE {database} IS 'it''s; the \"lab\"'",
                "ALTER DATABASE {database} CONNECTION LIMIT 7",
                "ALTER DATABASE {database} SET search_path = \"$user\", 'a;b', public",
                "ALTER DATABASE {database} SET myapp.tenant = 'it''s=1, 2'",
                "ALTER DATABASE {database} SET work_mem = '5MB'",
                "ALTER ROLE {guest} IN DATABASE {database} SET search_path = ''",
                "ALTER ROLE {owner} IN DATABASE {database} SET DateStyle = 'German, DMY'",
            ):
                session.execute(sql.SQL(statement).format(database=database, owner=owner, guest=guest))
        return self.properties(self.database)

    def properties(self, database: str) -> dict[str, Any]:
        with self.server.connect(database) as session:
            row = session.execute(PROPERTIES_SQL.read_text()).fetchone()  # type: ignore[arg-type]
        assert row
        return dict(json.loads(row[0]))


@pytest.fixture
def playground(server: EmbeddedPostgres) -> Iterator[Playground]:
    with Playground(server) as made:
        yield made


@pytest.mark.integration
def test_a_copy_has_every_property_of_its_source(playground: Playground) -> None:
    properties = json.loads(json.dumps(playground.make_source()))

    with playground.server.connect() as session:
        create_like(session, playground.copy, properties, playground.owner)
        notes = apply_properties(session, playground.copy, properties)

    assert notes == []
    assert playground.properties(playground.copy) == properties
    assert properties["encoding"] == "LATIN1"


@pytest.mark.integration
def test_a_restore_role_that_is_no_superuser_makes_the_copy_and_names_what_it_may_not_set(
    playground: Playground,
) -> None:
    properties = playground.make_source()

    with playground.server.connect(user="postgres") as session:
        session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(playground.restorer)))
        create_like(session, playground.copy, properties, playground.owner)
        notes = apply_properties(session, playground.copy, properties)

    copied = playground.properties(playground.copy)
    assert {**copied, "settings": None} == {**properties, "settings": None}
    # Not the owner's to set: a parameter that no extension has defined, another role's settings.
    assert len(notes) == 2
    assert "setting myapp.tenant was not set" in notes[0]
    assert f"setting search_path of role {playground.guest} was not set" in notes[1]


@pytest.mark.integration
def test_nobody_but_its_owner_enters_a_copy_before_it_is_complete(playground: Playground) -> None:
    with playground.server.connect() as session:
        create_like(session, playground.copy, PLAIN, playground.owner)
        question = (
            "SELECT has_database_privilege({}, {}, 'CONNECT'), has_database_privilege({}, {}, 'CONNECT')"
        )
        names = (playground.guest, playground.copy, playground.owner, playground.copy)
        found = session.execute(sql.SQL(question).format(*map(sql.Literal, names))).fetchone()

    assert found == (False, True)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"collate": "xx_XX.UTF-8"}, "install the locale C and xx_XX.UTF-8.*locales-all"),
        ({"locale_provider": "icu", "icu_locale": "de"}, "built with ICU that knows the locale de"),
    ],
)
def test_a_locale_that_is_not_to_be_had_is_named_with_what_brings_it(
    playground: Playground, change: dict[str, str], hint: str
) -> None:
    with playground.server.connect() as session:
        with pytest.raises(RestoreError, match=hint):
            create_like(session, playground.copy, {**PLAIN, **change}, playground.owner)

        assert not exists(session, playground.copy)


@pytest.mark.integration
def test_a_name_that_is_taken_is_left_as_it_is(playground: Playground) -> None:
    with playground.server.connect() as session:
        create_like(session, playground.copy, PLAIN, playground.owner)

        with pytest.raises(RestoreError, match="already exists"):
            create_like(session, playground.copy, PLAIN, playground.owner)

        assert exists(session, playground.copy)


@pytest.mark.integration
def test_a_role_that_may_not_give_to_the_owner_is_told_what_to_grant(playground: Playground) -> None:
    with playground.server.connect() as session:
        session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(playground.restorer)))
        with pytest.raises(RestoreError, match=r"restore_role\.sql"):
            create_like(session, playground.copy, PLAIN, playground.guest)


@pytest.mark.integration
def test_only_databases_of_ours_are_dropped(playground: Playground) -> None:
    with playground.server.connect() as session:
        create_like(session, playground.copy, PLAIN, playground.owner)
        for name in ("postgres", playground.database, old_name("x", NOW)):
            with pytest.raises(RestoreError, match="not dropped"):
                drop_database(session, name)
        with pytest.raises(RestoreError, match="not dropped"):
            drop_database(session, playground.copy, what="replaced")

        drop_database(session, playground.copy)
        drop_database(session, playground.copy)

        assert not exists(session, playground.copy)


def exists(session: psycopg.Connection[Any], database: str) -> bool:
    found = session.execute("SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s", [database])
    return found.fetchone() is not None
