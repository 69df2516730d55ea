"""An expiry planned for a repository of 100,000 backups, as a run plans it: seconds, CPU seconds and memory.

    python benchmarks/expiry.py [--backups 100000] [--keep DIRECTORY]

The aims are 30 s and 500 MB for `commands/expiry` from the first listing to the plan: a directory of signed
manifests and proofs (dumps, base backups in weekly chains and a file tree, a third each, one in five not
proven). The repository is written first, by another process; `--keep` leaves it there for another look.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins"))

from backstop.commands.expiry.plan import plan_expiry
from backstop.commands.expiry.settings import ExpirySettings
from backstop.crypto.signing import TrustedSigners
from backstop.model.retention import RetentionPolicy
from backstop.repository.catalog import Catalog, Repository
from backstop.storage.posix import PosixStorage
from tests.many_backups import TARGET, write_backups

NOW = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
POLICY = RetentionPolicy(
    keep_for=timedelta(days=90), keep_last=50, daily=30, weekly=12, monthly=24, yearly=10, min_proven=3
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backups", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="a directory; what lies there already is used again")
    parser.add_argument("--json", action="store_true", help="figures for programs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        if not (folder / "signing" / "trusted.json").exists():
            # In a process of its own: its memory is not the plan's.
            writing = multiprocessing.Process(target=write_backups, args=(folder, arguments.backups, NOW))
            writing.start()
            writing.join()
            if writing.exitcode:
                sys.exit(f"the repository could not be written: exit code {writing.exitcode}")
        figures = plan(folder)
    if arguments.json:
        print(json.dumps(figures))
        return
    print("{backups:,} backups: {expire:,} expire, {freed_bytes:,} bytes".format(**figures))
    print("  planned in {seconds:.1f} s on the clock, {cpu_seconds:.1f} CPU-s".format(**figures))
    print("  peak memory {peak_mb:.0f} MB, of which {before_mb:.0f} before the plan".format(**figures))


def plan(folder: Path) -> dict[str, float]:
    """What planning cost."""
    storage = PosixStorage(folder / "repository")
    catalog = Catalog(storage, TARGET, trust=TrustedSigners.load(folder / "signing" / "trusted.json"))
    before_mb = _peak_mb()
    clock, cpu = time.perf_counter(), time.process_time()
    planned = plan_expiry(
        Repository("local", storage, catalog), settings=ExpirySettings(policies=lambda _: POLICY), now=NOW
    )
    return {
        "backups": len(planned.candidates),
        "expire": len(planned.labels),
        "freed_bytes": planned.freed_bytes,
        "seconds": time.perf_counter() - clock,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": _peak_mb(),
        "before_mb": before_mb,
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    # As ``python -m backstop`` has it.
    gc.set_threshold(50_000, 20, 20)
    main()
