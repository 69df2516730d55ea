"""Removes a folder with all that is in it, also folders that their own mode keeps us out of."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path


def remove_tree(path: bytes) -> None:
    """Remove a folder of our own; what is not there is no error.

    :raises OSError: something in it cannot be removed.
    """
    folder = Path(os.fsdecode(path))
    if os.geteuid() != 0 and not folder.is_symlink():
        for parent, names, _ in os.walk(folder):
            for name in names:
                below = Path(parent, name)
                if not below.is_symlink():
                    with contextlib.suppress(FileNotFoundError):
                        below.chmod(0o700)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
