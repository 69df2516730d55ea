"""Runs a command and reads what it cost: seconds, CPU of its processes and of the servers, memory of each."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SAMPLE_SECONDS = 0.2


@dataclass(frozen=True)
class Cost:
    """What one command cost.

    :param cpu_seconds: user and system, of the command and all processes it waited for.
    :param server_cpu_seconds: by server, of its processes while the command ran.
    :param peak_rss_bytes: by program, the largest VmHWM of one process. It counts shared libraries and, for a
        PostgreSQL backend, the shared buffers it touched. Processes shorter than a sample are missed.
    """

    seconds: float
    cpu_seconds: float
    server_cpu_seconds: Mapping[str, float]
    peak_rss_bytes: Mapping[str, int]
    output: str = field(repr=False, default="")

    @property
    def all_cpu_seconds(self) -> float:
        return self.cpu_seconds + sum(self.server_cpu_seconds.values())


class CommandFailedError(Exception):
    """With the end of what the command said."""


def measure(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, servers: Mapping[str, int]) -> Cost:
    """Run the command to its end.

    :param servers: name to process id; the CPU of the whole tree below is read before and after.
    :raises CommandFailedError: it did not end with 0.
    """
    before = {name: tree_cpu_seconds(pid) for name, pid in servers.items()}
    started = time.monotonic()
    process = subprocess.Popen(
        list(argv),
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    sampler = _Sampler(process.pid)
    said: dict[str, bytes] = {}
    readers = [
        threading.Thread(target=lambda name, stream: said.update({name: stream.read()}), args=(name, stream))
        for name, stream in (("out", process.stdout), ("err", process.stderr))
    ]
    try:
        for thread in (sampler, *readers):
            thread.start()
        # wait4 gives this child's usage alone, with all that it waited for.
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        raise
    finally:
        seconds = time.monotonic() - started
        sampler.done.set()
        sampler.join()
    for thread in readers:
        thread.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        tail = said["err"].decode(errors="replace")[-3000:]
        raise CommandFailedError(f"{' '.join(argv)} ended with {process.returncode}:\n{tail}")
    return Cost(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        server_cpu_seconds={name: tree_cpu_seconds(pid) - before[name] for name, pid in servers.items()},
        peak_rss_bytes=dict(sorted(sampler.peaks.items())),
        output=said["out"].decode(errors="replace"),
    )


class _Sampler(threading.Thread):
    """Keeps the largest VmHWM of every program below one process."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.peaks: dict[str, int] = {}
        self._pid = pid

    def run(self) -> None:
        while not self.done.wait(_SAMPLE_SECONDS):
            with suppress(psutil.Error):
                root = psutil.Process(self._pid)
                for process in (root, *root.children(recursive=True)):
                    self._note(process.pid)

    def _note(self, pid: int) -> None:
        with suppress(OSError, ValueError, StopIteration):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            name = next(line for line in lines if line.startswith("Name:")).split(None, 1)[1]
            peak = next(line for line in lines if line.startswith("VmHWM:")).split()[1]
            self.peaks[name] = max(self.peaks.get(name, 0), int(peak) * 1024)


def tree_cpu_seconds(pid: int) -> float:
    """Of a server: itself, its ended children, and those alive now with theirs."""
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])
    return total
