"""The one place of the engine that runs a program to its end: no shell, nothing left over, all checked."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO, TYPE_CHECKING

from backstop.errors import ToolError
from backstop.postgres.stderr import Redactor, without_raised_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TAIL_LINES = 30
_LINE_CHARACTERS = 1000
_POLL_SECONDS = 0.02
_NOTICE_INTERRUPTS_SECONDS = 0.5
# Enough for pg_dump to send its cancel requests; the server's side is ended by the watchdog, not by this.
_TERM_SECONDS = 0.3
_KILLED_HINT = "look in the kernel's log whether memory ran out, then run again"


def run_tool(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    on_line: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
    stdout_to: Path | None = None,
    timeout: float | None = None,
) -> str:
    """Run a program in a session of its own and wait for it; its children end with it in every case.

    :param env: its whole environment.
    :param on_line: gets each line of its standard error as it comes, from another thread.
    :param stop: when set, the program and its children are killed.
    :param stdout_to: a new file (0600) for its standard output.
    :param timeout: seconds after which it is killed.
    :returns: its standard output as text, empty with ``stdout_to``.
    :raises ToolError: it is missing, exited non-zero, was killed or stopped; the end of its standard error
        is in the message.
    """
    abandoned = threading.Event()
    # An interrupt reaches the main thread only, and at any of its instructions: were the program started
    # there, one that came between the start and the first `try` would leave it running.
    with ThreadPoolExecutor(max_workers=1) as supervisor:
        try:
            run = supervisor.submit(_supervise, argv, env, on_line, stop, abandoned, stdout_to, timeout)
            # Not one endless wait: an interrupt just before a lock is waited for goes unnoticed until then.
            while not run.done():
                wait([run], timeout=_NOTICE_INTERRUPTS_SECONDS)
            return run.result()
        finally:
            abandoned.set()


def _supervise(
    argv: Sequence[str],
    env: Mapping[str, str],
    on_line: Callable[[str], None] | None,
    stop: threading.Event | None,
    abandoned: threading.Event,
    stdout_to: Path | None,
    timeout: float | None,
) -> str:
    with contextlib.ExitStack() as files:
        output: IO[bytes] | int = subprocess.PIPE
        if stdout_to is not None:
            descriptor = os.open(stdout_to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            output = files.enter_context(os.fdopen(descriptor, "wb"))
        try:
            process = subprocess.Popen(
                _bound_to_us(argv),
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise ToolError(
                f"{argv[0]} cannot be run: {error.strerror}", hint="install PostgreSQL's client programs"
            ) from error
    return _Run(Path(argv[0]).name, process, on_line).wait(stop=stop, abandoned=abandoned, timeout=timeout)


class _Run:
    """A started program and the threads that drain its pipes."""

    def __init__(
        self, program: str, process: subprocess.Popen[bytes], on_line: Callable[[str], None] | None
    ) -> None:
        self.program = program
        self.process = process
        self.on_line = on_line
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.stdout: list[bytes] = []
        self.listener_failure: BaseException | None = None
        self.readers = [threading.Thread(target=self._read_stderr, daemon=True)]
        if process.stdout is not None:
            self.readers.append(threading.Thread(target=self._read_stdout, daemon=True))
        for reader in self.readers:
            reader.start()

    def wait(self, *, stop: threading.Event | None, abandoned: threading.Event, timeout: float | None) -> str:
        reason = ""
        watcher = None
        try:
            watcher = _watch_over_group(self.process.pid)
            reason = self._wait_for_exit(stop, abandoned, timeout)
        finally:
            # Before the leader is reaped: until then its group's number cannot belong to anybody else.
            self._kill_group(gently=bool(reason))
            if watcher is not None:
                _dismiss(watcher)
            code = self.process.wait()
            for reader in self.readers:
                reader.join(timeout=5)
            for pipe in (self.process.stdout, self.process.stderr):
                if pipe is not None:
                    pipe.close()
        if self.listener_failure is not None:
            raise self.listener_failure
        if reason:
            raise ToolError(f"{self.program} {reason}", hint="see the failure reported with it")
        if code:
            hint = _hint(self.program, self.tail) if code > 0 else _KILLED_HINT
            raise ToolError(f"{self.program} {_ending(code)}{self._words()}", hint=hint)
        return b"".join(self.stdout).decode("utf-8", errors="surrogateescape")

    def _wait_for_exit(
        self, stop: threading.Event | None, abandoned: threading.Event, timeout: float | None
    ) -> str:
        """Why the program must be killed; empty when it ended by itself. Does not reap it."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if self.listener_failure is not None:
                return "was stopped because its output could not be handled"
            if deadline is not None and time.monotonic() > deadline:
                return f"was stopped after {timeout:.0f} s"
            if stop is not None and stop.is_set():
                return "was stopped because another part of the run ended"
            if abandoned.wait(_POLL_SECONDS):
                return "was stopped because the run was interrupted"
        return ""

    def _kill_group(self, *, gently: bool) -> None:
        with contextlib.suppress(ProcessLookupError):
            if gently:
                os.killpg(self.process.pid, signal.SIGTERM)
                give_up = time.monotonic() + _TERM_SECONDS
                while time.monotonic() < give_up and not os.waitid(
                    os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT
                ):
                    time.sleep(_POLL_SECONDS)
            os.killpg(self.process.pid, signal.SIGKILL)

    def _read_stderr(self) -> None:
        stream = self.process.stderr
        if stream is None:
            return
        redactor = Redactor()
        while line := stream.readline(64 * 1024):
            text = redactor.line(line.decode("utf-8", errors="replace").rstrip())[:_LINE_CHARACTERS]
            if text:
                self.tail.append(text)
            if self.on_line is not None and self.listener_failure is None:
                try:
                    self.on_line(text)
                except BaseException as error:
                    self.listener_failure = error

    def _read_stdout(self) -> None:
        if self.process.stdout is not None:
            self.stdout.extend(iter(lambda: os.read(self.process.stdout.fileno(), 1 << 20), b""))  # type: ignore[union-attr]

    def _words(self) -> str:
        return f": {' | '.join(without_raised_words(self.tail))}" if self.tail else ""


def _bound_to_us(argv: Sequence[str]) -> list[str]:
    # Should this process be killed, the tool must not go on writing where nobody looks.
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *argv] if setpriv and Path(argv[0]).exists() else list(argv)


def _watch_over_group(group: int) -> subprocess.Popen[bytes]:
    """A shell that kills the program's children, too, should we be killed.

    The parent-death signal is the program's alone: what it forks goes on, and a worker of pg_dump would keep
    its locks on the source with nobody left to make it yield.
    """
    # Our end of its standard input is closed by the kernel when we die, however that happens.
    script = 'read -r _; kill -s KILL -- "-$1"'
    return subprocess.Popen(
        ["/bin/sh", "-c", script, "sh", str(group)],
        env={},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _dismiss(watcher: subprocess.Popen[bytes]) -> None:
    watcher.kill()
    watcher.wait()
    if watcher.stdin is not None:
        watcher.stdin.close()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _hint(program: str, tail: Sequence[str]) -> str:
    words = " ".join(tail)
    if "No space left on device" in words:
        return "free space on the disk named above"
    if "permission denied" in words:
        return "grant what include/sql/roles/backup_role.sql lists"
    return f"{program} said why above"
