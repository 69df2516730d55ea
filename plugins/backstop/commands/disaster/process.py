"""Who carries a step out, so that somebody else can tell whether that process still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def this_process() -> dict[str, Any]:
    """What the journal says of us: ``host`` for people, ``process`` for :func:`lives`."""
    return {"host": socket.gethostname(), "process": [*_place(), os.getpid(), _started(os.getpid())]}


def lives(noted: Mapping[str, Any]) -> bool | None:
    """Whether that process still runs; None: it ran elsewhere, and nobody can tell from here."""
    process = noted.get("process")
    if not isinstance(process, list) or len(process) != 4 or process[:2] != _place():
        return None
    return process[3] is not None and _started(int(process[2])) == process[3]


def _place() -> list[str]:
    """This boot of this machine, and this namespace of process numbers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return [boot, str(Path("/proc/self/ns/pid").readlink())]
    except OSError:
        return [socket.gethostname(), ""]


def _started(pid: int) -> str | None:
    """In ticks since the machine booted; None: no such process, or it has ended and nobody waited for it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]
