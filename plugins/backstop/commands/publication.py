"""One backup into several repositories: a label that is free, a manifest in each, and who went without."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from backstop.errors import BackstopError, StorageError
from backstop.model.backup import BackupKind, BackupLabel, Manifest
from backstop.repository.catalog import in_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from backstop.commands.replicate import Replication
    from backstop.crypto.signing import Signer
    from backstop.repository.catalog import Repository
    from backstop.repository.lock import RepositoriesLease


@dataclass(slots=True)
class Publication:
    """Where a backup goes, under whose lease, and what became of it there.

    :param repositories: those that can take it; :param unusable: those that cannot, by name, and why.
    """

    repositories: Sequence[Repository]
    unusable: Mapping[str, BackstopError]
    lease: RepositoriesLease
    signer: Signer
    clock: Callable[[], datetime]
    pause: Callable[[float], None]
    publishing: set[str] = field(default_factory=set)
    """Repositories to which a manifest was sent."""

    @classmethod
    def under(
        cls,
        lease: RepositoriesLease,
        *,
        repositories: Sequence[Repository],
        signer: Signer,
        clock: Callable[[], datetime],
        pause: Callable[[float], None],
    ) -> Publication:
        """Into every repository that has the lease and is one of ours: said before the backup, not after it.

        :raises BackstopError: there is none; the first one's error.
        """
        unusable = dict(lease.failed)
        for repository in repositories:
            if repository.name not in unusable:
                try:
                    repository.catalog.repository_id(create=True)
                except BackstopError as error:
                    unusable[repository.name] = error
        reachable = [repository for repository in repositories if repository.name not in unusable]
        if not reachable:
            raise next(iter(unusable.values()))
        return cls(reachable, unusable, lease, signer, clock, pause)

    def leave_out(self, name: str, error: BackstopError) -> None:
        """That repository does not answer any more: the backup goes on without it.

        :raises BackstopError: the same, when there is no other.
        """
        rest = [repository for repository in self.repositories if repository.name != name]
        if not rest:
            raise error
        self.repositories, self.unusable = rest, {**self.unusable, name: error}

    def free_label(self, kind: BackupKind, *, tree: str = "") -> tuple[BackupLabel, datetime]:
        """A label has one second; a backup that was done within it has taken it.

        :param tree: name of the file tree, for a backup of one.
        """
        while True:
            started_at = self.clock()
            label = BackupLabel.at(started_at, kind, tree=tree)
            if not any(_has(repository, label) for repository in self.repositories):
                return label, started_at
            self.pause(1.0)

    def publish(
        self,
        manifest: Manifest,
        replication: Replication,
        *,
        without: Mapping[str, BackstopError] | None = None,
        earlier: Mapping[str, Mapping[str, str | None]] | None = None,
    ) -> dict[str, BackstopError]:
        """Payload is durable by now; publish wherever it arrived whole.

        :param without: repositories that must not get it, and why.
        :param earlier: of objects that earlier backups stored: by repository, key to version id there.
        :returns: the repositories that do not have the backup, and why.
        :raises BackstopError: when that is all of them.
        """
        failures: dict[str, BackstopError] = {**self.unusable, **replication.failures(), **(without or {})}
        for repository in self.repositories:
            if repository.name in failures:
                continue
            try:
                repository.catalog.publish(
                    in_repository(
                        manifest,
                        repository_id=repository.catalog.repository_id(create=True),
                        epoch=self.lease.epochs[repository.name],
                        version_ids={
                            **(earlier or {}).get(repository.name, {}),
                            **replication.version_ids(repository.name),
                        },
                    ),
                    signer=self.signer,
                    ensure_held=partial(self._ensure_held, repository.name),
                )
            except BackstopError as error:
                failures[repository.name] = error
        if len(failures) >= len(self.repositories) + len(self.unusable):
            raise next(iter(failures.values()))
        return failures

    def _ensure_held(self, name: str) -> None:
        """The last thing asked before a manifest is sent."""
        self.lease.ensure_held(name)
        self.publishing.add(name)

    def discard(
        self, replication: Replication, *, failures: Mapping[str, BackstopError] | None = None
    ) -> None:
        """Take the payload back where no manifest names it.

        Where a manifest was sent it may have arrived, whatever we were told: its payload stays.

        :param failures: who is left out after a success. A full disk would otherwise be fuller after every
            run; who did not answer is not asked again.
        """
        unreachable = {name for name, error in (failures or {}).items() if error.retryable}
        replication.discard(keep=self.publishing | unreachable)

    def states(self, failures: Mapping[str, BackstopError]) -> dict[str, str]:
        """By repository name, ``completed`` or the sentence that says why not."""
        names = [*(repository.name for repository in self.repositories), *self.unusable]
        return {name: str(failures[name]) if name in failures else "completed" for name in names}


def _has(repository: Repository, label: BackupLabel) -> bool:
    try:
        return repository.catalog.has(label)
    except StorageError:
        # One repository that does not answer must not stop the others; publishing there will say so, and
        # refuses a label that is taken.
        return False
