"""Manifests that somebody deleted in a bucket with versions: no backups now, and still not given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.backup import BackupLabel
from backstop.repository.published import UnreadableManifestError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from backstop.repository.catalog import Repository


def hidden_manifests(
    repository: Repository,
    *,
    known: Container[BackupLabel],
    wanted: Callable[[BackupLabel], bool] = lambda _: True,
) -> Iterator[UnreadableManifestError]:
    """One error for each manifest of which only former versions are there.

    Expiry leaves no version behind, so this was somebody else, whom the versions are there to undo. What
    such a backup needs must stay until somebody has decided, or the bucket's own rules removed the version.

    :param known: labels whose manifest is known to be there, or which are being removed on purpose.
    :raises StorageError: the repository cannot be asked.
    """
    prefix = f"{repository.catalog.target}/meta/manifests/"
    keys = {one.key for one in repository.storage.versions(prefix) if not one.is_marker}
    for key in sorted(keys):
        name = key[len(prefix) :].removesuffix(".json")
        if not BackupLabel.is_one(name) or BackupLabel(name) in known or not wanted(BackupLabel(name)):
            continue
        if repository.storage.stat(key) is not None:
            # Published since the caller listed what there is.
            continue
        yield UnreadableManifestError(
            f"{repository.location}/{key} was deleted, and its former version is still there",
            hint="remove its delete marker to have the backup back, or that version to let it go",
            label=BackupLabel(name),
        )
