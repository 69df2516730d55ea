"""The whole way with the roles that our own SQL files make: nobody on it is a superuser."""

from __future__ import annotations

import secrets
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

from backstop.commands.database.swap import ApplicationCommands, swap_in
from backstop.errors import RestoreError, SourceError
from backstop.model.backup import BackupLabel
from tests.protection import protect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration

CHECKOUT = Path(__file__).parents[2]
PASSWORDS = "passwords of roles (pg_authid is not readable for the backup role)"

# As the application's own role makes it. `readings` hides rows even from its owner.
SCHEMA = """
CREATE SCHEMA lab;
CREATE TYPE lab.state AS ENUM ('due', 'done');
CREATE TABLE lab.equipment (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, state lab.state);
INSERT INTO lab.equipment (name, state) SELECT 'gauge ' || n, 'due' FROM generate_series(1, 200) n;
CREATE TABLE lab.readings (tenant text NOT NULL, equipment bigint REFERENCES lab.equipment, value numeric);
INSERT INTO lab.readings SELECT 'tenant ' || n % 3, n, n / 3.0 FROM generate_series(1, 200) n;
ALTER TABLE lab.readings ENABLE ROW LEVEL SECURITY;
ALTER TABLE lab.readings FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON lab.readings USING (tenant = current_setting('lab.tenant', true));
CREATE TABLE lab.years (year int, n int) PARTITION BY LIST (year);
CREATE TABLE lab.years_2026 PARTITION OF lab.years FOR VALUES IN (2026);
INSERT INTO lab.years VALUES (2026, 1);
CREATE VIEW lab.due AS SELECT id FROM lab.equipment WHERE state = 'due';
CREATE MATERIALIZED VIEW lab.counts AS SELECT count(*) FROM lab.equipment;
CREATE FUNCTION lab.touch() RETURNS trigger LANGUAGE plpgsql
AS 'BEGIN NEW.name := trim(NEW.name); RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON lab.equipment FOR EACH ROW EXECUTE FUNCTION lab.touch();
SELECT lo_from_bytea(0, '\\x0102');
"""


@dataclass
class Cluster:
    """One database of an application, with the roles that back it up and restore it."""

    server: EmbeddedPostgres
    admin: ClusterConnection
    mark: str = field(default_factory=lambda: secrets.token_hex(4))

    def __post_init__(self) -> None:
        self.owner, self.second, self.backup_role, self.restore_role = (
            f"{name} {self.mark}" for name in ("app", "reporting", "backup", "restore")
        )
        with self.admin.connect() as session:
            self._execute(session, "CREATE ROLE {} LOGIN PASSWORD 'x'", self.owner)
            self._execute(session, "ALTER DATABASE {} OWNER TO {}", self.admin.dbname, self.owner)
        with self.as_role(self.owner).connect() as session:
            session.execute("RESET search_path")
            session.execute(SCHEMA.encode())

    @staticmethod
    def _execute(session: Any, statement: str, *names: str) -> None:
        session.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def grant(self, statement: str, *names: str) -> None:
        """As the superuser, in the database."""
        with self.admin.connect() as session:
            self._execute(session, statement, *names)

    def run_file(self, name: str, **variables: str) -> None:
        """psql with one of the files that users run, as the superuser."""
        argv = [str(self.server.bin_dir / "psql"), "-Xq", "-v", "ON_ERROR_STOP=1", "-f", name]
        for variable, value in variables.items():
            argv += ["-v", f"{variable}={value}"]
        with self.admin.child_environment(self.server.directory) as environment:
            subprocess.run(argv, env=environment, cwd=CHECKOUT / "include/sql/roles", check=True)

    def make_backup_role(self) -> ClusterConnection:
        self.run_file("backup_role.sql", role=self.backup_role)
        self.grant("ALTER ROLE {} PASSWORD 'x'", self.backup_role)
        return self.as_role(self.backup_role)

    def make_narrow_backup_role(self) -> ClusterConnection:
        """What backup_role.sql offers to those who want no password verifiers in their backups."""
        self.grant("CREATE ROLE {} LOGIN BYPASSRLS PASSWORD 'x'", self.backup_role)
        self.grant("GRANT USAGE ON SCHEMA lab TO {}", self.backup_role)
        self.grant("GRANT SELECT ON ALL TABLES IN SCHEMA lab TO {}", self.backup_role)
        self.grant("GRANT SELECT ON ALL SEQUENCES IN SCHEMA lab TO {}", self.backup_role)
        with self.admin.connect() as session:
            for (oid,) in session.execute("SELECT oid FROM pg_largeobject_metadata").fetchall():
                self._execute(session, f"GRANT SELECT ON LARGE OBJECT {oid} TO {{}}", self.backup_role)
        return self.as_role(self.backup_role)

    def make_restore_role(self) -> ClusterConnection:
        self.run_file("restore_role.sql", role=self.restore_role, owner=self.owner)
        self.grant("ALTER ROLE {} PASSWORD 'x'", self.restore_role)
        return self.as_role(self.restore_role)

    def as_role(self, name: str) -> ClusterConnection:
        return replace(self.admin, user=name, password="x")

    def count(self, table: str, *, user: ClusterConnection | None = None, tenant: str = "") -> int:
        with (user or self.admin).connect() as session:
            session.execute("SELECT set_config('lab.tenant', %s, false)", [tenant])
            row: Any = session.execute(f"SELECT count(*) FROM {table}").fetchone()
            return int(row[0])

    def owners(self) -> set[str]:
        with self.admin.connect() as session:
            rows = session.execute(
                "SELECT pg_get_userbyid(relowner) FROM pg_class "
                "WHERE relnamespace = 'lab'::regnamespace UNION "
                "SELECT pg_get_userbyid(lomowner) FROM pg_largeobject_metadata UNION "
                "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
            ).fetchall()
        return {name for (name,) in rows}

    def remove(self) -> None:
        with self.server.connect() as session:
            for (name,) in session.execute(
                "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{self.admin.dbname}%"]
            ).fetchall():
                self._execute(session, "DROP DATABASE {} WITH (FORCE)", name)
            for role in (self.restore_role, self.backup_role, self.second, self.owner):
                self._execute(session, "DROP ROLE IF EXISTS {}", role)


@pytest.fixture(params=["postgres18", "postgres16"])
def cluster(
    request: pytest.FixtureRequest, new_database: Callable[[EmbeddedPostgres], ClusterConnection]
) -> Iterator[Cluster]:
    server: EmbeddedPostgres = request.getfixturevalue(request.param)
    made = Cluster(server, new_database(server))
    yield made
    made.remove()


def break_it(cluster: Cluster) -> None:
    with cluster.as_role(cluster.owner).connect() as session:
        session.execute("DROP TABLE lab.readings")
        session.execute("DELETE FROM lab.equipment WHERE id > 10")


def test_what_the_backup_role_reads_the_restore_role_brings_back_equal(cluster: Cluster, folder: Path):
    protection = protect(folder, cluster.make_backup_role())
    restorer = cluster.make_restore_role()

    report = protection.back_up()
    proof = protection.prove(report.label)
    break_it(cluster)
    restore = protection.restore(report.label, server=restorer)
    plan = restore.plan()
    notes = restore.restore_beside(plan)["notes"]
    restore.validate(plan)
    swap_in(plan, server=restorer, application=ApplicationCommands(), accept_logical_slots=False)

    assert (proof.differences, proof.matched) == ((), True)
    assert report.not_included == ()
    assert notes == []
    assert cluster.count("lab.equipment") == 200
    assert cluster.count("lab.readings") == 200
    assert cluster.owners() == {cluster.owner}
    # Its rows are still hidden from everybody but their tenant, the owner included.
    application = cluster.as_role(cluster.owner)
    assert cluster.count("lab.readings", user=application, tenant="tenant 1") == 67
    assert cluster.count("lab.readings", user=application, tenant="nobody") == 0


def test_without_the_roles_passwords_the_rest_comes_back_and_the_manifest_says_what_is_missing(
    cluster: Cluster, folder: Path
):
    protection = protect(folder, cluster.make_narrow_backup_role())
    restorer = cluster.make_restore_role()

    report = protection.back_up()
    manifest = protection.repository("local").catalog.backup(BackupLabel(report.label)).manifest
    proof = protection.prove(report.label)
    break_it(cluster)
    restore = protection.restore(report.label, server=restorer)
    plan = restore.plan()
    restore.restore_beside(plan)
    restore.validate(plan)

    assert PASSWORDS in report.not_included
    assert manifest.not_included == report.not_included
    assert (proof.differences, proof.matched) == ((), True)


def test_a_table_that_the_backup_role_cannot_read_is_named_before_anything_is_written(
    cluster: Cluster, folder: Path
):
    protection = protect(folder, cluster.make_narrow_backup_role())
    with cluster.as_role(cluster.owner).connect() as session:
        session.execute('CREATE TABLE lab."made Later" (id int)')

    with pytest.raises(SourceError, match=r'SELECT is not granted on table lab\."made Later"') as caught:
        protection.back_up()

    assert "backup_role.sql" in caught.value.hint
    assert not (folder / "repository").exists()


def test_rows_that_the_backup_role_would_not_see_are_refused_by_name(cluster: Cluster, folder: Path):
    protection = protect(folder, cluster.make_backup_role())
    cluster.grant("ALTER ROLE {} NOBYPASSRLS", cluster.backup_role)

    with pytest.raises(SourceError, match=r"row-level security hides rows .* lab\.readings"):
        protection.back_up()

    assert not (folder / "repository").exists()


def test_a_second_owner_is_named_until_the_restore_role_is_its_member_too(cluster: Cluster, folder: Path):
    protection = protect(folder, cluster.make_backup_role())
    restorer = cluster.make_restore_role()
    cluster.grant("CREATE ROLE {}", cluster.second)
    cluster.grant("GRANT USAGE, CREATE ON SCHEMA lab TO {}", cluster.second)
    cluster.grant("ALTER VIEW lab.due OWNER TO {}", cluster.second)
    restore = protection.restore(protection.back_up().label, server=restorer)

    with pytest.raises(RestoreError, match=f"VIEW lab.due: given to {cluster.second}, .* GRANT"):
        restore.plan()

    cluster.grant("GRANT {} TO {}", cluster.second, cluster.restore_role)
    plan = restore.plan()
    restore.restore_beside(plan)
    restore.validate(plan)
