"""``verify`` of any kind: a dump or files are restored and compared, a base backup is recovered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from backstop.commands.progress import Progress
    from backstop.commands.proof.dump import VerifySettings
    from backstop.commands.proof.tree import TreeVerifySettings
    from backstop.crypto.key_encryption import Keyring
    from backstop.crypto.signing import Signer
    from backstop.model.backup import BackupLabel
    from backstop.model.proof import Proof
    from backstop.repository.catalog import Repository


@dataclass(frozen=True, slots=True)
class ProofSettings:
    """How to verify backups of each kind.

    :param superuser: of the cluster, in recovered copies; :param database: where their queries are asked.
    :param trees: by the name of the file tree. One that targets.yaml names no more is restored whole.
    """

    dump: VerifySettings
    base: VerifySettings
    superuser: str
    database: str
    trees: Mapping[str, TreeVerifySettings] = field(default_factory=dict)


def prove(
    *,
    repository: Repository,
    label: BackupLabel,
    keyring: Keyring,
    signer: Signer,
    settings: ProofSettings,
    clock: Callable[[], datetime],
    progress: Progress,
) -> Proof:
    """Verify one backup from one repository and record a signed proof, whatever it says.

    :raises BackstopError: the backup could not be judged.
    """
    if label.kind.physical:
        from backstop.commands.proof.base import verify_base_backup

        return verify_base_backup(
            repository=repository,
            label=label,
            keyring=keyring,
            signer=signer,
            settings=settings.base,
            clock=clock,
            progress=progress,
            superuser=settings.superuser,
            database=settings.database,
        )
    if label.tree:
        from backstop.commands.proof.tree import TreeVerifySettings, verify_tree

        return verify_tree(
            repository=repository,
            label=label,
            keyring=keyring,
            signer=signer,
            settings=settings.trees.get(label.tree) or TreeVerifySettings(scratch=settings.dump.scratch),
            clock=clock,
            progress=progress,
        )
    from backstop.commands.proof.dump import verify_backup

    return verify_backup(
        repository=repository,
        label=label,
        keyring=keyring,
        signer=signer,
        settings=settings.dump,
        clock=clock,
        progress=progress,
    )
