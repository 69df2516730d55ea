"""The differ itself: silent on a true copy, and loud on each single change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from tests.fidelity.corpus import OBJECT_CASES, CorpusDatabase, create_roles, drop_roles
from tests.fidelity.differ import Image, capture, differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("differ")]

ORIGINAL = CorpusDatabase(
    "differ_original",
    cases=tuple(
        case
        for case in OBJECT_CASES
        if case.name in {"security", "sequences", "tables", "types", "views", "comments"}
    ),
    content=b"SELECT lo_from_bytea(881000, 'scan')",
)
# Each change, and what its sentence must name. Several go into one copy; those of one object go apart.
CHANGES = (
    (
        ("UPDATE tables.same_row_many_times SET a = 2 WHERE ctid = '(0,7)'", "rows of 'tables.same_row_many"),
        ("INSERT INTO tables.without_columns DEFAULT VALUES", "rows of 'tables.without_columns'"),
        ("UPDATE types.floats SET d = 0 WHERE d = 0", "rows of 'types.floats'"),
        ("UPDATE types.strings SET v = '' WHERE v IS NULL", "rows of 'types.strings'"),
        ("UPDATE types.json_values SET j = (j::text || ' ')::json", "rows of 'types.json_values'"),
        ("UPDATE types.times SET clock = clock + interval '1 microsecond'", "rows of 'types.times'"),
        ("REFRESH MATERIALIZED VIEW views.never_filled", "rows of 'views.never_filled'"),
        ("SELECT nextval('sequences.called_once')", "sequence 'sequences.called_once'"),
        ("SELECT setval('sequences.never_called', 1, true)", "sequence 'sequences.never_called'"),
        ("ALTER SEQUENCE sequences.cycled NO CYCLE", "Name: cycled"),
        ("SELECT lo_put(881000, 0, 'S')", "large object '881000'"),
        ("ALTER TABLE tables.empty OWNER TO corpus_owner", "Name: empty"),
        ("REVOKE UPDATE (b) ON security.granted FROM corpus_reader", "granted"),
        ("ALTER TABLE security.guarded NO FORCE ROW LEVEL SECURITY", "guarded"),
        ("COMMENT ON COLUMN comments.commented.b IS 'other'", "commented.b"),
        ("DROP INDEX views.by_status", "by_status"),
        ("ALTER DATABASE differ_changed SET TimeZone = 'UTC'", "database property 'settings'"),
        ("ALTER DATABASE differ_changed CONNECTION LIMIT 5", "database property 'datconnlimit'"),
        ("GRANT CREATE ON DATABASE differ_changed TO corpus_reader", "database property 'acl'"),
        ("COMMENT ON DATABASE differ_changed IS 'x'", "database property 'comment'"),
        ("ALTER ROLE corpus_owner CONNECTION LIMIT 18", "role 'corpus_owner'"),
        ("ALTER ROLE corpus_reader PASSWORD 'another'", "role 'corpus_reader'"),
    ),
    (
        ("DELETE FROM tables.same_row_many_times WHERE ctid = '(0,7)'", "rows of 'tables.same_row_many"),
        ("UPDATE views.orders SET amount = 0", "rows of 'views.orders'"),
        ("REFRESH MATERIALIZED VIEW views.aaa_third_level", "rows of 'views.aaa_third_level'"),
        ("GRANT SELECT ON LARGE OBJECT 881000 TO corpus_reader", "large object '881000'"),
        ("DROP POLICY own_rows ON security.guarded", "own_rows"),
        ("ALTER TABLE tables.tuned SET (fillfactor = 56)", "Name: tuned"),
        ("ALTER TABLE tables.identity_full REPLICA IDENTITY DEFAULT", "identity_full"),
        ("ALTER TABLE security.granted ALTER a SET DEFAULT 1", "granted"),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE corpus_owner REVOKE ALL ON TABLES FROM corpus_reader",
            "DEFAULT ACL",
        ),
        ("CREATE TYPE views.new_type AS ENUM ('a')", "new_type"),
        ("ALTER ROLE corpus_reader IN DATABASE differ_changed SET work_mem = '3MB'", "property 'settings'"),
        ("ALTER DATABASE differ_changed OWNER TO corpus_owner", "database property 'owner'"),
        ("REVOKE CONNECT ON DATABASE differ_changed FROM PUBLIC", "database property 'acl'"),
        ("COMMENT ON ROLE corpus_owner IS 'x'", "role 'corpus_owner'"),
        ("REVOKE ADMIN OPTION FOR corpus_owner FROM corpus_reader", "role 'corpus_reader'"),
    ),
    (
        ("COMMENT ON LARGE OBJECT 881000 IS 'new'", "large object '881000'"),
        (
            "ALTER TABLE views.orders DROP CONSTRAINT spelled_out, "
            "ADD CONSTRAINT spelled_out CHECK (status IN ('new', 'sent', 'paid'))",
            "Name: orders",
        ),
        ("ALTER ROLE corpus_owner VALID UNTIL '2032-01-01'", "role 'corpus_owner'"),
        ("ALTER ROLE corpus_reader SET work_mem = '8MB'", "role 'corpus_reader'"),
    ),
)


@pytest.fixture(scope="module")
def roles(postgres18: EmbeddedPostgres) -> Iterator[Callable[[], None]]:
    """The corpus roles, made anew whenever called."""
    cluster = postgres18.connection()
    yield lambda: (ORIGINAL.drop(cluster), drop_roles(cluster), create_roles(cluster))[-1]
    ORIGINAL.drop(cluster)
    drop_roles(cluster)


@pytest.fixture(scope="module")
def original(postgres18: EmbeddedPostgres, roles: Callable[[], None]) -> Image:
    roles()
    return image_of(postgres18, ORIGINAL.create(postgres18.connection()))


@pytest.fixture
def copy(postgres18: EmbeddedPostgres, original: Image) -> Iterator[ClusterConnection]:
    name = "differ_changed"
    with postgres18.connect() as session:
        session.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(ORIGINAL.name)
            )
        )
    yield postgres18.connection(name)
    with postgres18.connect() as session:
        session.execute("DROP DATABASE differ_changed WITH (FORCE)")


@pytest.fixture
def changed_roles(postgres18: EmbeddedPostgres, original: Image) -> Iterator[None]:
    """Roles belong to the cluster: what a test does to them is undone for the next."""
    yield
    verifier = original.roles["corpus_reader"].split("'rolpassword': '")[1].split("'")[0]
    with postgres18.connect() as session:
        session.execute("ALTER ROLE corpus_owner CONNECTION LIMIT 17 VALID UNTIL '2031-02-03 04:05:06+00'")
        session.execute("COMMENT ON ROLE corpus_owner IS E'Owner\\nin two lines'")
        session.execute(sql.SQL("ALTER ROLE corpus_reader PASSWORD {}").format(sql.Literal(verifier)))
        session.execute("ALTER ROLE corpus_reader SET work_mem = '7MB'")
        session.execute("GRANT corpus_owner TO corpus_reader WITH ADMIN OPTION")


def image_of(server: EmbeddedPostgres, connection: ClusterConnection) -> Image:
    return capture(connection, pg_dump=server.bin_dir / "pg_dump")


def test_an_exact_copy_shows_no_difference(postgres18, original, copy):
    assert differences(original, image_of(postgres18, copy)) == []


@pytest.mark.parametrize("changes", CHANGES)
def test_each_single_change_is_found_and_named(postgres18, original, copy, changes, changed_roles):
    with copy.connect() as session:
        for statement, _ in changes:
            session.execute(statement.encode())
    sentences = differences(original, image_of(postgres18, copy))

    for statement, named in changes:
        assert any(named in sentence for sentence in sentences), statement
    for sentence in sentences:
        assert any(named in sentence for _, named in changes), sentence


def test_a_rewritten_cast_between_text_and_varchar_is_no_difference(postgres18, original, copy):
    # What the server stores when it reads its own `(ARRAY['new'::varchar, ...])::text[]` back.
    states = ", ".join(f"('{state}'::character varying)::text" for state in ("new", "paid", "sent"))
    with copy.connect() as session:
        session.execute("ALTER TABLE views.orders DROP CONSTRAINT orders_status_check")
        session.execute(
            f"ALTER TABLE views.orders ADD CONSTRAINT orders_status_check "
            f"CHECK (status::text = ANY (ARRAY[{states}]))".encode()
        )
    found = image_of(postgres18, copy)

    assert found.schema != original.schema
    assert differences(original, found) == []
