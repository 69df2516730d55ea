"""Which cluster's backups lie here already, and what an incremental base backup can build on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.commands.database.fetch import read_object
from backstop.commands.same_server import refuse_earlier
from backstop.errors import BackstopError, IntegrityError, NotFoundError, SourceError
from backstop.postgres.backup_manifest import NAME as BACKUP_MANIFEST
from backstop.postgres.preflight import UNKNOWN
from backstop.repository.newest import newest_first

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import BackupLabel, Manifest
    from backstop.postgres.replication import ClusterIdentity
    from backstop.repository.catalog import Repository

_MOST_MANIFEST_BYTES = 2 * 1024**3
_TAKE_A_FULL = "take a full base backup instead"


@dataclass(frozen=True, slots=True)
class Parent:
    """The backup that an incremental one builds on.

    :param chain: every label that restoring it needs, the full one first, itself last.
    """

    manifest: Manifest
    chain: tuple[BackupLabel, ...]
    repository: Repository

    def backup_manifest(self, keyring: Keyring) -> bytes:
        """The server's own list of what the parent held.

        :raises KeyUnavailableError: this ring cannot decrypt it; :raises IntegrityError: it is damaged.
        """
        return read_object(
            self.repository,
            self.manifest,
            BACKUP_MANIFEST,
            keyring=keyring,
            max_bytes=_MOST_MANIFEST_BYTES,
        )


def refuse_other_cluster(
    repositories: Sequence[Repository],
    system_id: str,
    *,
    reached: Callable[[], ClusterIdentity] | None = None,
    allowed: str | None = None,
) -> None:
    """One target is one cluster: two would overwrite each other's history.

    :param reached: says where the server stands, where a copy of it is to be told. Asked after each newest
        backup was found: a dump may have been published since this began.
    :param allowed: the system identifier of a new cluster that may take over.
    :raises SourceError: the newest backup in some repository is of another cluster, or of a later state.
    """
    if system_id == allowed:
        return
    for repository in repositories:
        # What was taken of a tree says nothing about a cluster.
        for published in newest_first(repository.catalog, wanted=lambda label: not label.tree):
            manifest = published.manifest
            if manifest.system_id == UNKNOWN:
                continue
            if manifest.system_id != system_id:
                raise SourceError(
                    f"{manifest.label} of {manifest.target} in {repository.name} is of cluster "
                    f"{manifest.system_id}, and this server is cluster {system_id}",
                    hint="give another cluster another target; after a pg_upgrade or a new initdb, allow "
                    f"system identifier {system_id} for this target once: take a full base backup with "
                    f"--new-cluster {system_id}",
                )
            if reached is not None:
                now = reached()
                refuse_earlier(
                    manifest,
                    repository.name,
                    timeline=now.timeline,
                    lsn=now.flush_lsn,
                    verb="take-base-backup --full",
                )
            break


def known_manifests(repositories: Sequence[Repository]) -> list[Manifest]:
    """Of every backup that some repository holds, once each; a repository that fails is passed over.

    :raises BackstopError: none answers; the first one's error.
    """
    found: dict[BackupLabel, Manifest] = {}
    failures: list[BackstopError] = []
    for repository in repositories:
        try:
            listing = repository.catalog.backups()
        except BackstopError as error:
            failures.append(error)
            continue
        found.update((published.manifest.label, published.manifest) for published in listing.backups)
    if len(failures) == len(repositories) and failures:
        raise failures[0]
    return list(found.values())


def _holds(repository: Repository, label: BackupLabel, system_id: str) -> bool:
    """Whether that backup of the cluster is there, readable."""
    try:
        return repository.catalog.backup(label).manifest.system_id == system_id
    except (NotFoundError, IntegrityError):
        return False


def choose_parent(
    repositories: Sequence[Repository], *, system_id: str, wanted: BackupLabel | None = None
) -> Parent:
    """The newest base backup that every repository has, with all that it builds on itself.

    :param wanted: this one, and no other.
    :raises SourceError: there is none.
    """

    def considered(label: BackupLabel) -> bool:
        return label.kind.physical and wanted in (None, label)

    for published in newest_first(repositories[0].catalog, wanted=considered):
        manifest = published.manifest
        chain = (*manifest.refers_to, manifest.label)
        if all(_holds(one, label, system_id) for label in reversed(chain) for one in repositories):
            return Parent(manifest, chain, repositories[0])
    names = ", ".join(repository.name for repository in repositories)
    if wanted is not None:
        raise NotFoundError(
            f"base backup {wanted} of this cluster, with what it builds on, is not in all of: {names}",
            hint=f"name another parent, or {_TAKE_A_FULL}",
        )
    raise SourceError(
        f"no base backup of cluster {system_id}, with what it builds on, is in all of: {names}",
        hint=_TAKE_A_FULL,
    )
