"""A backup restored where it can do no harm, for as long as somebody looks at it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.commands.database.load import load_dump
from backstop.commands.database.objects import GLOBALS
from backstop.commands.database.roles import ensure_roles
from backstop.errors import RestoreError, ScratchError
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import psycopg

    from backstop.model.backup import BackupLabel, Manifest
    from backstop.model.fingerprint import Fingerprint
    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.isolation import Isolation
    from backstop.postgres.tools import PostgresTools


@dataclass(frozen=True, slots=True)
class RestoredCopy:
    """A restored database on a server of our own.

    :param administrator: the scratch server's superuser, on its maintenance database.
    :param keep: ends a scratch server, and moves its data directory to where it stays.
    """

    database: ClusterConnection
    administrator: ClusterConnection = field(repr=False)
    tools: PostgresTools
    dump: Path
    expected: Fingerprint = field(repr=False)
    label: BackupLabel
    keep: Callable[[Path], None] | None = field(default=None, repr=False)

    @contextmanager
    def reference(self) -> Iterator[ClusterConnection]:
        """The dump's definitions alone, in a database of their own beside the copy."""
        with definitions_alone(
            self.administrator,
            self.dump,
            self.expected,
            tools=self.tools,
            label=self.label,
            database=self.database.dbname,
        ) as reference:
            yield reference


@contextmanager
def definitions_alone(
    server: ClusterConnection,
    dump: Path,
    expected: Fingerprint,
    *,
    tools: PostgresTools,
    label: BackupLabel,
    database: str,
) -> Iterator[ClusterConnection]:
    """A temporary database with the dump's definitions and no rows.

    :param server: on a database that is there, whatever became of others.
    :param database: names it, with the label: targets that are backed up at the same time share their labels.
    """
    from backstop.postgres.databases import apply_properties, beside_name, create_like, drop_database

    name = beside_name(f"{database}_reference", label)
    with server.connect() as session:
        with _not_the_backups_fault():
            drop_database(session, name)
            create_like(session, name, expected.database, owner=str(expected.database["owner"]))
        try:
            reference = server.with_database(name)
            load_dump(reference, dump, tools=tools, jobs=1, schema_only=True)
            # Some settings show in how definitions are spelt, such as quote_all_identifiers.
            apply_properties(session, name, expected.database)
            yield reference
        finally:
            drop_database(session, name)


@contextmanager
def restored_in_scratch(
    manifest: Manifest,
    *,
    dump: Path,
    expected: Fingerprint,
    parent: Path,
    isolation: Isolation,
    hide: Sequence[Path],
    jobs: int,
) -> Iterator[RestoredCopy]:
    """Start a scratch server of the same major version, restore roles, database and dump into it.

    :raises RestoreError: the dump does not restore; :raises ScratchError: no scratch server can be had.
    """
    from backstop.postgres.databases import apply_properties, create_like
    from backstop.postgres.encodings import decode_script
    from backstop.postgres.globals import apply_to_scratch
    from backstop.postgres.scratch import ScratchCluster
    from backstop.postgres.tools import PostgresTools

    tools = PostgresTools.find(manifest.server_major, server=True)
    superuser = expected.bootstrap_superuser
    with ScratchCluster(
        manifest.server_major,
        bin_dir=tools.bin_dir,
        parent=parent,
        isolation=isolation,
        superuser=superuser,
        hide=hide,
        encoding=str(expected.database["encoding"]),
    ) as cluster:
        administrator = cluster.connection("template1")
        database = administrator.with_database(manifest.database)
        with administrator.connect() as session:
            # Roles first, so that owners and grants find them.
            apply_to_scratch(session, decode_script((dump / GLOBALS).read_bytes()), superuser)
            if manifest.database == "postgres":
                session.execute("DROP DATABASE postgres")
            with _not_the_backups_fault():
                owner = str(expected.database["owner"])
                create_like(session, manifest.database, expected.database, owner=owner)
            load_dump(database, dump, tools=tools, jobs=jobs)
            # Settings last: ALTER DATABASE … SET default_transaction_read_only would stop the load.
            notes = apply_properties(session, manifest.database, expected.database)
        if notes:
            raise RestoreError("; ".join(notes), hint="compare with the source")
        yield RestoredCopy(
            database=database,
            administrator=administrator,
            tools=tools,
            dump=dump,
            expected=expected,
            label=manifest.label,
            keep=cluster.keep,
        )


@contextmanager
def restored_on_server(
    manifest: Manifest, *, dump: Path, expected: Fingerprint, server: ClusterConnection, jobs: int
) -> Iterator[RestoredCopy]:
    """Restore into a database of its own on a server that is kept for verification.

    :raises ScratchError: that server is the source itself, cannot be told apart from it, or has another
        major version (definitions are spelt differently there).
    :raises RestoreError: the dump does not restore there.
    """
    from backstop.postgres.databases import apply_properties, beside_name, create_like, drop_database
    from backstop.postgres.restore_role import check_restore_role
    from backstop.postgres.tools import PostgresTools

    owner = str(expected.database["owner"])
    with server.connect(application_name="backstop:verify") as session:
        _refuse_source(session, manifest, server)
        with _not_the_backups_fault():
            facts = check_restore_role(session, owner=owner, allow_superuser=False)
        if facts.server_major != manifest.server_major:
            raise ScratchError(
                f"{server.location} runs PostgreSQL {facts.server_major}, the backup is of "
                f"{manifest.server_major}",
                hint="name a server of the same major version in verify.server_conn_id",
            )
        tools = PostgresTools.find(manifest.server_major)
        name = beside_name(f"{manifest.target}_verify", manifest.label)
        with _not_the_backups_fault():
            drop_database(session, name)
            ensure_roles(session, dump, expected, tools)
            create_like(session, name, expected.database, owner=owner)
        try:
            database = server.with_database(name)
            load_dump(database, dump, tools=tools, jobs=jobs)
            notes = apply_properties(session, name, expected.database)
            if notes:
                raise ScratchError(
                    "; ".join(notes), hint="grant what include/sql/roles/restore_role.sql lists"
                )
            yield RestoredCopy(
                database=database,
                administrator=server,
                tools=tools,
                dump=dump,
                expected=expected,
                label=manifest.label,
            )
        finally:
            drop_database(session, name)


@contextmanager
def _not_the_backups_fault() -> Iterator[None]:
    """What fails in here is for want of a right, a locale or space on this server: no proof of anything."""
    try:
        yield
    except RestoreError as error:
        raise ScratchError(error.message, hint=error.hint) from error


def _refuse_source(session: psycopg.Connection[Any], manifest: Manifest, server: ClusterConnection) -> None:
    row = session.execute(load_sql("preflight/system_id")).fetchone()
    system_id = str(row[0]) if row else ""
    if system_id == manifest.system_id:
        raise ScratchError(
            f"{server.location} is the very cluster the backup was taken from",
            hint="name another server in verify.server_conn_id",
        )
    if manifest.system_id == "unknown":
        raise ScratchError(
            f"{server.location} cannot be told apart from the source, whose system identifier is unknown",
            hint="let the backup role read pg_control_system(), or verify in a scratch server",
        )
