"""What is mounted where: a mount point cannot be renamed, and another file system may lie below a folder."""

from __future__ import annotations

import re
from pathlib import Path

_ESCAPED = re.compile(rb"\\([0-7]{3})")


def mount_points() -> frozenset[bytes]:
    """Absolute paths of all of them, as this process sees them; empty where the kernel does not tell."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return frozenset()
    # The fifth field (proc_pid_mountinfo(5)); blanks, line ends and backslashes are octal.
    return frozenset(
        _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), line.split(b" ")[4]) for line in lines
    )


def mounted_below(path: bytes, points: frozenset[bytes]) -> bool:
    """Whether something is mounted at ``path`` (absolute) or anywhere below it."""
    return path in points or any(one.startswith(path.rstrip(b"/") + b"/") for one in points)
