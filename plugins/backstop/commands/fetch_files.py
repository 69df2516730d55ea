"""Some files of a dump out of a repository, without the rest of it."""

from __future__ import annotations

import os
import shutil
import tarfile
from typing import TYPE_CHECKING

from backstop.commands.database.fetch import fetch_object
from backstop.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from backstop.commands.progress import Progress
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import Manifest, StoredObject
    from backstop.repository.catalog import Repository

_BLOCK_BYTES = 1024 * 1024


def fetch_files(
    repository: Repository,
    manifest: Manifest,
    names: Iterable[str],
    *,
    keyring: Keyring,
    folder: Path,
    progress: Progress,
) -> None:
    """Bring these files of the dump into ``folder``, as 0600 files; none of them may be there.

    A large file is an object of its own. Which pack holds a small one no manifest says, so packs (a few
    megabytes each) are read one after another until every file has been found.

    :raises IntegrityError: an object is damaged, or no object holds one of the files.
    :raises ObjectMissingError: the repository lacks an object.
    """
    missing = set(names)
    alone = {stored.name: stored for stored in manifest.objects if stored.layout == "file"}
    for name in sorted(missing & alone.keys()):
        fetch_object(
            repository,
            manifest,
            alone[name],
            keyring=keyring,
            destination=folder / name,
            progress=progress,
        )
        missing.discard(name)
    for stored in manifest.objects:
        if not missing:
            return
        if stored.layout == "tar":
            pack = folder / ".pack"
            fetch_object(repository, manifest, stored, keyring=keyring, destination=pack, progress=progress)
            try:
                missing -= _unpack(stored, pack, missing, folder)
            finally:
                pack.unlink()
    if missing:
        raise IntegrityError(
            f"no object of backup {manifest.label} holds {', '.join(sorted(missing))}",
            hint="choose another backup",
        )


def _unpack(stored: StoredObject, pack: Path, wanted: set[str], folder: Path) -> set[str]:
    """Write the wanted members into the folder; returns which."""
    found = set()
    try:
        with tarfile.open(pack, mode="r:") as archive:
            for member in archive:
                # Only names that were asked for are ever written to, so a hostile one leads nowhere.
                source = archive.extractfile(member) if member.isreg() and member.name in wanted else None
                if source is None:
                    continue
                descriptor = os.open(folder / member.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as sink:
                    shutil.copyfileobj(source, sink, _BLOCK_BYTES)
                found.add(member.name)
    except (tarfile.TarError, FileExistsError) as error:
        raise IntegrityError(
            f"object {stored.key} is not a pack of a dump: {error}", hint="choose another backup"
        ) from error
    return found
