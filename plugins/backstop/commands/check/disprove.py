"""A backup that lost an object is proven no longer: the verifier records why."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from backstop.commands.evidence.book import enter_proof
from backstop.errors import IntegrityError, NotFoundError
from backstop.model.proof import Proof

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from backstop.crypto.signing import Signer
    from backstop.model.backup import BackupLabel
    from backstop.repository.catalog import Repository

_NAMED = 20
ISOLATION = "nothing was restored: stored bytes were read again"


def disprove(
    repository: Repository,
    damage: Mapping[BackupLabel, Sequence[str]],
    *,
    signer: Signer,
    started_at: datetime,
    finished_at: datetime,
) -> list[BackupLabel]:
    """Record a failed verification of each; only where the newest one does not say so already.

    What is healed later is the same bytes again, but only a restore proves: verify it anew then.

    :param damage: sentences by backup.
    :returns: those for which it was recorded now.
    """
    recorded = []
    for label, sentences in damage.items():
        try:
            published = repository.catalog.backup(label)
        except (NotFoundError, IntegrityError):
            continue  # expired meanwhile, or no backup any more
        known = repository.catalog.verifications(published).proofs
        if known and not known[-1].matched:
            continue
        rest = len(sentences) - _NAMED
        proof = repository.catalog.record_proof(
            Proof(
                label=label,
                target=published.manifest.target,
                repository_id=published.manifest.repository_id,
                manifest_sha256=published.sha256,
                started_at=started_at,
                finished_at=finished_at,
                matched=False,
                differences=(*sentences[:_NAMED], *([f"and {rest} objects more"] if rest > 0 else [])),
                durations={"total": (finished_at - started_at).total_seconds()},
                checks={"damaged_objects": len(sentences)},
                server_version=published.manifest.server_version,
                isolation=ISOLATION,
                host=socket.gethostname(),
            ),
            signer=signer,
        )
        enter_proof(repository, proof, now=finished_at)
        recorded.append(label)
    return recorded
