"""A restore goes beside, is compared, swapped in, and can be swapped back, all without superuser rights."""

from __future__ import annotations

import secrets
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

from backstop.commands.database.swap import ApplicationCommands, plan_swap_back, swap_in
from backstop.errors import CommandError, RestoreError, VerificationError
from backstop.postgres import swap as rename
from tests.commands.test_dump import ROWS
from tests.protection import protect, utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.database.swap import Names
    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration


@pytest.fixture
def owner(postgres18: EmbeddedPostgres, database: ClusterConnection) -> str:
    """The database belongs to a role that cannot log in, and so does what is in it."""
    name = f"owner_{secrets.token_hex(4)}"
    with postgres18.connect() as session:
        session.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
        session.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                sql.Identifier(database.dbname), sql.Identifier(name)
            )
        )
    with database.connect() as session:
        session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(name)))
        session.execute("RESET search_path")
        session.execute(ROWS.encode())
    return name


@pytest.fixture
def restorer(postgres18: EmbeddedPostgres, database: ClusterConnection, owner: str) -> ClusterConnection:
    """What include/sql/roles/restore_role.sql makes."""
    name, password = f"restore_{secrets.token_hex(4)}", secrets.token_hex(8)
    with postgres18.connect() as session:
        role = sql.Identifier(name)
        session.execute(
            sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(role, sql.Literal(password))
        )
        for granted in (owner, "pg_signal_backend", "pg_read_all_stats", "pg_read_all_data"):
            session.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(granted), role))
    return replace(database, user=name, password=password)


def count(database: ClusterConnection, name: str, table: str = "equipment") -> int:
    with database.with_database(name).connect() as session:
        row: Any = session.execute(f"SELECT count(*) FROM public.{table}").fetchone()
        return int(row[0])


def test_a_dropped_table_comes_back_through_a_swap_and_the_old_database_can_come_back_too(
    folder: Path, database: ClusterConnection, restorer: ClusterConnection
):
    protection = protect(folder, database)
    label = protection.back_up().label
    with database.connect() as session:
        session.execute("DROP TABLE public.measurements")
        session.execute("DELETE FROM public.equipment WHERE id > 10")
    restore = protection.restore(label, server=restorer)

    plan = restore.plan()
    assert plan.blockers == ()
    restore.restore_beside(plan)
    assert count(database, database.dbname) == 10
    restore.validate(plan)
    outcome = swap_in(plan, server=restorer, application=ApplicationCommands(), accept_logical_slots=False)

    assert count(database, database.dbname) == 1000
    assert count(database, database.dbname, "measurements") == 50000
    assert outcome.kept == plan.old

    with database.connect() as session:
        session.execute("TRUNCATE public.measurements")
        session.execute("DELETE FROM public.equipment WHERE id > 999")
    back, blockers = plan_back(database, restorer)
    assert (back.beside, blockers) == (plan.old, [])
    outcome = swap_in(
        back,
        server=restorer,
        application=ApplicationCommands(),
        accept_logical_slots=False,
        beside_oid=back.beside_oid,
    )
    assert count(database, database.dbname) == 10

    # What was committed since the swap survives another restore of the same backup.
    assert outcome.kept == back.old
    assert back.old.startswith(f"{database.dbname}_replaced_")
    restore.restore_beside(plan)
    with database.connect(dbname="postgres") as session:
        session.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(back.old)))
    assert count(database, back.old) == 999


def plan_back(
    database: ClusterConnection, restorer: ClusterConnection, former: str = ""
) -> tuple[Names, list[str]]:
    return plan_swap_back(
        database.dbname, former=former, server=restorer, accept_logical_slots=False, now=utc_now()
    )


def test_with_several_former_databases_somebody_has_to_choose(
    database: ClusterConnection, restorer: ClusterConnection, owner: str
):
    first, second = (f"{database.dbname}_replaced_2026112{day}t113000z" for day in (1, 2))
    with database.connect(dbname="postgres") as session:
        for name in (first, second):
            session.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner))
            )
    try:
        with pytest.raises(RestoreError, match=f"{first}, {second}") as refused:
            plan_back(database, restorer)
        assert "name the one to go back to" in str(refused.value)
        assert plan_back(database, restorer, first)[0].beside == first
    finally:
        with database.connect(dbname="postgres") as session:
            for name in (first, second):
                session.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def test_what_a_database_of_a_similar_name_has_kept_is_not_gone_back_to(
    database: ClusterConnection, restorer: ClusterConnection, owner: str
):
    theirs = sql.Identifier(f"{database.dbname}_replaced_2_replaced_20261121t113000z")
    with database.connect(dbname="postgres") as session:
        session.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(theirs, sql.Identifier(owner)))
    try:
        with pytest.raises(RestoreError, match="keeps no former"):
            plan_back(database, restorer)
    finally:
        with database.connect(dbname="postgres") as session:
            session.execute(sql.SQL("DROP DATABASE {}").format(theirs))


def test_a_superuser_may_not_restore_unless_that_is_allowed(folder: Path, database: ClusterConnection):
    protection = protect(folder, database)
    label = protection.back_up().label

    with pytest.raises(RestoreError, match="superuser"):
        protection.restore(label, server=database).plan()


def test_a_copy_that_differs_is_kept_beside_and_never_swapped(
    folder: Path, database: ClusterConnection, restorer: ClusterConnection
):
    protection = protect(folder, database)
    label = protection.back_up().label
    restore = protection.restore(label, server=restorer)
    plan = restore.plan()
    restore.restore_beside(plan)
    with database.with_database(plan.beside).connect() as session:
        session.execute("UPDATE public.equipment SET name = 'forged' WHERE id = 7")

    with pytest.raises(VerificationError, match=r"public\.equipment"):
        restore.validate(plan)

    assert count(database, plan.beside) == 1000


def test_what_an_earlier_try_left_beside_is_replaced(
    folder: Path, database: ClusterConnection, restorer: ClusterConnection
):
    protection = protect(folder, database)
    restore = protection.restore(protection.back_up().label, server=restorer)
    plan = restore.plan()
    restore.restore_beside(plan)
    with database.with_database(plan.beside).connect() as session:
        session.execute("DROP TABLE public.measurements")

    restore.restore_beside(plan)

    assert restore.validate(plan)["rows"] == 51000


@pytest.mark.parametrize("live", ["there", "gone"])
def test_a_copy_that_another_restore_made_anew_after_the_validation_is_not_swapped_in(
    folder: Path, database: ClusterConnection, restorer: ClusterConnection, live: str
):
    protection = protect(folder, database)
    label = protection.back_up().label
    first, second = (protection.restore(label, server=restorer) for _ in range(2))
    plan = first.plan()
    first.restore_beside(plan)
    validated = first.validate(plan)["database_oid"]
    second.restore_beside(plan)
    if live == "gone":
        with database.connect(dbname="postgres") as session:
            session.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(database.dbname)))

    for swap in (
        partial(
            swap_in, plan, server=restorer, application=ApplicationCommands(), accept_logical_slots=False
        ),
        # What the check at the start cannot see: it is made anew between that and the rename.
        partial(
            rename.swap if live == "there" else _put_in_place,
            restorer.with_database("postgres"),
            live=plan.database,
            beside=plan.beside,
            old=plan.old,
        ),
    ):
        with pytest.raises(RestoreError, match="not the database that was validated"):
            swap(beside_oid=validated)

    with database.connect(dbname="postgres") as session:
        rows = session.execute(
            "SELECT datname FROM pg_database WHERE datname = ANY(%s) AND datallowconn",
            [[plan.database, plan.beside, plan.old]],
        ).fetchall()
    assert {name for (name,) in rows} == {plan.beside, *([plan.database] if live == "there" else [])}


def test_a_database_that_was_dropped_comes_back_under_its_name_and_there_is_nothing_to_go_back_to(
    folder: Path, database: ClusterConnection, restorer: ClusterConnection, owner: str
):
    with database.connect() as session:
        session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(owner)))
        # Spelt otherwise once it was restored: a second restore has to tell that it is equal.
        session.execute("CREATE TABLE public.parts (n varchar(9) CHECK (n IN ('a', 'b')))")
    protection = protect(folder, database)
    restore = protection.restore(protection.back_up().label, server=restorer)
    with database.connect(dbname="postgres") as session:
        session.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(database.dbname)))

    plan = restore.plan()
    restore.restore_beside(plan)
    oid = restore.validate(plan)["database_oid"]
    not_taken = ApplicationCommands(probe=[["false"]])
    with pytest.raises(CommandError, match="holds the restored data, but") as failed:
        swap_in(plan, server=restorer, application=not_taken, accept_logical_slots=False, beside_oid=oid)

    assert (plan.live_exists, plan.blockers) == (False, ())
    assert count(database, database.dbname) == 1000
    assert "nothing to swap back to" in str(failed.value.hint)
    with pytest.raises(RestoreError, match="there is nothing to go back to"):
        plan_back(database, restorer)


def test_a_swap_that_fails_where_there_is_no_live_database_says_so(
    folder: Path, database: ClusterConnection, restorer: ClusterConnection
):
    protection = protect(folder, database)
    restore = protection.restore(protection.back_up().label, server=restorer)
    with database.connect(dbname="postgres") as session:
        session.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(database.dbname)))
    plan = restore.plan()
    restore.restore_beside(plan)

    with pytest.raises(CommandError, match="and then") as failed:
        swap_in(
            plan,
            server=restorer,
            application=ApplicationCommands(stop=[["false"]], start=[["false"]]),
            accept_logical_slots=False,
        )

    assert f"there is no database {database.dbname}, as before" in str(failed.value.hint)
    assert count(database, plan.beside) == 1000


def _put_in_place(admin: ClusterConnection, *, live: str, beside: str, old: str, beside_oid: int) -> None:
    rename.put_in_place(admin, live=live, beside=beside, beside_oid=beside_oid)


def test_a_reader_that_leads_to_another_server_is_noticed_before_anything_is_compared(
    folder: Path, database: ClusterConnection, restorer: ClusterConnection, postgres16: EmbeddedPostgres
):
    protection = protect(folder, database)
    restore = protection.restore(protection.back_up().label, server=restorer)
    plan = restore.plan()
    restore.restore_beside(plan)
    elsewhere = postgres16.connection()
    with elsewhere.connect() as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(plan.beside)))
    restore.settings = replace(restore.settings, reader=elsewhere)

    with pytest.raises(RestoreError, match="is not what was restored on"):
        restore.validate(plan)

    with elsewhere.connect() as session:
        session.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(plan.beside)))


def test_sql_of_the_target_runs_before_anyone_connects(
    folder: Path, database: ClusterConnection, restorer: ClusterConnection
):
    protection = protect(folder, database)
    label = protection.back_up().label
    erase = [
        "DELETE FROM public.measurements WHERE equipment = 5",
        "DELETE FROM public.equipment WHERE id = 5",
    ]
    restore = protection.restore(label, server=restorer, after_restore=erase)
    plan = restore.plan()
    restore.restore_beside(plan)
    restore.validate(plan)

    assert count(database, plan.beside) == 999


def test_when_the_targets_sql_fails_none_of_it_is_kept(
    folder: Path, database: ClusterConnection, restorer: ClusterConnection
):
    protection = protect(folder, database)
    label = protection.back_up().label
    broken = ["DELETE FROM public.measurements", "DELETE FROM public.misspelt"]
    restore = protection.restore(label, server=restorer, after_restore=broken)
    plan = restore.plan()
    restore.restore_beside(plan)

    with pytest.raises(RestoreError, match=r"restore\.after_restore, statement 2"):
        restore.validate(plan)

    assert count(database, plan.beside, "measurements") == 50000


def test_sql_of_the_target_runs_in_a_database_that_is_set_read_only(
    folder: Path, database: ClusterConnection, restorer: ClusterConnection
):
    with database.connect(dbname="postgres") as session:
        session.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(
                sql.Identifier(database.dbname)
            )
        )
    protection = protect(folder, database)
    restore = protection.restore(
        protection.back_up().label, server=restorer, after_restore=["DELETE FROM public.measurements"]
    )
    plan = restore.plan()
    restore.restore_beside(plan)

    restore.validate(plan)

    assert count(database, plan.beside, "measurements") == 0


def test_what_lies_on_foreign_servers_is_not_asked_and_everything_else_is_analyzed(
    folder: Path, database: ClusterConnection, restorer: ClusterConnection, owner: str
):
    foreign = """
    CREATE FOREIGN DATA WRAPPER elsewhere;
    GRANT USAGE ON FOREIGN DATA WRAPPER elsewhere TO {role};
    SET ROLE {role};
    CREATE SERVER far FOREIGN DATA WRAPPER elsewhere;
    CREATE TABLE public."Part %s" (a int, b int) PARTITION BY LIST (a);
    CREATE TABLE public.part_1 PARTITION OF public."Part %s" FOR VALUES IN (1);
    CREATE FOREIGN TABLE public.part_2 PARTITION OF public."Part %s" FOR VALUES IN (2) SERVER far;
    CREATE TABLE public.own (a int) PARTITION BY LIST (a);
    CREATE TABLE public.own_1 PARTITION OF public.own FOR VALUES IN (1);
    INSERT INTO public."Part %s" VALUES (1, 1);
    INSERT INTO public.own VALUES (1);
    """
    with database.connect() as session:
        session.execute(sql.SQL(foreign).format(role=sql.Identifier(owner)))
    protection = protect(folder, database)
    restore = protection.restore(protection.back_up().label, server=database, allow_superuser=True)
    plan = restore.plan()
    restore.restore_beside(plan)

    restore.validate(plan)

    with database.with_database(plan.beside).connect() as session:
        rows = session.execute("SELECT DISTINCT tablename FROM pg_stats WHERE schemaname = 'public'")
        assert {"part_1", "own", "own_1", "equipment"} <= {name for (name,) in rows}
