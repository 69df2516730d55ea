"""The inventory: an index of the repositories in a PostgreSQL database, for people, reports and metrics.

It decides nothing that a repository cannot tell by itself, and it can be lost: ``rebuild-inventory`` makes it
again. When it does not answer, callers report it and go on; bookkeeping is delayed, a backup never is.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.model.backup import BackupLabel
from backstop.postgres.connection import source_errors
from backstop.repository.catalog import is_proven
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

    from backstop.errors import IntegrityError
    from backstop.model.backup import BackupKind
    from backstop.model.proof import Proof
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.catalog import Published, Repository

MIGRATIONS = ("0001_backup_inventory", "0002_backup_proof")
"""Applied in this order, each once; every one can be run again without harm."""

# Two migrations at once, or two indexers of one repository, wait for each other: "backstop" as a number.
_LOCK = 0x6261636B73746F70

_BACKUP_TYPES = {
    "dump": "database dump",
    "full": "database base backup",
    "incr": "database incremental base backup",
    "tree": "files",
}


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What reading a repository's catalogue into the inventory found.

    :param missing: labels that the inventory knew, and the repository has no longer.
    :param expired: the same, where it was on purpose.
    :param unreadable: manifests that cannot be trusted, which are no backups, and such proofs; all must be
        shown.
    """

    repository: str
    backups: int
    proofs: int
    missing: tuple[str, ...]
    expired: tuple[str, ...]
    unreadable: tuple[IntegrityError, ...]


class Inventory:
    """The tables ``backup_inventory`` and ``backup_proof`` in the schema ``public`` of one database."""

    def __init__(self, connection: ClusterConnection) -> None:
        self._connection = connection

    @property
    def location(self) -> str:
        """For people; no secret."""
        return self._connection.location

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
            _record(session, repository, published, proofs)

    def index(self, repository: Repository) -> IndexReport:
        """Make the inventory say what the repository holds now; can be repeated at will.

        :raises StorageUnavailableError: the repository does not answer; the inventory stays as it was.
        :raises SourceUnavailableError: the inventory does not answer.
        """
        listing = repository.catalog.backups()
        judged = [(published, repository.catalog.verifications(published)) for published in listing.backups]
        found = [(published, verifications.counting) for published, verifications in judged]
        with self._transaction() as session:
            for published, proofs in found:
                _record(session, repository, published, proofs)
            gone = session.execute(
                load_sql("inventory/mark_missing").encode(),
                {
                    "target": repository.catalog.target,
                    "repository": repository.name,
                    "present": [published.manifest.label.text for published, _ in found],
                },
            ).fetchall()
        return IndexReport(
            repository=repository.name,
            backups=len(found),
            proofs=sum(len(proofs) for _, proofs in found),
            missing=tuple(sorted(label for label, status in gone if status == "missing")),
            expired=tuple(sorted(label for label, status in gone if status == "expired")),
            unreadable=(*listing.unreadable, *(error for _, one in judged for error in one.unreadable)),
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

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        connection = self._connection
        with (
            source_errors(f"inventory {connection.location}", secret=connection.password),
            connection.connect(autocommit=False, application_name="backstop:inventory") as session,
        ):
            session.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            yield session


def status_of(proofs: Sequence[Proof]) -> str:
    """``completed`` until a verification says more: then ``proven`` or ``failed``."""
    if not proofs:
        return "completed"
    return "proven" if is_proven(tuple(proofs)) else "failed"


def backup_type(kind: BackupKind) -> str:
    """The kind in words."""
    return _BACKUP_TYPES[kind.value]


def _record(
    session: psycopg.Connection[tuple[Any, ...]],
    repository: Repository,
    published: Published,
    proofs: Sequence[Proof],
) -> None:
    row = _backup_row(repository, published, proofs)
    # Not one INSERT … ON CONFLICT DO UPDATE: that takes a number from the id's sequence each time.
    if session.execute(load_sql("inventory/update_backup").encode(), row).fetchone() is None:
        session.execute(load_sql("inventory/insert_backup").encode(), row)
    for proof in proofs:
        session.execute(load_sql("inventory/insert_proof").encode(), _proof_row(repository, proof))


def _backup_row(repository: Repository, published: Published, proofs: Sequence[Proof]) -> dict[str, Any]:
    from psycopg.types.json import Jsonb

    manifest = published.manifest
    status = status_of(proofs)
    return {
        "target": manifest.target,
        "label": manifest.label.text,
        "repository": repository.name,
        "repository_id": manifest.repository_id,
        "location": repository.location,
        "backup_type": backup_type(manifest.kind),
        "kind": manifest.kind.value,
        "filename": f"{manifest.target}/meta/manifests/{manifest.label}.json",
        "started_at": manifest.started_at,
        "finished_at": manifest.finished_at,
        "stored_bytes": manifest.stored_bytes,
        "plain_bytes": manifest.plain_bytes,
        "objects": len(manifest.objects),
        "manifest_sha256": published.sha256,
        "encryption_keys": list(manifest.keys),
        "system_id": manifest.system_id,
        "server_version": manifest.server_version,
        "database_name": manifest.database,
        "summary": Jsonb(dict(manifest.summary)),
        "status": status,
        "proven_at": proofs[-1].finished_at if status == "proven" else None,
    }


def _proof_row(repository: Repository, proof: Proof) -> dict[str, Any]:
    from psycopg.types.json import Jsonb

    return {
        "target": proof.target,
        "label": proof.label.text,
        "repository": repository.name,
        "manifest_sha256": proof.manifest_sha256,
        "started_at": proof.started_at,
        "finished_at": proof.finished_at,
        "matched": proof.matched,
        "differences": list(proof.differences),
        "seconds": Jsonb(dict(proof.durations)),
        "checks": Jsonb(dict(proof.checks)),
        "server_version": proof.server_version,
        "isolation": proof.isolation,
        "host": proof.host,
        "signing_key": proof.signature.key if proof.signature else None,
    }
