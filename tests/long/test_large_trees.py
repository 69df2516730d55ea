"""A file of 5 GB, and a tree of 100,000 small files: backed up, verified and restored in bounded memory.

``BACKSTOP_LARGE_MB`` and ``BACKSTOP_LARGE_FILES`` set other sizes.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import create_signing_keys
from benchmarks.measure import Cost, measure
from embedded.home import CHECKOUT
from tests.making import STARTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

MIB = 1024**2
LARGE_BYTES = int(os.environ.get("BACKSTOP_LARGE_MB", "5120")) * MIB
FILES = int(os.environ.get("BACKSTOP_LARGE_FILES", "100000"))
MOST_BYTES = 300_000_000
STEPS = ("backup", "unchanged", "verify", "restore")


@pytest.fixture
def place() -> Iterator[Path]:
    """On a disk: what lies in memory would be counted, or there would be too little of it."""
    where = os.environ.get("BACKSTOP_LARGE_AT", "/var/tmp")  # noqa: S108 a folder of its own is made there
    with tempfile.TemporaryDirectory(prefix="large-", dir=where) as name:
        yield Path(name)


@pytest.fixture
def told(record_property: Callable[[str, Any], None]) -> Iterator[list[str]]:
    lines: list[str] = []
    yield lines
    record_property("campaign", "\n  ".join(lines))


def make_large_file(tree: Path) -> None:
    """Megabytes that compress and that do not in turn, none like another; a hole behind."""
    dice = random.Random(1)
    text, noise = b"%08x " * 16, dice.randbytes(MIB)
    with (tree / "large").open("wb") as file:
        for number in range(LARGE_BYTES // MIB):
            if number % 2:
                block = bytearray(noise)
                block[:8] = number.to_bytes(8, "big")
            else:
                block = bytearray((text * (MIB // len(text) + 1))[:MIB])
                block[:8] = number.to_bytes(8, "big")
            file.write(block)
        file.truncate(LARGE_BYTES + 64 * MIB)


def make_many_files(tree: Path) -> None:
    dice = random.Random(2)
    for number in range(FILES):
        folder = tree / f"{number % 97:02d}" / f"{number % 11:02d}"
        if number < 97 * 11:
            folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:06d}").write_bytes(dice.randbytes(dice.randrange(1, 600)))


@pytest.mark.parametrize("make", [make_large_file, make_many_files])
def test_a_large_tree_is_backed_up_verified_and_restored_in_bounded_memory(
    place: Path, told: list[str], make: Callable[[Path], None]
) -> None:
    tree = place / "tree"
    tree.mkdir()
    make(tree)
    vault = place / "vault"
    vault.mkdir(mode=0o700)
    LocalKeyring.create(vault / "keyring.json", STARTED)
    create_signing_keys(vault / "signing")
    (place / "scratch").mkdir(mode=0o700)

    costs = {step: run(step, place) for step in STEPS}

    for step, cost in costs.items():
        peak = max(cost.peak_rss_bytes.values())
        told.append(
            f"{make.__name__}: {step}: {cost.seconds:.1f} s, CPU {cost.cpu_seconds:.1f} s, "
            f"{peak / 1e6:.0f} MB"
        )
    assert {step: json.loads(cost.output)["well"] for step, cost in costs.items()} == dict.fromkeys(
        STEPS, True
    )
    restored = place.joinpath("restored", *tree.parts[1:])
    differing = [
        "rsync",
        "-naHAXS",
        "--delete",
        "--checksum",
        "--itemize-changes",
        f"{tree}/",
        f"{restored}/",
    ]
    if shutil.which("rsync") is None:
        differing = ["diff", "-rq", str(tree), str(restored)]
    assert subprocess.run(differing, capture_output=True, check=True).stdout == b""
    assert max(max(cost.peak_rss_bytes.values()) for cost in costs.values()) < MOST_BYTES


def run(step: str, place: Path) -> Cost:
    argv = [sys.executable, "-m", "tests.long.large_tree_step", step, str(place)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": "plugins", "LANG": "C.UTF-8"}
    return measure(argv, env=environment, cwd=CHECKOUT, servers={})
