"""What the restore role cannot restore is named before anything is approved or loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstop.errors import RestoreError, VerificationError
from tests.commands.test_least_privilege import Cluster
from tests.protection import protect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster(
    postgres18: EmbeddedPostgres, new_database: Callable[[EmbeddedPostgres], ClusterConnection]
) -> Iterator[Cluster]:
    made = Cluster(postgres18, new_database(postgres18))
    yield made
    made.remove()


def execute(cluster: Cluster, *statements: str) -> None:
    with cluster.admin.connect() as session:
        for statement in statements:
            session.execute(statement.encode())


def databases(cluster: Cluster) -> int:
    with cluster.server.connect() as session:
        return len(
            session.execute(
                "SELECT FROM pg_database WHERE starts_with(datname, %s)", [cluster.admin.dbname]
            ).fetchall()
        )


@pytest.fixture
def untrusted_extension(cluster: Cluster, folder: Path) -> str:
    """PostgreSQL 18 finds extensions in other directories too."""
    directory = folder / "extension"
    directory.mkdir(mode=0o755)
    name = "lab_units"
    (directory / f"{name}.control").write_text("default_version = '1'\n")
    (directory / f"{name}--1.sql").write_text("CREATE TABLE @extschema@.lab_units (name text);\n")
    for file in directory.iterdir():
        file.chmod(0o644)
    path = f"'$system:{folder}'"
    with cluster.server.connect() as session:
        cluster._execute(
            session, f"ALTER DATABASE {{}} SET extension_control_path = {path}", cluster.admin.dbname
        )
    execute(cluster, f"CREATE EXTENSION {name} SCHEMA lab")
    return path


def test_everything_that_only_a_superuser_restores_is_named_at_once_and_nothing_is_loaded(
    cluster: Cluster, folder: Path, untrusted_extension: str
):
    execute(
        cluster,
        "CREATE FUNCTION lab.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION lab.watch()",
        "CREATE PUBLICATION every_table FOR ALL TABLES",
        "CREATE FOREIGN DATA WRAPPER elsewhere",
        "CREATE CAST (bytea AS text) WITHOUT FUNCTION",
    )
    cluster.grant("ALTER FUNCTION lab.watch() OWNER TO {}", cluster.owner)
    protection = protect(folder, cluster.make_backup_role())
    restorer = cluster.make_restore_role()
    cluster.grant(f"ALTER ROLE {{}} SET extension_control_path = {untrusted_extension}", cluster.restore_role)

    with pytest.raises(RestoreError) as caught:
        protection.restore(protection.back_up().label, server=restorer).plan()

    said = caught.value.message
    for what in (
        "EVENT TRIGGER watch: only a superuser",
        "PUBLICATION every_table: only a superuser",
        "FOREIGN DATA WRAPPER elsewhere: only a superuser",
        "CAST CAST (bytea AS text): only a superuser",
        "extension lab_units: only a superuser",
    ):
        assert what in said
    assert said.count("only a superuser") == 5
    assert databases(cluster) == 1


def test_an_extension_that_the_server_lacks_is_named_with_its_package(
    cluster: Cluster, folder: Path, untrusted_extension: str
):
    protection = protect(folder, cluster.make_backup_role())
    label = protection.back_up().label

    with pytest.raises(
        RestoreError, match=r"extension lab_units is not installed .* postgresql-18-lab-units"
    ):
        protection.restore(label, server=cluster.make_restore_role()).plan()


def test_a_grant_that_another_than_the_owner_made_is_named(cluster: Cluster, folder: Path):
    cluster.grant("CREATE ROLE {}", cluster.second)
    cluster.grant("GRANT SELECT ON lab.equipment TO {} WITH GRANT OPTION", cluster.second)
    cluster.grant("GRANT USAGE ON SCHEMA lab TO {}", cluster.second)
    execute(cluster, f'SET ROLE "{cluster.second}"; GRANT SELECT ON lab.equipment TO pg_monitor')
    protection = protect(folder, cluster.make_backup_role())
    label = protection.back_up().label

    with pytest.raises(RestoreError, match=f"granted by {cluster.second}"):
        protection.restore(label, server=cluster.make_restore_role()).plan()


def test_a_role_that_is_gone_is_named_when_the_restore_role_may_not_create_it(cluster: Cluster, folder: Path):
    protection = protect(folder, cluster.make_backup_role())
    cluster.grant("CREATE ROLE {}", cluster.second)
    with cluster.admin.connect() as session:
        (oid,) = session.execute("SELECT oid FROM pg_largeobject_metadata").fetchone() or (0,)
    cluster.grant(f"GRANT SELECT ON LARGE OBJECT {oid} TO {{}}", cluster.second)
    restorer = cluster.make_restore_role()
    label = protection.back_up().label
    cluster.grant(f"REVOKE ALL ON LARGE OBJECT {oid} FROM {{}}", cluster.second)
    cluster.grant("DROP ROLE {}", cluster.second)
    restore = protection.restore(label, server=restorer)

    with pytest.raises(RestoreError, match=f"role {cluster.second} does not exist"):
        restore.plan()

    # It may create roles now: whom a large object is granted to comes with the rest.
    cluster.grant("ALTER ROLE {} CREATEROLE", cluster.restore_role)
    plan = restore.plan()
    assert restore.restore_beside(plan)["created_roles"] == [cluster.second]
    restore.validate(plan)


def test_settings_that_the_restore_role_may_not_make_are_named_and_do_not_fail_the_validation(
    cluster: Cluster, folder: Path
):
    cluster.grant("CREATE ROLE {}", cluster.second)
    cluster.grant("ALTER DATABASE {} SET log_min_duration_statement = 250", cluster.admin.dbname)
    cluster.grant("ALTER DATABASE {} SET lab.tenant = 'somebody'", cluster.admin.dbname)
    cluster.grant("ALTER DATABASE {} SET statement_timeout = '1h'", cluster.admin.dbname)
    cluster.grant("ALTER ROLE {} IN DATABASE {} SET work_mem = '8MB'", cluster.second, cluster.admin.dbname)
    protection = protect(folder, cluster.make_backup_role())
    label = protection.back_up().label
    restore = protection.restore(label, server=cluster.make_restore_role())
    plan = restore.plan()

    notes = restore.restore_beside(plan)["notes"]
    missing = restore.validate(plan)["not_set"]

    assert len(notes) == len(missing) == 3
    for setting in ("log_min_duration_statement", "lab.tenant", f"work_mem of role {cluster.second}"):
        assert any(f"setting {setting}" in note for note in notes)
        assert any(f"setting {setting}" in sentence for sentence in missing)


def test_a_setting_that_the_restore_role_may_make_and_that_is_missing_fails_the_validation(
    cluster: Cluster, folder: Path
):
    cluster.grant("ALTER DATABASE {} SET statement_timeout = '1h'", cluster.admin.dbname)
    cluster.grant("ALTER DATABASE {} SET log_min_duration_statement = 250", cluster.admin.dbname)
    protection = protect(folder, cluster.make_backup_role())
    restore = protection.restore(protection.back_up().label, server=cluster.make_restore_role())
    plan = restore.plan()
    restore.restore_beside(plan)
    cluster.grant("ALTER DATABASE {} RESET statement_timeout", plan.beside)

    with pytest.raises(VerificationError, match=r"database settings .* differ"):
        restore.validate(plan)
