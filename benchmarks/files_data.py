"""The tree that backups of files are compared on: as many small files as photographs, and changes to it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FOLDERS = 150
_MOST_BYTES = 8 * 1024**2


def make_tree(top: Path, *, files: int, total_bytes: int) -> int:
    """Half of the files are text that compresses to a third, half do not compress. :returns: bytes."""
    dice = random.Random(1)
    words = [f"{dice.getrandbits(40):x}".encode() for _ in range(5000)]
    written = 0
    for folder in range(min(_FOLDERS, files)):
        (top / f"folder{folder:03d}").mkdir(parents=True)
    for number in range(files):
        size = min(_MOST_BYTES, int(dice.paretovariate(1.5) * total_bytes / files / 3))
        if number % 2:
            path, content = f"image-{number:06d}.jpg", dice.randbytes(size)
        else:
            path, content = f"note-{number:06d}.txt", b" ".join(dice.choices(words, k=size // 10 + 1))[:size]
        (top / f"folder{number % _FOLDERS:03d}" / path).write_bytes(content)
        written += len(content)
    return written


def change_tree(top: Path, *, share: float, seed: int) -> int:
    """Write a few bytes into the middle of some files. :returns: bytes of all files that were changed."""
    dice = random.Random(seed)
    paths = sorted(path for path in top.rglob("*") if path.is_file())
    changed = 0
    for path in dice.sample(paths, max(1, int(len(paths) * share))):
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 16] = dice.randbytes(len(content[middle : middle + 16]))
        path.write_bytes(content)
        changed += len(content)
    return changed
