"""``make year SEED=1``: a year, and what was found on which day."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.simulation.simulate import simulate


def main() -> int:
    """:returns: 1 when anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", nargs="?", default="1")
    parser.add_argument("--days", type=int, default=365)
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = simulate(arguments.seed, arguments.days, folder=Path(folder))
    for what, count in sorted(found.counts.items()):
        print(f"{count:8} {what}")
    print(f"{arguments.days} days in {time.monotonic() - began:.0f} s")
    for violation in found.violations:
        print(violation)
    return bool(found.violations)


if __name__ == "__main__":
    sys.exit(main())
