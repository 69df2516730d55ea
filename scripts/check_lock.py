"""Is the lock free of what belongs to one machine only: index addresses, absolute paths, missing hashes?"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def faults(name: str, text: str) -> list[str]:
    """What is wrong, a line each; empty when nothing is."""
    found = [
        f"{name}:{number}: {line.strip()}"
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(r"https?://|file:|--(extra-)?index-url|--find-links|(^|\s)/", line)
    ]
    for block in re.split(r"\n(?=\S)", text):
        pin = re.match(r"[A-Za-z0-9_.\[\],-]+==\S+", block)
        if pin and "--hash=sha256:" not in block:
            found.append(f"{name}: {pin.group()} has no hash")
    return found


def main() -> int:
    """Print what is wrong; 1 when anything is."""
    names = [
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-bootstrap.txt",
        "requirements-compose.txt",
    ]
    found = [fault for name in names for fault in faults(name, (CHECKOUT / name).read_text())]
    uv = re.compile(r"^uv==\S+", re.MULTILINE)
    pins = {name: uv.findall((CHECKOUT / name).read_text()) for name in names[1:3]}
    if pins["requirements-dev.txt"] != pins["requirements-bootstrap.txt"]:
        found.append(f"uv is pinned twice, differently: {pins}; copy its lines from requirements-dev.txt")
    print("\n".join(found) or "the lock is clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
