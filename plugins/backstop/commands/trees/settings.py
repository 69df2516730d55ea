"""What backups and restores of file trees are told; a tree's section of targets.yaml says the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from backstop.commands.replicate import MAX_STAGED_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class TreeBackupSettings:
    """How to back a tree up; its section of targets.yaml says the same.

    :param staging: folder for ciphertext on its way out, best on the file system of a posix repository.
    :param patterns: absolute paths and globs; :param exclude: globs of names and of whole paths.
    :param one_file_system: leave out what is mounted below.
    :param unreadable: ``fail``: nothing is published without it; ``list``: it is named.
    :param rehash: read every file, whatever says that it is unchanged.
    :param readers: files read at a time; :param compressors: threads that compress each pack.
    """

    staging: Path
    patterns: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    one_file_system: bool = False
    unreadable: Literal["fail", "list"] = "fail"
    rehash: bool = False
    readers: int = 2
    compressors: int = 2
    max_staged_bytes: int = MAX_STAGED_BYTES


@dataclass(frozen=True, slots=True)
class TreeRestoreSettings:
    """How to restore files.

    :param scratch: folder for fetched packs.
    :param patterns: the tree's paths as configured now; a restore in place touches nothing besides.
    :param owner: ``user:group`` that everything restored belongs to; None: whom it belonged to.
    :param after_restore: commands after a swap in place, each an argv, run without a shell.
    :param timeout: for each of them.
    :param undo_on_failure: swap back when one of them fails.
    :param jobs: packs fetched at a time.
    """

    scratch: Path
    patterns: Sequence[str] = ()
    owner: str | None = None
    after_restore: Sequence[Sequence[str]] = ()
    timeout: timedelta = timedelta(seconds=60)
    undo_on_failure: bool = True
    jobs: int = 2
