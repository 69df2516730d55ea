"""Takes the README's pictures of the Recoverability page anew: ``python scripts/take_pictures.py``.

A year of twelve invented targets in a PostgreSQL of its own, the real pages, a real Chromium. Writes
``docs/pictures/*.png``; another folder can be named. What is shown depends on nothing but the day.
"""

from __future__ import annotations

import shutil
import struct
import sys
import tempfile
import zlib
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "plugins"), str(CHECKOUT)]

import tests.airflow_home  # noqa: E402, F401 the pages ask Airflow where it lives

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PAGES = {
    "overview": ("", 560),
    "target": ("targets/system-003", 760),
    "drill": ("targets/system-003/drills/{drill}", 1010),
    "restore": ("targets/calibrify/restore?at=latest&mode=cut%20over", 760),
}
"""What is taken, and how much of its height; ``{drill}`` is the newest one of that target."""
WIDTH = 1200


def main(folder: Path) -> None:
    """Every page in light and dark."""
    from playwright.sync_api import sync_playwright

    from backstop.targets import load_targets
    from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
    from tests.chromium import CHROMIUM
    from tests.fleet import populate
    from tests.fleet_drills import newest_drill
    from tests.fleet_targets import targets_yaml
    from tests.ui.restorable import restorable
    from tests.ui.served import served

    if CHROMIUM is None:
        raise SystemExit("no chromium here: `make test-deps` installs it")
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(timezone.utc)
    scratch = Path(tempfile.mkdtemp(prefix="backstop-pictures-"))
    scratch.chmod(0o711)
    try:
        with EmbeddedPostgres(
            scratch / "postgres", bin_dir=pip_postgres_bin(18), durable=False, die_with_parent=True
        ) as server:
            inventory = server.connection("postgres")
            names = populate(inventory, targets=12, days=365, now=now)
            path = scratch / "targets.yaml"
            path.write_text(restorable(targets_yaml(names)))
            with served(inventory, load_targets(path), now=now) as address, sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                for scheme in ("light", "dark"):
                    _take(browser, address, scheme, folder, drill=newest_drill(3, now=now))
                browser.close()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _take(browser: Browser, address: str, scheme: str, folder: Path, *, drill: str) -> None:
    context = browser.new_context(
        viewport={"width": WIDTH, "height": 760},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    for name, (path, height) in PAGES.items():
        page.goto(address + path.format(drill=drill), wait_until="networkidle")
        picture = folder / f"{name}-{scheme}.png"
        page.screenshot(path=picture, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
        _compress(picture)
        print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")
    context.close()


def _compress(path: Path) -> None:
    """The same picture, with more patience than a browser has (PNG, second edition: chunks, IDAT)."""
    data = path.read_bytes()
    head, rest, kept, pixels = data[:8], data[8:], [], b""
    while rest:
        (length,) = struct.unpack(">I", rest[:4])
        kind, body, rest = rest[4:8], rest[8 : 8 + length], rest[12 + length :]
        if kind == b"IDAT":
            pixels += body
        else:
            kept.append((kind, body))
    packed = zlib.compressobj(9, memLevel=9, strategy=zlib.Z_FILTERED)
    kept.insert(-1, (b"IDAT", packed.compress(zlib.decompress(pixels)) + packed.flush()))
    path.write_bytes(head + b"".join(_chunk(kind, body) for kind, body in kept))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else CHECKOUT / "docs" / "pictures")
