"""Writes Calibrify's media and configuration trees: small, and byte for byte the same on every run."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime, timezone
from pathlib import Path

from embedded.sample.database import DEFAULT_SEED, photo_count

# Every file gets this time: a tree compares equal to one written on another day.
_MODIFIED_AT = datetime(2026, 11, 1, 6, 0, tzinfo=timezone.utc)
_CONFIG = Path(__file__).parent / "config"
_PRIVATE = {"opt/calibrify/config/secrets.env"}


def photo_path(number: int) -> str:
    """Where the photo of that piece of equipment is, as in ``equipment.photo_path``."""
    return f"equipment/{number // 100:03d}/{number:06d}.jpg"


def write_media(directory: Path, *, scale: float = 1.0, seed: int = DEFAULT_SEED) -> int:
    """Write the photos that ``equipment.photo_path`` names and a few uploads: at scale 1, 303 files of 4 MB.

    Existing files with these names are written again. :returns: the number of files.
    """
    photos = {
        photo_path(number): b"\xff\xd8\xff\xe0" + _noise(seed, photo_path(number), 4_096, 24_576)
        for number in range(1, photo_count(scale) + 1)
    }
    uploads = {
        "uploads/2026/Prüfprotokoll Nr. 7 (Kopie).pdf": b"%PDF-1.7\n"
        + _noise(seed, "protocol", 8_192, 9_000),
        "uploads/2026/readings.csv": b"".join(
            b"%d;%d.%03d\n" % (n, n * 7 % 90, n % 1000) for n in range(2000)
        ),
        "uploads/empty.txt": b"",
    }
    files = photos | uploads
    for name, content in files.items():
        _write(directory / name, content, mode=0o644)
    return len(files)


def write_config(directory: Path) -> int:
    """Write the files a Calibrify host has below ``/``: its settings, the nginx site, its systemd units.

    :returns: the number of files.
    """
    sources = sorted(source for source in _CONFIG.rglob("*") if source.is_file())
    for source in sources:
        name = source.relative_to(_CONFIG).as_posix()
        _write(directory / name, source.read_bytes(), mode=0o600 if name in _PRIVATE else 0o644)
    return len(sources)


def _write(path: Path, content: bytes, *, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    stamp = _MODIFIED_AT.timestamp()
    os.utime(path, (stamp, stamp))


def _noise(seed: int, name: str, least: int, most: int) -> bytes:
    digest = hashlib.shake_256(f"{seed}/{name}".encode())
    length = least + int.from_bytes(digest.digest(4), "big") % (most - least)
    return digest.digest(length)
