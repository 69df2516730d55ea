"""What every verification has in common: a scratch folder, a pin on what is read, a signed proof."""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING, Protocol

from backstop.commands.evidence.book import enter_proof
from backstop.commands.staging import staging_directory, sweep_staging
from backstop.model.proof import Proof
from backstop.postgres.scratch import sweep_leftovers
from backstop.repository.pins import pin

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.stopwatch import Stopwatch
    from backstop.crypto.signing import Signer
    from backstop.repository.catalog import Published, Repository


class Verification(Protocol):
    """One kind of backup being judged.

    :param differences: what was found wrong, one sentence each; none is a match.
    :param checks: what was compared, for people and auditors.
    """

    watch: Stopwatch
    differences: list[str]
    checks: dict[str, int | str]

    @property
    def isolation(self) -> str:
        """How the restore was kept apart from the machine, in words."""
        ...

    def run(self, folder: Path) -> None:
        """Judge, in an empty folder of its own. :raises BackstopError: that says nothing about the backup."""
        ...


def sweep_scratch(folder: Path) -> None:
    """Remove what killed runs left there: fetched backups and scratch servers' data."""
    sweep_staging(folder)
    if folder.is_dir():
        sweep_leftovers(folder)


def record_proof(
    verification: Verification,
    published: Published,
    *,
    repository: Repository,
    signer: Signer,
    scratch: Path,
    clock: Callable[[], datetime],
) -> Proof:
    """Carry the verification out and record what it found, whatever that is.

    :raises BackstopError: the backup could not be judged; nothing was recorded.
    """
    manifest = published.manifest
    started_at = clock()
    sweep_scratch(scratch)
    with (
        pin(repository.storage, manifest.target, manifest.label, holder="verify", clock=clock),
        staging_directory(scratch, f"verify-{manifest.label}-{secrets.token_hex(4)}") as folder,
    ):
        verification.run(folder)
    proof = Proof(
        label=manifest.label,
        target=manifest.target,
        repository_id=manifest.repository_id,
        manifest_sha256=published.sha256,
        started_at=started_at,
        finished_at=clock(),
        matched=not verification.differences,
        differences=tuple(verification.differences),
        durations=verification.watch.seconds(),
        checks=verification.checks,
        server_version=manifest.server_version,
        isolation=verification.isolation,
        host=socket.gethostname(),
    )
    signed = repository.catalog.record_proof(proof, signer=signer)
    enter_proof(repository, signed, now=clock())
    return signed
