"""PostgreSQL's list of a base backup's files, and what differs from it."""

from __future__ import annotations

import hashlib
import json

import pytest

from backstop.errors import IntegrityError
from backstop.model.lsn import Lsn
from backstop.postgres.backup_manifest import ManifestFile, WalRange, compare_files, parse_backup_manifest

FILES = (
    '{ "Path": "backup_label", "Size": 9, "Last-Modified": "2026-11-26 03:00:00 GMT", '
    '"Checksum-Algorithm": "CRC32C", "Checksum": "839206e3" }',
    '{ "Encoded-Path": "62617365ff", "Size": 0, "Last-Modified": "2026-11-26 03:00:00 GMT", '
    '"Checksum-Algorithm": "CRC32C", "Checksum": "00000000" }',
)


def manifest(*files: str, version: int = 2, system_id: str = '"System-Identifier": 77,\n') -> bytes:
    body = (
        f'{{ "PostgreSQL-Backup-Manifest-Version": {version},\n{system_id if version > 1 else ""}"Files": [\n'
        + ",\n".join(files)
        + '\n],\n"WAL-Ranges": [\n{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000120" }\n],\n'
    ).encode()
    return body + f'"Manifest-Checksum": "{hashlib.sha256(body).hexdigest()}"}}\n'.encode()


def test_a_manifest_lists_files_sizes_and_checksums():
    read = parse_backup_manifest(manifest(*FILES))

    # CRC-32C of "123456789" is the published check value.
    assert read.files == (
        ManifestFile("backup_label", 9, 0xE3069283),
        ManifestFile("base\udcff", 0, 0),
    )
    assert read.wal_ranges == (WalRange(1, Lsn(0x2000028), Lsn(0x2000120)),)
    assert read.system_id == "77"
    assert read.size_bytes == 9
    assert parse_backup_manifest(manifest(*FILES, version=1)).system_id is None


def test_a_manifest_with_any_byte_changed_is_refused():
    whole = manifest(*FILES)
    for place in range(0, len(whole) - 2, 7):
        changed = bytearray(whole)
        changed[place] ^= 1
        with pytest.raises(IntegrityError, match="backup_manifest"):
            parse_backup_manifest(bytes(changed))


@pytest.mark.parametrize("kept", [0, 10, 200, -80, -4])
def test_a_manifest_that_was_cut_is_refused(kept: int):
    with pytest.raises(IntegrityError, match="backup_manifest"):
        parse_backup_manifest(manifest(*FILES)[:kept])


def test_a_manifest_of_an_unknown_version_is_refused():
    with pytest.raises(IntegrityError, match="has version 3"):
        parse_backup_manifest(manifest(*FILES, version=3))


def test_a_manifest_with_a_file_without_a_size_is_refused():
    with pytest.raises(IntegrityError, match="cannot be read"):
        parse_backup_manifest(manifest(json.dumps({"Path": "x"})))


@pytest.mark.parametrize(
    ("received", "problem"),
    [
        ({"base\udcff": (0, 0)}, "backup_label did not arrive"),
        ({"backup_label": (8, 0xE3069283)}, "backup_label arrived with 8 of 9 bytes"),
        ({"backup_label": (9, 0xE3069284)}, r"backup_label arrived with other bytes \(CRC-32C\)"),
        ({"backup_label": (9, 0xE3069283), "stranger": (1, 1)}, "stranger is not in the server's manifest"),
    ],
)
def test_whatever_differs_from_the_manifest_is_named(received: dict[str, tuple[int, int]], problem: str):
    with pytest.raises(IntegrityError, match=problem):
        compare_files(parse_backup_manifest(manifest(*FILES)), received)


def test_what_arrived_as_listed_is_accepted():
    arrived = {"backup_label": (9, 0xE3069283), "base\udcff": (0, 0)}
    compare_files(parse_backup_manifest(manifest(*FILES)), arrived)


def test_a_file_without_a_crc32c_is_refused():
    unchecked = FILES[0].replace("CRC32C", "NONE")
    with pytest.raises(IntegrityError, match="has no CRC-32C"):
        compare_files(parse_backup_manifest(manifest(unchecked)), {"backup_label": (9, 0xE3069283)})
