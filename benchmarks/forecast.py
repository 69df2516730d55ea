"""How well a forecast of restores hits: real ones of two sizes, each against those before it.

python -m benchmarks.forecast [--learn 4] [--later 10] [--kinds KIND...] [--directory DIR] [--json FILE]

A dump, a base backup and a file tree are backed up small, and again several times as large. Each is restored
and compared (``verify``), the sizes by turns: first so many of each size to learn from, then so many later
ones, each of which the forecast is asked about beforehand. Printed for each kind and size: how many lay in
the interval, by how much the median forecast was off, and what the machine had to do besides.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.cli.main import main as backstop
from backstop.model.forecast import forecast
from backstop.model.forecast_accuracy import forecast_accuracy
from backstop.model.restore_rates import Restore
from embedded import databases, sample
from embedded.configuration import variables
from embedded.home import Home
from embedded.stack import Stack
from embedded.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = ("dump", "base", "tree:media")
SIZES = ("small", "large")
SMALL_SCALE = 0.05
LARGE_ROWS = 600_000
LARGE_FILES, LARGE_FILE_BYTES = 1_200, 50_000
SEED = 20261126


@dataclass
class Later:
    """The restores of one kind and size that were foretold."""

    within: int = 0
    errors: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def take(self, samples: Sequence[Restore], came: Restore) -> None:
        said = forecast(samples, bytes=came.bytes, segments=came.segments)
        if said is None:
            raise SystemExit("too few restores to learn from: raise --learn")
        self.within += said.low_seconds <= came.seconds <= said.high_seconds
        self.errors.append(abs(came.seconds - said.median_seconds) / came.seconds)
        self.seconds.append(came.seconds)

    def document(self) -> dict[str, Any]:
        return {
            "later": len(self.errors),
            "within": self.within,
            "median_error": round(statistics.median(self.errors), 4),
            "median_seconds": round(statistics.median(self.seconds), 3),
        }


class Site:
    """A stack without Airflow that is backed up twice: small, then large."""

    def __init__(self, stack: Stack, kinds: Sequence[str]) -> None:
        self.stack = stack
        self.kinds = kinds
        self.labels: dict[tuple[str, str], str] = {}
        self.bytes: dict[str, int] = {}

    def backstop(self, *argv: str) -> Any:
        """In this process: what starting Python takes is no part of a restore."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = backstop([*argv, "--json"])
        if code != 0:
            raise SystemExit(f"backstop {' '.join(argv)} ended with {code}: {err.getvalue()}")
        return json.loads(out.getvalue())

    def back_up(self, size: str) -> None:
        for kind, argv in (
            ("dump", ("back-up-database",)),
            ("base", ("take-base-backup", "--full")),
            ("tree:media", ("back-up-files", "--tree", "media")),
        ):
            if kind in self.kinds:
                self.labels[kind, size] = self.backstop(*argv)["label"]
        [target] = self.backstop("list")["targets"].values()
        self.bytes |= {one["label"]: one["plain_bytes"] for one in target["backups"]}

    def grow(self) -> None:
        with self.stack.protected.connect("calibrify") as session:
            session.execute("CREATE TABLE ballast (n bigint PRIMARY KEY, what text NOT NULL)")
            session.execute(
                "INSERT INTO ballast SELECT n, repeat(md5(n::text), 3) FROM generate_series(1, %s) AS n",
                [LARGE_ROWS],
            )
            session.execute("CREATE INDEX ON ballast (what)")
        databases.grant_backup_role(self.stack.protected)
        noise = random.Random(SEED)
        for number in range(LARGE_FILES):
            path = self.stack.home.media / "ballast" / f"{number // 100:02d}" / f"{number:05d}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(noise.randbytes(LARGE_FILE_BYTES))

    def restore(self, kind: str, size: str) -> Restore:
        """One verification: what the watch takes for a restore."""
        label = self.labels[kind, size]
        [proof] = self.backstop("verify", "--label", label, "--repository", "local")["proofs"]
        if not proof["matched"]:
            raise SystemExit(f"{label} differs: {proof['differences'][:3]}")
        return Restore(self.bytes[label], float(proof["durations"]["total"]))


def measured(site: Site, *, learn: int, later: int) -> dict[str, Any]:
    """By kind: the samples, and what the forecasts of the later ones were worth."""
    samples: dict[str, list[Restore]] = {kind: [] for kind in site.kinds}
    found = {(kind, size): Later() for kind in site.kinds for size in SIZES}
    loads = []
    for number in range(learn + later):
        loads.append(os.getloadavg()[0])
        for size in SIZES:
            for kind in site.kinds:
                came = site.restore(kind, size)
                if number >= learn:
                    found[kind, size].take(samples[kind], came)
                samples[kind].append(came)
        print(f"{number + 1} of {learn + later}, load {loads[-1]:.1f}", file=sys.stderr, flush=True)
    return {
        "cpus": os.cpu_count(),
        "load": {"least": min(loads), "median": statistics.median(loads), "most": max(loads)},
        "kinds": {
            kind: {
                **{size: found[kind, size].document() for size in SIZES},
                "accuracy": _accuracy(samples[kind]),
                "samples": [[one.bytes, one.seconds] for one in samples[kind]],
            }
            for kind in site.kinds
        },
    }


def _accuracy(samples: Sequence[Restore]) -> dict[str, Any] | None:
    """As the watch tracks it."""
    said = forecast_accuracy(samples)
    if said is None:
        return None
    return {"judged": said.judged, "within": said.within, "median_error": said.median_error}


def main() -> None:
    parser = argparse.ArgumentParser(description="forecasts against real restores")
    parser.add_argument("--learn", type=int, default=4, help="restores of each size to learn from")
    parser.add_argument("--later", type=int, default=10, help="restores of each size that are foretold")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="of backups")
    parser.add_argument("--directory", type=Path, help="where the servers live (default: a new one in /tmp)")
    parser.add_argument("--json", type=Path, help="write all samples there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="backstop-forecast-", dir=arguments.directory) as folder:
        Path(folder).chmod(0o755)
        stack = Stack(Home(Path(folder) / "home"))
        try:
            stack.up(Steps(sys.stderr), without_airflow=True)
            sample.load(stack.protected.connection(), scale=SMALL_SCALE)
            databases.grant_backup_role(stack.protected)
            sample.write_media(stack.home.media, scale=SMALL_SCALE)
            os.environ.update(variables(stack.home))
            site = Site(stack, arguments.kinds)
            site.back_up("small")
            site.grow()
            site.back_up("large")
            found = measured(site, learn=arguments.learn, later=arguments.later)
        finally:
            stack.down(Steps(sys.stderr))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))
    print(f"load {found['load']['least']:.1f} to {found['load']['most']:.1f} on {found['cpus']} CPUs")
    print("KIND        SIZE   RESTORE  IN THE INTERVAL  MEDIAN ERROR")
    for kind, one in found["kinds"].items():
        for size in SIZES:
            row = one[size]
            within, error = f"{row['within']} of {row['later']}", row["median_error"]
            print(f"{kind:<11} {size:<6} {row['median_seconds']:6.1f} s  {within:<15}  {error:.0%}")


if __name__ == "__main__":
    main()
