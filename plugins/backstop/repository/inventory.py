"""The inventory: an index of the repositories in a PostgreSQL database, for people, reports and metrics.

It decides nothing that a repository cannot tell by itself, and it can be lost: ``rebuild-inventory`` makes it
again. When it does not answer, callers report it and go on; bookkeeping is delayed, a backup never is.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.backup import BackupLabel
from backstop.postgres.connection import source_errors
from backstop.repository.evidence_heads import enter_head, newest_evidence
from backstop.repository.expiring import ExpiringMarks
from backstop.repository.holds import Holds
from backstop.repository.inventory_rows import backup_row, hold_row, proof_row
from backstop.repository.inventory_version import MIGRATIONS, InventoryDatabase
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    import psycopg

    from backstop.model.hold import Hold
    from backstop.model.proof import Proof
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.catalog import Published, Repository

# Two migrations at once, or two indexers of one repository, wait for each other: "backstop" as a number.
_LOCK = 0x6261636B73746F70


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What reading a repository's catalogue into the inventory found.

    :param missing: labels that the inventory knew, and the repository has no longer.
    :param expired: the same, where it was on purpose.
    :param missing_holds: in words, holds whose documents have gone while their backups are there.
    :param unreadable: manifests that cannot be trusted, which are no backups, and such proofs and holds, and
        evidence that the inventory knew and the repository has no longer; all must be shown.
    """

    repository: str
    backups: int
    proofs: int
    holds: int
    missing: tuple[str, ...]
    expired: tuple[str, ...]
    missing_holds: tuple[str, ...]
    unreadable: tuple[IntegrityError, ...]


class Inventory:
    """The tables ``backup_inventory``, ``backup_proof``, ``backup_hold`` in ``public`` of one database."""

    def __init__(self, connection: ClusterConnection) -> None:
        self._connection = InventoryDatabase.of(connection)

    @property
    def location(self) -> str:
        """For people; no secret."""
        return self._connection.location

    @property
    def connection(self) -> ClusterConnection:
        """Of its database, for others who keep something there."""
        return self._connection

    def migrate(self) -> list[str]:
        """Create the tables, or bring them up to date; an existing ``backup_inventory`` is taken over.

        :returns: the migrations that were applied now.
        :raises SourceUnavailableError: the database does not answer.
        """
        with self._transaction() as session:
            session.execute(load_sql("inventory/schema_migration").encode())
            rows = session.execute("SELECT name FROM public.backup_schema_migration").fetchall()
            known = {name for (name,) in rows}
            missing = [name for name in MIGRATIONS if name not in known]
            for name in missing:
                session.execute(load_sql(f"inventory/migrations/{name}").encode())
                session.execute(
                    "INSERT INTO public.backup_schema_migration (version, name) VALUES (%s, %s)",
                    (int(name.partition("_")[0]), name),
                )
        return missing

    def record(self, repository: Repository, published: Published, proofs: Sequence[Proof]) -> None:
        """Enter one backup and its verifications, or bring them up to date.

        :raises SourceUnavailableError: the database does not answer: enter it later with :meth:`index`.
        """
        with self._transaction() as session:
            record_backup(session, repository, published, proofs)

    def index(self, repository: Repository) -> IndexReport:
        """Make the inventory say what the repository holds now; can be repeated at will.

        :raises StorageUnavailableError: the repository does not answer; the inventory stays as it was.
        :raises SourceUnavailableError: the inventory does not answer.
        """
        listing = repository.catalog.backups()
        judged = [(published, repository.catalog.verifications(published)) for published in listing.backups]
        found = [(published, verifications.counting) for published, verifications in judged]
        held, strays = Holds(repository).survey()
        holds = [hold for row in held.values() for hold in row]
        expiring = [label.text for label in ExpiringMarks(repository).labels()]
        here = {"target": repository.catalog.target, "repository": repository.name}
        labels = [published.manifest.label.text for published, _ in found]
        chain, head, recorded_at = newest_evidence(repository)
        with self._transaction() as session:
            for published, proofs in found:
                going = published.manifest.label.text in expiring
                record_backup(session, repository, published, proofs, expiring=going)
            gone = session.execute(
                load_sql("inventory/mark_missing").encode(),
                {**here, "present": labels, "expiring": expiring},
            ).fetchall()
            for hold in holds:
                _record_hold(session, repository, hold)
            lost = session.execute(
                load_sql("inventory/mark_missing_holds").encode(),
                {**here, "labels": labels, "present": [hold.sha256 for hold in holds]},
            ).fetchall()
            forgotten = enter_head(session, repository.name, chain, head, recorded_at)
        return IndexReport(
            repository=repository.name,
            backups=len(found),
            proofs=sum(len(proofs) for _, proofs in found),
            holds=len(holds),
            missing=tuple(sorted(label for label, status in gone if status == "missing")),
            expired=tuple(sorted(label for label, status in gone if status == "expired")),
            missing_holds=tuple(f"hold {number} on {label}" for label, number in sorted(lost)),
            unreadable=(
                *listing.unreadable,
                *(error for _, one in judged for error in one.unreadable),
                *strays,
                *(_doubt(hold) for hold in holds if hold.damage),
                *(IntegrityError(sentence, hint="look who removed it") for sentence in forgotten),
            ),
        )

    def expired(self, repository: Repository) -> frozenset[BackupLabel]:
        """What retention has removed there, or is about to: it must not be brought back.

        :raises SourceUnavailableError: the inventory does not answer.
        """
        with self._transaction() as session:
            rows = session.execute(
                load_sql("inventory/expired_labels").encode(),
                {"target": repository.catalog.target, "repository": repository.name},
            ).fetchall()
        return frozenset(BackupLabel(label) for (label,) in rows if BackupLabel.is_one(label))

    def require(self) -> None:
        """:raises SourceUnavailableError: the database does not answer."""
        with self._transaction() as session:
            session.execute("SELECT FROM public.backup_inventory LIMIT 1")

    def mark_expiring(self, repository: Repository, label: BackupLabel, reasons: Sequence[str]) -> None:
        """Say that the backup is about to go, before anything of it does."""
        self._mark("mark_expiring", repository, label, reasons=list(reasons))

    def mark_kept(self, repository: Repository, label: BackupLabel, status: str) -> None:
        """Say that it stays after all. :param status: see :func:`status_of`."""
        self._mark("mark_kept", repository, label, status=status)

    def mark_expired(self, repository: Repository, label: BackupLabel, at: datetime) -> None:
        """Say that it has gone, on purpose."""
        self._mark("mark_expired", repository, label, at=at)

    def _mark(self, question: str, repository: Repository, label: BackupLabel, **values: Any) -> None:
        with self._transaction() as session:
            session.execute(
                load_sql(f"inventory/{question}").encode(),
                {
                    "target": repository.catalog.target,
                    "repository": repository.name,
                    "label": label.text,
                    **values,
                },
            )

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        connection = self._connection
        with (
            source_errors(f"inventory {connection.location}", secret=connection.password),
            connection.connect(autocommit=False, application_name="backstop:inventory") as session,
        ):
            session.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            yield session


def record_backup(
    session: psycopg.Connection[tuple[Any, ...]],
    repository: Repository,
    published: Published,
    proofs: Sequence[Proof],
    *,
    expiring: bool | None = None,
) -> None:
    """Enter one backup in a session of the caller's. :param expiring: None: nobody has asked."""
    row = {**backup_row(repository, published, proofs), "expiring": expiring}
    # Not one INSERT … ON CONFLICT DO UPDATE: that takes a number from the id's sequence each time.
    if session.execute(load_sql("inventory/update_backup").encode(), row).fetchone() is None:
        session.execute(load_sql("inventory/insert_backup").encode(), row)
    for proof in proofs:
        session.execute(load_sql("inventory/insert_proof").encode(), proof_row(repository, proof))


def _record_hold(session: psycopg.Connection[tuple[Any, ...]], repository: Repository, hold: Hold) -> None:
    row = hold_row(repository, hold)
    if session.execute(load_sql("inventory/update_hold").encode(), row).fetchone() is None:
        session.execute(load_sql("inventory/insert_hold").encode(), row)


def _doubt(hold: Hold) -> IntegrityError:
    return IntegrityError(
        f"hold {hold.number} on {hold.label}, which counts as in force: {hold.damage}",
        hint="release it with `python -m backstop release-hold` once it is clear who placed it and why",
    )
