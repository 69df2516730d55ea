"""What a recovered data directory brings along from its source, taken away from it, and given back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "postgresql.auto.conf"
_BEGIN = "# Begin: a clone of a live cluster; it must not disturb it (Backstop)\n"
_END = "# End: a clone of a live cluster\n"
_SETTINGS = (
    "archive_mode = off\n"
    "primary_conninfo = ''\n"
    "primary_slot_name = ''\n"
    "synchronous_standby_names = ''\n"
    "max_logical_replication_workers = 0\n"
    "listen_addresses = ''\n"
)


def detach(data: Path) -> None:
    """Whoever starts it: it archives nothing, consumes no subscription, waits for no standby, and listens on
    no network."""
    _rewrite(data, _without_ours(data) + _BEGIN + _SETTINGS + _END)


def attach(data: Path) -> None:
    """It takes its source's place, with its source's settings. Does nothing where that is done already."""
    if _BEGIN in _text(data):
        _rewrite(data, _without_ours(data))


def _without_ours(data: Path) -> str:
    text = _text(data)
    before, found, rest = text.partition(_BEGIN)
    return before + rest.partition(_END)[2] if found else text


def _text(data: Path) -> str:
    return (data / _FILE).read_text(encoding="utf-8", errors="surrogateescape")


def _rewrite(data: Path, text: str) -> None:
    path = data / _FILE
    owner = path.stat()
    new = data / f"{_FILE}.new"
    new.unlink(missing_ok=True)  # of one that was killed here
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
        os.fchown(stream.fileno(), owner.st_uid, owner.st_gid)
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(path)
