"""An `archive-wal` for each target whose `wal.runner` is `service`; run by the service `wal-receiver`.

One that ends is started again; the others go on meanwhile. A target that comes later is found by itself.
Which status files tell how they stand is written to STATUS, for healthy.py.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.errors import BackstopError
from backstop.settings.cluster import wal_status_file
from backstop.targets import load_targets

if TYPE_CHECKING:
    from backstop.targets import Configuration

STATUS = Path("/tmp/receivers.json")  # noqa: S108 of the container alone
LOOK_SECONDS = 10.0
PAUSE_SECONDS = 5.0


def receivers(configuration: Configuration) -> dict[str, Path | None]:
    """By target whose WAL a service receives: the file that says how it stands; None: there is no spool."""
    found = {}
    for name, target in configuration.targets.items():
        if target.cluster is not None and target.cluster.wal.runner == "service":
            spool = target.cluster.spool or target.database.spool
            found[name] = wal_status_file(spool, name) if spool else None
    return found


class Receivers:
    """By target: the process, and when it may be started next."""

    def __init__(self, status: Path = STATUS) -> None:
        self._status = status
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._files: dict[str, Path | None] = {}
        self._not_before: dict[str, float] = {}

    def look(self) -> None:
        """Start what is to run and does not."""
        for target, process in list(self._running.items()):
            if (code := process.poll()) is not None:
                print(f"archive-wal of {target} ended with exit code {code}", file=sys.stderr, flush=True)
                del self._running[target]
                self._not_before[target] = time.monotonic() + PAUSE_SECONDS
        wanted = receivers(load_targets())
        # While a target's file is wrong, its receiver goes on, and must not be unwell unseen.
        going_on = {one: file for one, file in self._files.items() if one in self._running}
        self._files = {**going_on, **wanted}
        _write(self._status, json.dumps([str(file) for file in self._files.values() if file]))
        for target in wanted:
            if target not in self._running and time.monotonic() >= self._not_before.get(target, 0):
                argv = [sys.executable, "-m", "backstop", "archive-wal", "--target", target]
                self._running[target] = subprocess.Popen(argv)

    def end(self) -> None:
        """Told to end, each stores what it has received first."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait()


def _write(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def main() -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    every = Receivers()
    try:
        while not stop.is_set():
            try:
                every.look()
            except BackstopError as error:
                # What runs goes on: nobody knows what the file was to say.
                print(f"backstop: {error}", file=sys.stderr, flush=True)
            stop.wait(LOOK_SECONDS)
    finally:
        every.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
