"""Targets that a repository has backups or WAL of, whether ``targets.yaml`` names them or not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError, ObjectMissingError
from backstop.model.backup import Manifest
from backstop.repository.manifest_files import json_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.storage.base import Storage

_THEIRS = re.compile(r"([^/]+)/(?:meta/manifests|data/wal|tail)/")


def targets_in(storage: Storage) -> list[str]:
    """Their names. Lists the whole repository: for what is rare and cannot be undone.

    :raises StorageError: it cannot be listed, by this role.
    """
    found = (_THEIRS.match(info.key) for info in storage.list(""))
    return sorted({one[1] for one in found if one})


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
