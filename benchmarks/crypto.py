"""MB (10^6) of plaintext per CPU-second and per second for the payload codec, in memory.

    python benchmarks/crypto.py [--megabytes 512]

CPU time counts all threads. The stages are measured alone too, so that a slow one shows.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import resource
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins"))

import zstandard

from backstop.crypto.envelope import decrypt_stream, encrypt_stream
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.zstd_frames import FRAME_BYTES, LEVEL

if TYPE_CHECKING:
    from collections.abc import Callable

CONTEXT = {"target": "benchmark", "label": "20261123T010000Z-dump", "object": "t/1"}


def table_rows(size_bytes: int) -> bytes:
    """Text like pg_dump's COPY of measurements: repetitive columns, random numbers."""
    rng = random.Random(1)
    rows = []
    for number in range(40_000):
        detail = json.dumps({"sensor": f"s{rng.randrange(500)}", "ok": rng.random() > 0.01})
        rows.append(
            f"{number}\t{rng.randrange(2000)}\t2026-11-{rng.randrange(1, 30):02d} 08:00:00"
            f".{rng.randrange(10**6)}+00\t{rng.gauss(20, 3):.12f}\t{detail}\n"
        )
    block = "".join(rows).encode()
    return (block * (size_bytes // len(block) + 1))[:size_bytes]


def incompressible(size_bytes: int) -> bytes:
    """Like certificates and images in bytea."""
    block = random.Random(2).randbytes(16_000_000)
    return (block * (size_bytes // len(block) + 1))[:size_bytes]


class Nowhere(io.RawIOBase):
    """Takes everything, keeps nothing: what is measured is the codec."""

    def write(self, block: object) -> int:
        return len(block)  # type: ignore[arg-type]


def measure(name: str, size_bytes: int, step: Callable[[], object]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    megabytes = size_bytes / 1e6
    print(f"  {name:<22}{megabytes / cpu:8.0f} MB/CPU-s {megabytes / wall:8.0f} MB/s")


def run(title: str, plain: bytes, keyring: LocalKeyring) -> None:
    stored = io.BytesIO()
    encrypt_stream(io.BytesIO(plain), stored, keyring=keyring, context=CONTEXT)

    def encrypt() -> None:
        encrypt_stream(io.BytesIO(plain), Nowhere(), keyring=keyring, context=CONTEXT)

    def decrypt() -> None:
        stored.seek(0)
        for _ in decrypt_stream(stored, keyring=keyring, context=CONTEXT):
            pass

    def compress() -> None:
        compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        for start in range(0, len(plain), FRAME_BYTES):
            compressor.compress(memoryview(plain)[start : start + FRAME_BYTES])

    print(f"{title}, {len(plain) / 1e6:.0f} MB")
    measure("encrypt (whole)", len(plain), encrypt)
    measure("decrypt (whole)", len(plain), decrypt)
    measure("of it: zstd alone", len(plain), compress)
    measure("of it: sha256 alone", len(plain), lambda: hashlib.sha256(plain).digest())
    print(f"  stored / plain        {len(stored.getvalue()) / len(plain):8.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=512)
    size_bytes = parser.parse_args().megabytes * 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        keyring = LocalKeyring.create(Path(directory) / "keyring.json", datetime.now(timezone.utc))
        keyring.check()  # imports the SDK outside the measurement
        run("rows", table_rows(size_bytes), keyring)
        run("incompressible", incompressible(size_bytes), keyring)
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"peak memory {peak_bytes / 1e6:.0f} MB, of which the data {2 * size_bytes / 1e6:.0f} MB or more")


if __name__ == "__main__":
    main()
