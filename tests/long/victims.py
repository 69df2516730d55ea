"""Commands that are going to be killed: each runs in a process of its own, forked from a clean one."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psutil

from backstop.commands.database.plan import RestorePlan
from backstop.commands.database.swap import ApplicationCommands, swap_in
from tests.protection import Protection, protect, utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection

# Raised by Python right before it does these things (docs, "Audit events table").
_OPERATIONS = {"open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "subprocess.Popen"}
_PRELOADED = [
    "aws_encryption_sdk", "psycopg", "backstop.commands.database.dump", "backstop.commands.proof.dump",
    "backstop.crypto.envelope", "backstop.crypto.materials", "backstop.postgres.scratch",
    "tests.long.victims",
]  # fmt: skip


@dataclass(frozen=True)
class Strike:
    """When and how a command dies.

    :param after_seconds: by a signal from outside, so long after its start.
    :param before_operation: by its own hand, right before the n-th thing it does to files or processes.
    """

    after_seconds: float | None = None
    before_operation: int | None = None
    signal: int = signal.SIGKILL

    def __str__(self) -> str:
        name = signal.Signals(self.signal).name
        if self.before_operation is not None:
            return f"{name} before operation {self.before_operation}"
        return f"{name} after {self.after_seconds:.3f} s"


@dataclass(frozen=True)
class Victim:
    """One command on one protection.

    :param ahead: how far its clock is ahead: leases of those who died before have run out by then.
    """

    verb: str
    folder: Path
    source: ClusterConnection
    ahead: timedelta
    label: str = ""
    plan: dict[str, Any] | None = None

    def open(self) -> Protection:
        protection = protect(self.folder, self.source)
        protection.clock = lambda: utc_now() + self.ahead
        return protection

    def run(self) -> None:
        """As this process."""
        protection = self.open()
        if self.verb == "back-up":
            protection.back_up()
        elif self.verb == "verify":
            protection.prove(self.label)
        elif self.verb == "restore":
            restore = protection.restore(self.label, server=self.source, allow_superuser=True)
            plan = restore.plan()
            restore.restore_beside(plan)
            restore.validate(plan)
        else:
            swap_in(
                RestorePlan.from_dict(self.plan or {}),
                server=self.source,
                application=ApplicationCommands(),
                accept_logical_slots=False,
            )

    def later(self, **changes: Any) -> Victim:
        return replace(self, ahead=self.ahead + timedelta(minutes=4), **changes)


def _terminated(_number: int, _frame: Any) -> None:
    # As the command line does (cli/main.py).
    raise SystemExit(143)


def _live_and_die(victim: Victim, strike: Strike | None, operations: Any) -> None:
    temporary = victim.folder / "tmp"
    temporary.mkdir(exist_ok=True)
    tempfile.tempdir = str(temporary)
    # What it complains about when its world breaks down is no output of the test.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    signal.signal(signal.SIGTERM, _terminated)
    inside = str(victim.folder)
    numbers = itertools.count(1)

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _OPERATIONS or (event != "subprocess.Popen" and inside not in str(arguments[0])):
            return
        operations.value = number = next(numbers)
        if strike is not None and number == strike.before_operation:
            os.kill(os.getpid(), strike.signal)

    sys.addaudithook(count)
    victim.run()


class Gallows:
    """Runs victims. One process, which has everything loaded and no threads, is their parent."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)

    def execute(self, victim: Victim, strike: Strike | None) -> tuple[int, int, float]:
        """Let it run until it ends, one way or another, with all it had started.

        :returns: exit status (minus the signal), operations begun, seconds it lived.
        """
        operations = self._context.RawValue("q", 0)  # without a lock, which the dead might hold
        process = self._context.Process(target=_live_and_die, args=(victim, strike, operations))
        started = time.monotonic()
        process.start()
        if strike is not None and strike.after_seconds is not None:
            process.join(max(0.0, strike.after_seconds))
            if process.is_alive():
                os.kill(process.pid or 0, strike.signal)
        process.join(120)
        seconds = time.monotonic() - started
        assert process.exitcode is not None, f"{victim.verb} hangs after {strike}"
        deadline = time.monotonic() + 20
        while left := relatives(victim.folder):
            assert time.monotonic() < deadline, f"{left} outlived {victim.verb} after {strike}"
            time.sleep(0.05)
        return process.exitcode, int(operations.value), seconds


def relatives(folder: Path) -> list[str]:
    """Programs that work in this folder: pg_dump, a scratch server, its sandbox."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and str(folder) in " ".join(process.cmdline()):
                found.append(f"{process.name()} ({process.pid})")
    return found
