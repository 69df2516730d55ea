"""Writes the ``backup_manifest`` of a copy that no server sent (PostgreSQL docs, "Backup Manifest Format").

To the letter of ``backup_manifest.c``: a server takes it as an incremental backup's parent, pg_verifybackup
and pg_combinebackup read it.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backstop.postgres.backup_manifest import WalRange

_SYSTEM_IDENTIFIER_SINCE = 170000


class CopiedFile(NamedTuple):
    """What was read of one file.

    :param modified_at: in seconds since 1970.
    """

    size_bytes: int
    crc32c: int
    modified_at: int


def write_backup_manifest(
    files: Mapping[str, CopiedFile], *, wal: Iterable[WalRange], system_id: str, server_version: int
) -> bytes:
    """
    :param files: by path in the data directory; those of a tablespace below ``pg_tblspc/<oid>/``.
    :param wal: what recovery needs, a range for each timeline.
    :param server_version: as ``SHOW server_version_num``: 17 brought version 2, with the system identifier.
    """
    if server_version >= _SYSTEM_IDENTIFIER_SINCE:
        head = f'{{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": {int(system_id)},\n'
    else:
        head = '{ "PostgreSQL-Backup-Manifest-Version": 1,\n'
    listed = ",\n".join(_file(path, copied) for path, copied in files.items())
    ranges = ",\n".join(
        f'{{ "Timeline": {one.timeline}, "Start-LSN": "{one.start}", "End-LSN": "{one.end}" }}' for one in wal
    )
    covered = f'{head}"Files": [\n{listed}\n],\n"WAL-Ranges": [\n{ranges}\n],\n'.encode()
    checksum = hashlib.sha256(covered).hexdigest()
    return covered + f'"Manifest-Checksum": "{checksum}"}}\n'.encode()


def _file(path: str, copied: CopiedFile) -> str:
    modified_at = time.strftime("%Y-%m-%d %H:%M:%S GMT", time.gmtime(copied.modified_at))
    # The four bytes as they lie in the memory of a little-endian server.
    checksum = copied.crc32c.to_bytes(4, "little").hex()
    return (
        f'{{ {_name(path)}, "Size": {copied.size_bytes}, "Last-Modified": "{modified_at}", '
        f'"Checksum-Algorithm": "CRC32C", "Checksum": "{checksum}" }}'
    )


def _name(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        return f'"Encoded-Path": "{path.encode("utf-8", "surrogateescape").hex()}"'
    return f'"Path": {json.dumps(path, ensure_ascii=False)}'
