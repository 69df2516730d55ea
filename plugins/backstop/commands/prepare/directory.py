"""A repository in a directory: there, and nobody else's business."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from backstop.commands.prepare.preparation import Difference
from backstop.errors import StorageError
from backstop.storage.mounts import refuse_unmounted
from backstop.storage.posix_files import errors_named, make_directory

if TYPE_CHECKING:
    from pathlib import Path

_MODE = 0o700


class DirectoryStep:
    """Mode 0700, of the user that backs up. What lies in it is not touched.

    :param mounted: a disk of its own is expected there; without it nothing is looked at, nor made.
    """

    def __init__(self, path: Path, *, mounted: bool = False) -> None:
        self._path = path
        self._mounted = mounted

    def differences(self) -> list[Difference]:
        self._refuse_unmounted()
        with errors_named(self._path):
            if not self._path.exists():
                return [Difference("directory", "is missing", f"mode {_MODE:04o}", "backups go there")]
            found = self._path.stat()
        differences = []
        if not stat.S_ISDIR(found.st_mode):
            why = "backups go there"
            return [Difference("directory", "is a file", f"mode {_MODE:04o}", why, ours=False)]
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o077 or mode & _MODE != _MODE:
            # A file in it is 0600, but names tell much, and who may write may remove.
            why = "others could list or remove backups"
            differences.append(
                Difference(
                    "permissions", f"mode {mode:04o}", f"mode {_MODE:04o}", why, ours=self._is_ours(found)
                )
            )
        if not self._is_ours(found):
            owner = f"uid {found.st_uid}"
            why = "files in it cannot be made or removed by this user"
            differences.append(Difference("owner", owner, f"uid {os.geteuid()}", why, ours=False))
        return differences

    def apply(self) -> None:
        """Make it, its parent never: an unmounted disk must not become a fresh, empty repository."""
        self._refuse_unmounted()
        with errors_named(self._path):
            if not self._path.exists():
                if not self._path.parent.is_dir():
                    raise StorageError(
                        f"{self._path.parent} does not exist, so there is no place for {self._path}",
                        hint="mount the disk it is on, or create that directory",
                    )
                make_directory(self._path, below=self._path)
            elif self._path.is_dir() and self._is_ours(self._path.stat()):
                self._path.chmod(_MODE)

    def _refuse_unmounted(self) -> None:
        if self._mounted:
            with errors_named(self._path):
                refuse_unmounted(self._path)

    def _is_ours(self, found: os.stat_result) -> bool:
        return os.geteuid() in (0, found.st_uid)
