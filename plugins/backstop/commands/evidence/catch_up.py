"""``evidence catch-up``: proofs that are recorded and of which no record of evidence tells yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.evidence.proofs import stored_proofs, unchained
from backstop.errors import ConfigurationError
from backstop.repository.evidence import evidence_of

if TYPE_CHECKING:
    from datetime import datetime

    from backstop.repository.catalog import Repository


def catch_up(repository: Repository, *, now: datetime) -> tuple[list[str], list[str]]:
    """Add them, oldest first; their records say when they are added, and when they were proven.

    :returns: what the proofs that were added are of; and what could not be done, in sentences.
    :raises StorageUnavailableError: the repository does not answer.
    """
    if repository.evidence is None:
        raise ConfigurationError(
            f"repository {repository.name} was opened without what evidence takes", hint="this is a defect"
        )
    chain = evidence_of(repository)
    added: list[str] = []
    told: list[str] = []
    for one in unchained(stored_proofs(repository), list(chain.believed())):
        if one.proof is None:
            continue
        before = chain.head()
        told += repository.evidence.enter_proof(repository, one.proof, now=now)
        if chain.head() == before:
            break  # what kept this one out keeps the others out
        added.append(str(one.proof.label))
    return added, told
