"""Processes that outlive the command that started them: start, recognise again, stop with their children."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from embedded.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def process_identity(pid: int) -> str | None:
    """What tells this process from a later one with the same pid, or None when no such process runs.

    On Linux the boot id and the start time in clock ticks since boot: exact, and untouched by clock changes.
    """
    try:
        process = psutil.Process(pid)
        if _has_ended(process):
            return None
        if BOOT_ID.exists():
            # proc(5): field 22 is the start time; the name in field 2 may hold spaces and brackets.
            stat = Path(f"/proc/{pid}/stat").read_text()
            return f"{BOOT_ID.read_text().strip()}:{stat.rpartition(')')[2].split()[19]}"
        return str(process.create_time())
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None


@dataclass(frozen=True)
class ProcessRecord:
    """A process we started, remembered on disk so that a later command can find and trust it."""

    pid: int
    identity: str

    @classmethod
    def of(cls, pid: int) -> ProcessRecord | None:
        identity = process_identity(pid)
        return cls(pid, identity) if identity else None

    @classmethod
    def read(cls, path: Path) -> ProcessRecord | None:
        """The record of a process that still runs; None for a stale file (a reboot, a reused pid)."""
        try:
            record = cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return record if record.alive() else None

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    def alive(self) -> bool:
        return process_identity(self.pid) == self.identity


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str],
    cwd: Path | None = None,
    uid: int | None = None,
    gid: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, its output appended to ``log`` (0600)."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env=dict(env),
            cwd=cwd,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            start_new_session=True,
        )
    except OSError as error:
        raise StackError(f"{argv[0]} could not be started: {error}", hint="check the file") from error
    finally:
        os.close(descriptor)


def tether(signal_name: str) -> tuple[str, ...]:
    """An argv prefix: the kernel sends the signal when the starting thread ends, however it ends (Linux)."""
    return ("setpriv", "--pdeathsig", signal_name) if shutil.which("setpriv") else ()


def stop(pid: int, *, first: signal.Signals = signal.SIGTERM, patience: float = 20.0) -> bool:
    """End the session led by ``pid``: ``first`` to the leader, then TERM, then KILL to what is left of it.

    :returns: False when something had to be killed.
    """
    members = {member.pid: member for member in _session(pid)}
    _send(members.values(), first, only=pid)
    if _gone(pid, members, patience):
        return True
    _send(members.values(), signal.SIGTERM)
    if _gone(pid, members, 5.0):
        return True
    _send(members.values(), signal.SIGKILL)
    if not _gone(pid, members, 10.0):
        left = ", ".join(str(member) for member in members)
        raise StackError(f"processes {left} survived SIGKILL", hint="look for a stuck disk, then try again")
    return False


def end_remnants(path: Path) -> None:
    """End what is left of the session of a recorded process that was killed itself; forget the record."""
    try:
        record = ProcessRecord(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return
    # The kernel gives a session's number to no new process while a member lives. So when that number has no
    # process, its members are ours, unless the machine was booted in between.
    same_boot = BOOT_ID.exists() and record.identity.startswith(BOOT_ID.read_text().strip())
    if same_boot and not psutil.pid_exists(record.pid):
        stop(record.pid, patience=0.0)
    path.unlink()


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, for an error message."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def _session(leader: int) -> list[psutil.Process]:
    """The leader's whole session and every descendant: a child may have left the process group."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == leader:
                found[process.pid] = process
                found.update((child.pid, child) for child in process.children(recursive=True))
    return list(found.values())


def _send(members: Iterable[psutil.Process], which: signal.Signals, only: int | None = None) -> None:
    for member in members:
        if only in (None, member.pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                member.send_signal(which)


def _gone(leader: int, members: dict[int, psutil.Process], patience: float) -> bool:
    """Wait until no member runs; members started meanwhile are added, ended ones dropped."""
    deadline = time.monotonic() + patience
    while True:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(leader, os.WNOHANG)
        members.update((member.pid, member) for member in _session(leader))
        for pid, member in list(members.items()):
            if not _runs(member):
                del members[pid]
        if not members:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)


def _runs(member: psutil.Process) -> bool:
    try:
        return bool(member.is_running() and not _has_ended(member))
    except psutil.NoSuchProcess:
        return False


def _has_ended(process: psutil.Process) -> bool:
    """Whether nothing is left of it but its exit status.

    Its first thread is a zombie as soon as that one has ended; until the last has, its sockets stay open.
    """
    if process.status() != psutil.STATUS_ZOMBIE:
        return False
    try:
        return all(thread.name == str(process.pid) for thread in Path(f"/proc/{process.pid}/task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return True
