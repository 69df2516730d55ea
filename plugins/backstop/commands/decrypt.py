"""``decrypt``: a backup, or one object of it, as plain files: secret from then on, roles and all data."""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from backstop.commands.database.fetch import fetch_backup, fetch_object
from backstop.errors import NotFoundError, RestoreError, StorageFullError
from backstop.model.backup import BackupLabel
from backstop.repository.pins import pin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.progress import Progress
    from backstop.crypto.key_encryption import Keyring
    from backstop.repository.catalog import Repository


@dataclass(frozen=True, slots=True)
class Decrypted:
    """What was written where. :param files: names in ``destination``, or the file itself."""

    label: str
    repository: str
    destination: str
    files: tuple[str, ...]
    plain_bytes: int

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "files": list(self.files)}


def decrypt_backup(
    repository: Repository,
    label: BackupLabel,
    *,
    keyring: Keyring,
    destination: Path,
    jobs: int,
    clock: Callable[[], datetime],
    progress: Progress,
) -> Decrypted:
    """The whole backup as a new 0700 directory that ``pg_restore -Fd`` reads.

    :param destination: must not exist, or be an empty directory.
    :raises NotFoundError: no such backup; :raises IntegrityError: damaged: nothing is left behind then.
    """
    manifest = repository.catalog.backup(label).manifest
    with _writing(destination), _reading(repository, label, clock):
        fetch_backup(
            repository, manifest, keyring=keyring, destination=destination, jobs=jobs, progress=progress
        )
    files = sorted(destination.iterdir())
    return Decrypted(
        label=label.text,
        repository=repository.name,
        destination=str(destination),
        files=tuple(file.name for file in files),
        plain_bytes=sum(file.stat().st_size for file in files),
    )


def decrypt_object(
    repository: Repository,
    key: str,
    *,
    keyring: Keyring,
    destination: Path,
    clock: Callable[[], datetime],
    progress: Progress,
) -> Decrypted:
    """One object as a new 0600 file; several small files in one object come out as a tar.

    :param key: as the manifest writes it, ``<target>/data/database/<label>/<attempt>/toc``.
    :raises NotFoundError: no published backup has this object; :raises RestoreError: the file exists.
    """
    label = label_in(key)
    manifest = repository.catalog.backup(label).manifest
    stored = next((stored for stored in manifest.objects if stored.key == key), None)
    if stored is None:
        raise NotFoundError(
            f"backup {label} of {manifest.target} has no object {key}",
            hint=f"see `python -m backstop show --target {manifest.target} --label {label} --objects`",
        )
    if destination.exists() or destination.is_symlink():
        raise RestoreError(f"{destination} exists already", hint="name a file that does not exist yet")
    if not destination.parent.is_dir():
        raise NotFoundError(f"there is no directory {destination.parent}", hint="create it first")
    with _writing(destination), _reading(repository, label, clock):
        fetch_object(
            repository, manifest, stored, keyring=keyring, destination=destination, progress=progress
        )
    return Decrypted(
        label=label.text,
        repository=repository.name,
        destination=str(destination),
        files=(destination.name,),
        plain_bytes=stored.plain_bytes,
    )


def _reading(
    repository: Repository, label: BackupLabel, clock: Callable[[], datetime]
) -> AbstractContextManager[None]:
    """Expiry keeps away meanwhile."""
    return pin(repository.storage, repository.catalog.target, label, holder="decrypt", clock=clock)


@contextmanager
def _writing(destination: Path) -> Iterator[None]:
    """What repositories cannot do they say themselves: a system's error is about where we write to."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError(
                f"no space left at {destination}", hint="free space there, or name another place"
            ) from error
        raise RestoreError(
            f"{destination} cannot be written: {error.strerror}",
            hint="name a place that this user may write to",
        ) from error


def label_in(key: str) -> BackupLabel:
    """The backup that an object belongs to. :raises NotFoundError: not the key of a backup's object."""
    match = re.fullmatch(r"[^/]+/data/(?:database|trees/[^/]+)/(?P<label>[^/]+)/[^/]+/.+", key)
    try:
        return BackupLabel(match["label"] if match else "")
    except ValueError:
        raise NotFoundError(
            f"{key!r} is not the key of a backup's object",
            hint="expected <target>/data/database/<label>/<attempt>/<name>, as `show --objects` lists them",
        ) from None
