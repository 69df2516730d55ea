"""Targets that a repository has backups or WAL of, whether ``targets.yaml`` names them or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import IntegrityError, ObjectMissingError, StorageError
from backstop.model.backup import Manifest
from backstop.repository.manifest_files import json_object
from backstop.storage.keys import check_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.storage.base import Storage

_THEIRS = ("meta/manifests/", "data/wal/", "tail/")


def targets_in(storage: Storage, *, top: Storage) -> list[str]:
    """Their names.

    :param top: the same place, with credentials that may list what stands at its top: the auditor's.
    :raises StorageError: it cannot be listed, by these roles.
    """
    return [name for name in top.folders() if has_backups(storage, name)]


def has_backups(storage: Storage, target: str) -> bool:
    """Whether there is a backup of it, or WAL. :raises StorageError: that cannot be listed, by this role."""
    try:
        check_key(target)
    except StorageError:
        return False  # a folder that somebody else has there: no key of ours begins so
    return any(True for below in _THEIRS for _ in storage.list(f"{target}/{below}"))


def unbelieved_manifests(storage: Storage, target: str) -> Iterator[Manifest | IntegrityError]:
    """All manifests of a target, whoever signed them: nobody knows any more whom it trusted.

    Not for restoring: only for what may depend on a backup that could be real.

    :raises StorageError: the repository cannot be asked.
    """
    for info in storage.list(f"{target}/meta/manifests/"):
        try:
            yield Manifest.from_dict(json_object(storage.read(info.key), f"{storage.location}/{info.key}"))
        except ObjectMissingError:  # removed meanwhile
            continue
        except IntegrityError as error:
            yield error
