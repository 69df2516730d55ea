"""Whether everything that a manifest lists is in the repository, without reading it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from backstop.errors import ObjectMissingError
from backstop.repository.stored import open_stored

if TYPE_CHECKING:
    from backstop.model.backup import Manifest, StoredObject
    from backstop.repository.catalog import Repository

_NAMED = 50
_BLOCK_BYTES = 1024 * 1024


def missing_objects(repository: Repository, manifest: Manifest) -> list[str]:
    """One sentence for each object that is not there, or not of its size.

    By one listing of names and sizes. It shows current versions only: where another one is current, ours is
    read to count its bytes.
    """
    wanted = {stored.key: stored for stored in manifest.objects}
    prefix = os.path.commonpath([key.rpartition("/")[0] for key in wanted]) + "/" if wanted else ""
    found = {info.key: info.size_bytes for info in repository.storage.list(prefix) if info.key in wanted}
    wrong = []
    for key, stored in wanted.items():
        size_bytes = found.get(key)
        if size_bytes != stored.stored_bytes and stored.version_id is not None:
            size_bytes = _version_bytes(repository, stored)
        if size_bytes is None:
            wrong.append(f"object {key} is not in {repository.location}")
        elif size_bytes != stored.stored_bytes:
            wrong.append(f"object {key} is {size_bytes} bytes long; its manifest says {stored.stored_bytes}")
    rest = len(wrong) - _NAMED
    return [*wrong[:_NAMED], *([f"and {rest} objects more"] if rest > 0 else [])]


def _version_bytes(repository: Repository, stored: StoredObject) -> int | None:
    count = 0
    with (
        suppress(ObjectMissingError),
        open_stored(repository.storage, stored) as source,
    ):
        while block := source.read(_BLOCK_BYTES):
            count += len(block)
        return count
    return None
