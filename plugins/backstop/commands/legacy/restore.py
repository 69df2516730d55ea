"""``restore-legacy``: a plain dump into a new database beside the live one, an archive into a new folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.commands.database.prepare import prepare_copy
from backstop.commands.database.swap import Names
from backstop.commands.legacy.archive import Archive
from backstop.commands.legacy.check import check_archive, check_dump, opened, require_same
from backstop.commands.legacy.dump import NAME, LegacyDump, database_encoding
from backstop.commands.legacy.gunzip import buffered
from backstop.commands.legacy.unpack import Unpacked, unpack
from backstop.commands.questions import ask
from backstop.commands.stopwatch import Stopwatch
from backstop.errors import IntegrityError, RestoreError, VerificationError
from backstop.files.removal import remove_tree
from backstop.model.backup import BackupKind, BackupLabel
from backstop.postgres import databases
from backstop.postgres.catalog import read_database_properties
from backstop.postgres.globals import apply_to_server
from backstop.postgres.restore_role import check_restore_role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import psycopg

    from backstop.commands.database.restore import RestoreSettings
    from backstop.commands.legacy.check import CheckedDump, CheckedFile
    from backstop.commands.legacy.places import Place
    from backstop.commands.progress import Progress
    from backstop.model.legacy import LegacyBackup
    from backstop.model.legacy_proof import LegacyProof
    from backstop.postgres.connection import ClusterConnection


@dataclass(frozen=True, slots=True)
class LegacyPlan:
    """What a restore of a plain dump will do.

    :param beside: the new database; :param owner: whom it will belong to.
    :param live_exists: whether it is made like the live one, else from what the dump says.
    """

    backup: LegacyBackup
    database: str
    beside: str
    owner: str
    live_exists: bool
    server_major: int
    tables: int
    rows: int
    properties: Mapping[str, Any] = field(repr=False)


@dataclass(slots=True)
class LegacyDatabaseRestore:
    """One plain dump on its way into a new database of the target's server.

    :param server: the restore role's connection: not a superuser, CREATEDB, member of the owner.
    :param proofs: of the file; it must not have changed since the newest that matched.
    """

    place: Place
    backup: LegacyBackup
    server: ClusterConnection
    settings: RestoreSettings
    progress: Progress
    proofs: Sequence[LegacyProof] = ()
    watch: Stopwatch = field(default_factory=Stopwatch)
    _checked: CheckedDump | None = None

    def plan(self, into: str | None = None) -> LegacyPlan:
        """Read the dump to its end, look at the server, change nothing.

        :param into: name of the new database; default: one that says what it is.
        :raises IntegrityError: the dump is not whole; :raises RestoreError: it cannot be restored there.
        """
        self.progress.phase("check", total_bytes=self.backup.size_bytes)
        with self.watch.phase("check"):
            checked = self._checked = check_dump(self.place, self.backup, self.progress)
        require_proven_bytes(checked, self.backup, self.proofs)
        beside = into or default_name(self.settings.database, self.backup.taken_at)
        with self._session() as session:
            live_exists = databases.exists(session, self.settings.database)
            properties = self._properties(checked, live_exists=live_exists)
            facts = check_restore_role(
                session, owner=str(properties["owner"]), allow_superuser=self.settings.allow_superuser
            )
            if facts.server_major < checked.facts.server_major:
                raise RestoreError(
                    f"{self.backup.name} is of PostgreSQL {checked.facts.server_major}, and "
                    f"{self.server.location} runs {facts.server_major}",
                    hint="restore to a server of the same or a newer major version",
                )
            if databases.exists(session, beside):
                raise RestoreError(
                    f"there is a database {beside} already",
                    hint="name another one with --into-database; an existing one is never touched",
                )
        return LegacyPlan(
            backup=self.backup,
            database=self.settings.database,
            beside=beside,
            owner=str(properties["owner"]),
            live_exists=live_exists,
            server_major=checked.facts.server_major,
            tables=len(checked.facts.rows),
            rows=checked.rows,
            properties=properties,
        )

    def restore_beside(self, plan: LegacyPlan) -> dict[str, Any]:
        """Restore into the new database, compare numbers of rows, ask the target's questions, prepare it.

        :returns: seconds by phase, notes, ``database_oid`` for a swap.
        :raises RestoreError: it does not restore here; the half-made database is gone again.
        :raises VerificationError: it answers otherwise than expected; it is left to be looked at.
        """
        if self._checked is None:
            raise RestoreError("the dump was not checked", hint="plan first, then restore")
        dump = LegacyDump(self.place, self.backup, self._checked, self.progress)
        copy = self.server.with_database(plan.beside)
        self.progress.phase("restore", total_bytes=self.backup.size_bytes)
        with self._session() as session:
            with self.watch.phase("restore"):
                created = self._ensure_roles(session)
                databases.create_like(session, plan.beside, plan.properties, owner=plan.owner)
                try:
                    dump.load(copy)
                    notes = databases.apply_properties(session, plan.beside, plan.properties)
                except BaseException:
                    _drop(session, plan.beside)
                    raise
            oid = databases.database_oid(session, plan.beside)
        self.progress.phase("compare")
        with self.watch.phase("compare"):
            wrong = [*dump.differences(copy), *ask(copy, self.settings.queries)]
        if wrong:
            raise VerificationError(
                f"{plan.beside} is not what {self.backup.location} should hold: " + "; ".join(wrong[:20]),
                hint=f"the live database was not touched; look at {plan.beside}, or restore another backup",
            )
        with self.watch.phase("prepare"):
            prepare_copy(self.server, plan.beside, self.settings.after_restore)
        return {
            "seconds": self.watch.seconds(),
            "created_roles": list(created),
            "notes": [*dump.notes, *notes],
            "database_oid": oid,
        }

    def exchange(self, plan: LegacyPlan, *, oid: int | None, clock: Callable[[], datetime]) -> Names:
        """What a swap is told, to put the copy in the live database's place."""
        with self._session() as session:
            old = databases.free_old_name(session, plan.database, clock())
        return Names(database=plan.database, beside=plan.beside, old=old, beside_oid=oid)

    def _properties(self, checked: CheckedDump, *, live_exists: bool) -> Mapping[str, Any]:
        """pg_dump did not bring them: those of the live database, else what the dump lets one see."""
        if live_exists:
            with self.server.with_database(self.settings.database).connect(application_name=NAME) as live:
                return read_database_properties(live)
        owner = checked.roles.owner
        if owner is None:
            raise RestoreError(
                f"{self.settings.database} does not exist, and the dump names no owner",
                hint=f"create an empty database {self.settings.database} with its owner, then restore again",
            )
        encoding = database_encoding(checked.encoding)
        return {"encoding": encoding, "owner": owner, "acl": [f"{owner}=CONNECT"], "settings": []}

    def _ensure_roles(self, session: psycopg.Connection[Any]) -> tuple[str, ...]:
        checked = self._checked
        report = apply_to_server(session, checked.roles.all if checked else (), "")
        if report.create_first:
            raise RestoreError(
                f"the server lacks roles that the dump names: {', '.join(report.create_first)}",
                hint="create them (NOLOGIN will do), then try again: the old scripts did not dump roles",
            )
        return report.created

    def _session(self) -> psycopg.Connection[Any]:
        return self.server.connect(dbname="postgres", application_name=NAME)


@dataclass(frozen=True, slots=True)
class RestoredFiles:
    """An archive unpacked. :param destination: a new folder, closed to others."""

    destination: Path
    done: Unpacked
    sha256: str


def restore_archive(
    place: Place,
    backup: LegacyBackup,
    destination: Path,
    *,
    progress: Progress,
    proofs: Sequence[LegacyProof] = (),
) -> RestoredFiles:
    """Unpack an archive into a new folder; on any failure there is none.

    :raises IntegrityError: it is not whole, names something outside, or was changed since it was proven.
    :raises RestoreError: the folder exists already.
    """
    progress.phase("check", total_bytes=backup.size_bytes)
    checked = check_archive(place, backup, progress)
    require_proven_bytes(checked, backup, proofs)
    progress.phase("restore", total_bytes=backup.size_bytes)
    try:
        destination.mkdir(mode=0o700)
    except OSError as error:
        raise RestoreError(
            f"{destination} cannot be made: {os.strerror(error.errno or 0)}",
            hint="name a new folder in one that exists; nothing is unpacked over something",
        ) from error
    try:
        with opened(place, backup, progress) as content:
            archive = Archive(buffered(content), backup.location)
            done = unpack(archive, destination, name=backup.location, written=lambda _path, _digest: None)
            require_same(content, checked, backup)
    except BaseException:
        remove_tree(os.fsencode(destination))
        raise
    return RestoredFiles(destination, done, checked.sha256)


def require_proven_bytes(checked: CheckedFile, backup: LegacyBackup, proofs: Sequence[LegacyProof]) -> None:
    """A proof is of bytes: the same name, size and time around other ones is somebody's forgery, or damage.

    :raises IntegrityError: the file is not the one that its proof is of.
    """
    own = [proof for proof in proofs if proof.is_of(backup)]
    if own and own[-1].matched and own[-1].file_sha256 != checked.sha256:
        raise IntegrityError(
            f"{backup.location} is not the file that was proven on {own[-1].finished_at:%Y-%m-%d}: its "
            "content was changed, and its size and time are the same",
            hint="find out who did that; restore another backup",
        )


def default_name(database: str, taken_at: datetime) -> str:
    """Such as a restored backup of Backstop's own has."""
    return databases.beside_name(database, BackupLabel.at(taken_at, BackupKind.DUMP))


def _drop(session: psycopg.Connection[Any], name: str) -> None:
    """The database that this run has just made."""
    from psycopg import sql

    session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
