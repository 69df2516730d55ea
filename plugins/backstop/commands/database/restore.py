"""``restore-database``: plan, restore beside the live database, validate; :mod:`.swap` does the rest.

Nothing here touches the live database. Every step works on a database of its own, whose name says what it
is, and which can be thrown away and made again.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.commands.database.compare import compare_restored, expected_fingerprint
from backstop.commands.database.fetch import fetch_backup, fetch_object
from backstop.commands.database.load import load_dump
from backstop.commands.database.objects import FINGERPRINT, GLOBALS
from backstop.commands.database.obstacles import refuse_obstacles
from backstop.commands.database.plan import RestorePlan
from backstop.commands.database.prepare import prepare_copy
from backstop.commands.database.restored_copy import definitions_alone
from backstop.commands.database.roles import ensure_roles
from backstop.commands.questions import ask
from backstop.commands.staging import staging_directory, sweep_staging
from backstop.commands.stopwatch import Stopwatch
from backstop.errors import RestoreError, VerificationError
from backstop.model.canonical import format_time
from backstop.postgres import databases, swap
from backstop.postgres.dump_directory import TOC
from backstop.postgres.restore_role import check_restore_role
from backstop.postgres.tools import PostgresTools
from backstop.repository.pins import pin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    import psycopg

    from backstop.commands.progress import Progress
    from backstop.commands.questions import Query
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import BackupLabel, Manifest
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.catalog import Repository


@dataclass(frozen=True, slots=True)
class RestoreSettings:
    """How to restore.

    :param scratch: folder for the fetched dump.
    :param database: name of the live database.
    :param reader: the backup role's connection; it may read everything, which a comparison needs.
    :param after_restore: SQL run in the validated copy before anyone connects.
    """

    scratch: Path
    database: str
    reader: ClusterConnection
    jobs: int = 2
    queries: Sequence[Query] = ()
    after_restore: Sequence[str] = ()
    allow_superuser: bool = False
    accept_logical_slots: bool = False


@dataclass(slots=True)
class DatabaseRestore:
    """One backup on its way back, from one repository to one server.

    :param server: the restore role's connection: not a superuser, CREATEDB, member of the owner.
    """

    repository: Repository
    label: BackupLabel
    server: ClusterConnection
    keyring: Keyring
    settings: RestoreSettings
    clock: Callable[[], datetime]
    progress: Progress
    watch: Stopwatch = field(default_factory=Stopwatch)

    def plan(self) -> RestorePlan:
        """Look at everything that could stop the restore, change nothing.

        :raises RestoreError: it cannot work, and why; all that this role or server lacks is named at once.
        :raises BackstopError: the backup cannot be read or opened.
        """
        published = self.repository.catalog.backup(self.label)
        manifest = published.manifest
        manifest.require_dump()
        verifications = self.repository.catalog.verifications(published)
        proofs = verifications.proofs
        database = self.settings.database
        with (
            self._fetched(manifest, only=(FINGERPRINT, TOC, GLOBALS)) as dump,
            self._session() as session,
        ):
            expected = expected_fingerprint(dump)
            owner = str(expected.database["owner"])
            facts = check_restore_role(session, owner=owner, allow_superuser=self.settings.allow_superuser)
            if facts.server_major < manifest.server_major:
                raise RestoreError(
                    f"backup {manifest.label} is of PostgreSQL {manifest.server_major}, and "
                    f"{self.server.location} runs {facts.server_major}",
                    hint="restore to a server of the same or a newer major version",
                )
            tools = self._tools(manifest, session)
            refuse_obstacles(session, dump, expected, facts=facts, tools=tools)
            live_exists = databases.exists(session, database)
            beside = databases.beside_name(database, manifest.label)
            old = databases.free_old_name(session, database, self.clock())
            blockers = (
                swap.check_swap(
                    session,
                    live=database,
                    beside=beside,
                    old=old,
                    accept_logical_slots=self.settings.accept_logical_slots,
                    planned=True,
                )
                if live_exists
                else []
            )
        return RestorePlan(
            target=manifest.target,
            repository=self.repository.name,
            label=manifest.label.text,
            database=database,
            beside=beside,
            old=old,
            owner=owner,
            live_exists=live_exists,
            snapshot_at=format_time(manifest.snapshot_at),
            proven_at=format_time(proofs[-1].finished_at) if verifications.proven else None,
            server_version=manifest.server_version,
            plain_bytes=manifest.plain_bytes,
            stored_bytes=manifest.stored_bytes,
            tables=len(expected.tables),
            rows=expected.rows,
            blockers=tuple(blockers),
            warnings=(*facts.warnings(manifest.plain_bytes), *verifications.doubts()),
        )

    def restore_beside(self, plan: RestorePlan) -> dict[str, Any]:
        """Restore into ``plan.beside``; what an earlier try left there is replaced.

        :returns: seconds by phase, and notes on what could not be set.
        :raises RestoreError: the dump does not restore here; the half-made database is removed.
        """
        manifest = self.repository.catalog.backup(self.label).manifest
        with self._fetched(manifest) as dump, self._session() as session:
            expected = expected_fingerprint(dump)
            tools = self._tools(manifest, session)
            self.progress.phase("restore")
            with self.watch.phase("restore"):
                databases.drop_database(session, plan.beside)
                roles = ensure_roles(session, dump, expected, tools)
                databases.create_like(session, plan.beside, expected.database, owner=plan.owner)
                try:
                    load_dump(
                        self.server.with_database(plan.beside), dump, tools=tools, jobs=self.settings.jobs
                    )
                    notes = databases.apply_properties(session, plan.beside, expected.database)
                except BaseException:
                    databases.drop_database(session, plan.beside)
                    raise
        return {"seconds": self.watch.seconds(), "created_roles": list(roles), "notes": notes}

    def validate(self, plan: RestorePlan) -> dict[str, Any]:
        """Compare the copy with the backup's fingerprint, ask the target's questions, prepare it for use.

        :returns: seconds by phase, what was compared, ``database_oid`` for the swap, and ``not_set``: what
            this role may not set on the database, one sentence each; the copy lacks it.
        :raises VerificationError: it differs; the live database is as it was, the copy is left to look at.
        """
        manifest = self.repository.catalog.backup(self.label).manifest
        copy = self.settings.reader.with_database(plan.beside)
        with self._fetched(manifest, only=(FINGERPRINT, TOC)) as dump, self._session() as session:
            expected = expected_fingerprint(dump)
            tools = self._tools(manifest, session)
            validated = self._same_database(session, plan.beside)
            refused = databases.refused_settings(session, plan.beside, expected.database)
            self.progress.phase("compare")
            with self.watch.phase("compare"):
                sentences = compare_restored(
                    expected,
                    copy,
                    tools=tools,
                    jobs=self.settings.jobs,
                    reference=lambda: definitions_alone(
                        # The live database may be what was lost.
                        self.server.with_database("postgres"),
                        dump,
                        expected,
                        tools=tools,
                        label=manifest.label,
                        database=plan.database,
                    ),
                    folder=dump.parent,
                    refused_settings=refused,
                )
        with self.watch.phase("probe"):
            sentences += ask(copy, self.settings.queries)
        if sentences:
            raise VerificationError(
                f"{plan.beside} is not what backup {plan.label} holds: " + "; ".join(sentences[:20]),
                hint=f"the live database was not touched; look at {plan.beside}, or restore another backup",
            )
        with self.watch.phase("prepare"):
            prepare_copy(self.server, plan.beside, self.settings.after_restore)
        return {
            "tables": len(expected.tables),
            "rows": expected.rows,
            "seconds": self.watch.seconds(),
            "database_oid": validated,
            "not_set": list(refused.values()),
        }

    def _same_database(self, session: psycopg.Connection[Any], name: str) -> int:
        """Its oid, which must be the same for both roles: their connections may lead to different servers."""
        ours = databases.database_oid(session, name)
        if ours is None:
            raise RestoreError(f"there is no database {name}", hint="restore beside first, then validate")
        with self.settings.reader.with_database(name).connect(application_name="backstop:restore") as reader:
            theirs = databases.database_oid(reader, name)
        if ours != theirs:
            raise RestoreError(
                f"{name} on {self.settings.reader.location} is not what was restored on "
                f"{self.server.location}",
                hint="conn_id and restore_conn_id must lead to the same server; correct one of them",
            )
        return ours

    def _session(self) -> psycopg.Connection[Any]:
        """To a database that is neither the live one nor the copy, so that both can be renamed."""
        return self.server.connect(dbname="postgres", application_name="backstop:restore")

    @contextmanager
    def _fetched(self, manifest: Manifest, *, only: Sequence[str] | None = None) -> Iterator[Path]:
        """The dump directory, or some of its files, for as long as they are needed."""
        sweep_staging(self.settings.scratch)
        folder_name = f"restore-{manifest.label}-{secrets.token_hex(4)}"
        with (
            pin(self.repository.storage, manifest.target, manifest.label, holder="restore", clock=self.clock),
            staging_directory(self.settings.scratch, folder_name) as folder,
        ):
            dump = folder / "dump"
            with self.watch.phase("fetch"):
                if only is None:
                    fetch_backup(
                        self.repository,
                        manifest,
                        keyring=self.keyring,
                        destination=dump,
                        jobs=self.settings.jobs,
                        progress=self.progress,
                    )
                else:
                    dump.mkdir(mode=0o700)
                    for name in only:
                        fetch_object(
                            self.repository,
                            manifest,
                            manifest.object_named(name),
                            keyring=self.keyring,
                            destination=dump / name,
                            progress=self.progress,
                        )
            yield dump

    def _tools(self, manifest: Manifest, session: psycopg.Connection[Any]) -> PostgresTools:
        # pg_restore reads archives of its own and older versions of pg_dump.
        return PostgresTools.find(max(manifest.server_major, session.info.server_version // 10000))
