"""``back-up-files``: one file tree, in every repository from one read; what is stored is not stored again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from backstop.commands.publication import Publication
from backstop.commands.staging import sweep_staging
from backstop.commands.trees.attempt import TreeBackupAttempt
from backstop.errors import ConfigurationError
from backstop.repository.lock import acquire_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from backstop.commands.backup_report import TreeBackupReport
    from backstop.commands.progress import Progress
    from backstop.commands.trees.settings import TreeBackupSettings
    from backstop.crypto.key_encryption import Keyring
    from backstop.crypto.signing import Signer
    from backstop.repository.catalog import Repository


def back_up_files(
    *,
    target: str,
    tree: str,
    repositories: Sequence[Repository],
    keyring: Keyring,
    signer: Signer,
    settings: TreeBackupSettings,
    clock: Callable[[], datetime],
    holder: str,
    progress: Progress,
    pause: Callable[[float], None] = time.sleep,
) -> TreeBackupReport:
    """Back up a file tree to every repository from one read.

    Files that look untouched since the backup before are not read; of the others, what is stored already is
    not stored again. A repository that is out of reach does not stop the backup as long as another one
    takes it.

    :param clock: returns the current time, aware.
    :param holder: who we are, for the lease that others see.
    :raises LeaseHeldError: another backup of this tree is running.
    :raises SourceError: a path is gone, or something in it cannot be read; nothing was published.
    :raises BackstopError: no repository has a complete backup; nothing was published.
    """
    if not repositories:
        raise ConfigurationError(
            f"tree {tree} of target {target} has no repository", hint="list one in targets.yaml"
        )
    sweep_staging(settings.staging)
    # A writer may be allowed to encrypt only; then everything is stored each time, and said so.
    keyring.check(opening=False)
    with acquire_in(
        {repository.name: repository.storage for repository in repositories},
        target=target,
        kind=f"tree-{tree}",
        holder=holder,
        clock=clock,
    ) as lease:
        return TreeBackupAttempt(
            target=target,
            tree=tree,
            publication=Publication.under(
                lease, repositories=repositories, signer=signer, clock=clock, pause=pause
            ),
            keyring=keyring,
            settings=settings,
            progress=progress,
            pause=pause,
        ).run()
