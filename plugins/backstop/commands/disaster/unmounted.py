"""Files that are not lost but hidden: the file system that has them is not mounted."""

from __future__ import annotations

import os
import re
from pathlib import Path

FSTAB = Path("/etc/fstab")
_OCTAL = re.compile(r"\\([0-7]{3})")


def unmounted_above(path: Path, *, fstab: Path | None = None) -> Path | None:
    """The mount point of ``/etc/fstab`` that it, or a directory above it, is and that has nothing mounted."""
    try:
        text = (fstab or FSTAB).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    lines = (line.split() for line in text.splitlines() if not line.lstrip().startswith("#"))
    named = {Path(_OCTAL.sub(_letter, fields[1])) for fields in lines if len(fields) > 1}
    return next(
        (
            one
            for one in (path, *path.parents)
            if one in named and not os.path.ismount(one) and one.is_absolute()
        ),
        None,
    )


def _letter(found: re.Match[str]) -> str:
    return chr(int(found[1], 8))
