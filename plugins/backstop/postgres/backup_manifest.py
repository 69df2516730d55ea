"""PostgreSQL's own list of what a base backup holds (docs, "Backup Manifest Format")."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.lsn import Lsn

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "backup_manifest"

_VERSIONS = (1, 2)
_LAST_LINE = b'"Manifest-Checksum"'
_NAMED_AT_MOST = 5
_HINT = "take another base backup; if it happens again, look at the network and memory of both machines"


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One file of the data directory.

    :param crc32c: None where the manifest has a checksum of another kind, or none.
    """

    path: str
    size_bytes: int
    crc32c: int | None


@dataclass(frozen=True, slots=True)
class WalRange:
    """WAL that recovery needs."""

    timeline: int
    start: Lsn
    end: Lsn


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """The manifest's content, after its own checksum has matched.

    :param system_id: since PostgreSQL 17; None in older ones.
    """

    files: tuple[ManifestFile, ...]
    wal_ranges: tuple[WalRange, ...]
    system_id: str | None

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def parse_backup_manifest(content: bytes) -> BackupManifest:
    """Read a ``backup_manifest``.

    :raises IntegrityError: cut, damaged, or of a version that this program does not know.
    """
    document = _document(content)
    version = document.get("PostgreSQL-Backup-Manifest-Version")
    if version not in _VERSIONS:
        raise IntegrityError(
            f"the server's backup_manifest has version {version!r}; this program reads {_VERSIONS}",
            hint="use a newer Backstop",
        )
    try:
        system_id = document.get("System-Identifier")
        return BackupManifest(
            files=tuple(document["Files"]),
            wal_ranges=tuple(
                WalRange(
                    timeline=raw["Timeline"],
                    start=Lsn.parse(raw["Start-LSN"]),
                    end=Lsn.parse(raw["End-LSN"]),
                )
                for raw in document["WAL-Ranges"]
            ),
            system_id=None if system_id is None else str(system_id),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(f"is malformed: {error}") from error


def compare_files(manifest: BackupManifest, received: Mapping[str, tuple[int, int]]) -> None:
    """Every file that the server says it sent has arrived as it was, and no other.

    :param received: by path, size in bytes and CRC-32C of each regular file in the archives.
    :raises IntegrityError: names the first few that differ, and how.
    """
    problems = []
    for file in manifest.files:
        size_bytes, crc32c = received.get(file.path, (None, None))
        if size_bytes is None:
            problems.append(f"{file.path} did not arrive")
        elif size_bytes != file.size_bytes:
            problems.append(f"{file.path} arrived with {size_bytes} of {file.size_bytes} bytes")
        elif file.crc32c is None:
            problems.append(f"{file.path} has no CRC-32C in the server's manifest")
        elif crc32c != file.crc32c:
            problems.append(f"{file.path} arrived with other bytes (CRC-32C)")
    listed = {file.path for file in manifest.files}
    problems += [f"{path} is not in the server's manifest" for path in received if path not in listed]
    if problems:
        more = f"; and {len(problems) - _NAMED_AT_MOST} more" if len(problems) > _NAMED_AT_MOST else ""
        raise IntegrityError(
            f"the base backup did not arrive as the server sent it: {'; '.join(problems[:_NAMED_AT_MOST])}"
            f"{more}",
            hint=_HINT,
        )


def _document(content: bytes) -> dict[str, Any]:
    # The checksum covers every byte before the line that states it.
    covered = content.rfind(_LAST_LINE)
    if covered < 0:
        raise _damaged("ended before its checksum")
    try:
        # Files become small objects as they are read: a large cluster has hundreds of thousands.
        document = json.loads(content, object_hook=_file)
    except ValueError as error:
        raise _damaged(f"is not JSON: {error}") from error
    stated = document.get("Manifest-Checksum") if isinstance(document, dict) else None
    if stated != hashlib.sha256(content[:covered]).hexdigest():
        raise _damaged("does not match its own checksum (SHA-256)")
    found: dict[str, Any] = document
    return found


def _file(raw: dict[str, Any]) -> Any:
    if "Path" in raw:
        path = raw["Path"]
    elif "Encoded-Path" in raw:
        # Not UTF-8: the same text that a tar member's name becomes.
        path = bytes.fromhex(raw["Encoded-Path"]).decode("utf-8", "surrogateescape")
    else:
        return raw
    crc32c = None
    if raw.get("Checksum-Algorithm") == "CRC32C":
        # The four bytes as they lie in the memory of a little-endian server.
        crc32c = int.from_bytes(bytes.fromhex(raw["Checksum"]), "little")
    return ManifestFile(path, raw["Size"], crc32c)


def _damaged(what: str) -> IntegrityError:
    return IntegrityError(f"the server's backup_manifest {what}", hint=_HINT)
