"""The WAL receiver as a service: ``python -m backstop archive-wal``, started again when it ends."""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedded import process
from embedded.cluster import ENVIRONMENT
from embedded.errors import StackError
from embedded.home import CHECKOUT
from embedded.process import ProcessRecord

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What systemd does with Restart=always; the new one begins at what the repositories have.
_AGAIN = (
    # Asked twice: told to stop during the pause, it must not begin anew; told while it works, not pause.
    'while test -e "$0"; do "$@" & child=$!; wait "$child"; test -e "$0" || exit 0; sleep 2; done'
)
_START_SECONDS = 30.0


@dataclass(frozen=True)
class WalReceiver:
    """Below ``directory``: its log, its process record, and the file whose absence tells it to stay down.

    :param environment: what a shell sources to use the command line with this stack.
    """

    directory: Path
    target: str
    environment: Mapping[str, str]

    @property
    def pid(self) -> int | None:
        record = ProcessRecord.read(self._record)
        return record.pid if record else None

    @property
    def log(self) -> Path:
        return self.directory / "archive-wal.log"

    @property
    def _record(self) -> Path:
        return self.directory / "process.json"

    @property
    def _wanted(self) -> Path:
        return self.directory / "wanted"

    def start(self) -> None:
        """Start it unless it runs."""
        if self.pid is not None:
            return
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        process.end_remnants(self._record)
        self._wanted.touch()
        argv = [sys.executable, "-m", "backstop", "archive-wal", "--target", self.target]
        begun = process.spawn(
            # TERM goes to the shell; it hands it on, and what was received is shipped before it ends.
            ["/bin/sh", "-c", f"trap 'kill -TERM $child' TERM; {_AGAIN}", str(self._wanted), *argv],
            log=self.log,
            env={**ENVIRONMENT, "PYTHONPATH": str(CHECKOUT / "plugins"), **self.environment},
            cwd=CHECKOUT,
        )
        record = ProcessRecord.of(begun.pid)
        if record is None:
            raise StackError("the WAL receiver ended at once", hint=f"read {self.log}")
        record.write(self._record)

    def wait_until_archiving(self, position_of: Path) -> None:
        """Wait for its first report that it is connected.

        :param position_of: the status file that ``archive-wal`` writes.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not (position_of.exists() and '"connected":true' in position_of.read_text().replace(" ", "")):
            if self.pid is None or time.monotonic() > deadline:
                raise StackError(
                    f"the WAL receiver is not connected: {process.tail(self.log, 3)}", hint=f"read {self.log}"
                )
            time.sleep(0.1)

    def stop(self) -> None:
        """What was received is shipped first; what was not, the server keeps."""
        self._wanted.unlink(missing_ok=True)
        pid = self.pid
        if pid is not None:
            process.stop(pid, first=signal.SIGTERM)
        self._record.unlink(missing_ok=True)
