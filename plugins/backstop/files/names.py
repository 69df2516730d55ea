"""Names that a restore leaves among a tree's own: the folder it works in, and what it has replaced.

A backup and a watcher pass them over: they are no part of the tree.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

NAME_BYTES = 255
"""No name of a file is longer (NAME_MAX)."""
_STAGING = re.compile(rb"\.backstop-[0-9a-f]{16}")
_KEPT = re.compile(rb".+\.before-[0-9]{8}T[0-9]{6}Z(?:-[0-9]{1,4})?", re.DOTALL)


def is_staging(name: bytes) -> bool:
    """Whether a restore makes its folders under such names."""
    return _STAGING.fullmatch(name) is not None


def is_ours(name: bytes) -> bool:
    """Whether a restore made that name: no part of any tree."""
    # Asked of every file of a tree: most are told apart by this alone.
    return b".b" in name and (is_staging(name) or _KEPT.fullmatch(name) is not None)


def staging_name(token: str = "") -> bytes:
    """Of a folder beside what is going to be replaced. :param token: 16 hexadecimal digits; a new one."""
    return f".backstop-{token or secrets.token_hex(8)}".encode()


def kept_name(name: bytes, now: datetime, *, hidden: bool, number: int = 0) -> bytes:
    """What a replaced file or folder is called from then on.

    :param hidden: with a dot in front, so that a pattern such as ``sites-enabled/*`` does not match it.
    :param number: other than 0 when that name is taken.
    """
    suffix = f".before-{now:%Y%m%dT%H%M%SZ}".encode() + (f"-{number}".encode() if number else b"")
    prefix = b"." if hidden and not name.startswith(b".") else b""
    return prefix + name[: NAME_BYTES - len(prefix) - len(suffix)] + suffix
