"""The inventory's memory of where each chain of evidence ended: it never moves to a chain that forgot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import BackstopError
from backstop.model.evidence import ChainHead
from backstop.postgres.connection import source_errors
from backstop.repository.evidence import evidence_of
from backstop.sql import load_sql

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.catalog import Repository
    from backstop.repository.evidence import EvidenceChain


def remember_head(
    inventory: ClusterConnection, name: str, chain: EvidenceChain, head: ChainHead, recorded_at: datetime
) -> list[str]:
    """Remember the newest record, if what was remembered before is still in the chain.

    :param inventory: its database; :param name: of the repository.
    :returns: sentences: the inventory does not answer, or the chain lacks what the inventory knows of it.
    """
    try:
        with (
            source_errors(f"inventory {inventory.location}", secret=inventory.password),
            inventory.connect(application_name="backstop:evidence") as session,
        ):
            return enter_head(session, name, chain, head, recorded_at)
    except BackstopError as error:
        return [f"the inventory does not know yet of the evidence in {name}: {error.message}"]


def enter_head(
    session: psycopg.Connection[tuple[object, ...]],
    name: str,
    chain: EvidenceChain,
    head: ChainHead | None,
    recorded_at: datetime | None,
) -> list[str]:
    """The same in a session of the caller's. :param head: None: the chain is empty.

    :raises StorageUnavailableError: the repository does not answer.
    """
    asked = {"target": chain.target, "repository_id": chain.repository_id}
    row = session.execute(load_sql("inventory/evidence_head").encode(), asked).fetchone()
    if row is not None:
        known = ChainHead(int(str(row[0])), str(row[1]))
        if chain.head_at(known.number) != known:
            return [
                f"repository {name} lacks evidence: the inventory knows its record {known.number}, which is "
                "gone or another one now; see `python -m backstop evidence verify`"
            ]
    if head is not None:
        session.execute(
            load_sql("inventory/remember_evidence_head").encode(),
            {**asked, "number": head.number, "sha256": head.sha256, "recorded_at": recorded_at},
        )
    return []


def newest_evidence(
    repository: Repository,
) -> tuple[EvidenceChain, ChainHead | None, datetime | None]:
    """A repository's chain, its newest record and when that was written, as it says or else as it was stored.

    :raises StorageUnavailableError: the repository does not answer.
    """
    chain = evidence_of(repository)
    newest = chain.newest()
    if newest is None:
        return chain, None, None
    written_at = newest.record.recorded_at if newest.record else newest.stored_at
    return chain, ChainHead(newest.number or 0, newest.sha256), written_at


def known_heads(inventory: ClusterConnection, target: str) -> dict[str, ChainHead]:
    """By repository id. :raises SourceUnavailableError: the inventory does not answer."""
    with (
        source_errors(f"inventory {inventory.location}", secret=inventory.password),
        inventory.connect(application_name="backstop:evidence") as session,
    ):
        rows = session.execute(load_sql("inventory/evidence_heads").encode(), {"target": target}).fetchall()
    return {repository_id: ChainHead(number, sha256) for repository_id, number, sha256 in rows}
