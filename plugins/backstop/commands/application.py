"""The target's own commands around a swap: stop, start, probe."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from typing import IO, TYPE_CHECKING

from backstop.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

_TAIL_LINES = 20
_TAIL_BYTES = 16 * 1024
# Connections, keys and passwords of this worker are nothing to the application.
_OURS = ("AIRFLOW", "_AIRFLOW", "BACKSTOP_")


def run_commands(
    commands: Sequence[Sequence[str]], *, purpose: str, timeout: timedelta, section: str = "application"
) -> list[str]:
    """Run each command to its end, in order, without a shell.

    What it leaves running (a daemon that a start script puts in the background) lives on, and is not waited
    for; a command that runs out of time is killed with all that it started.

    :param purpose: ``stop``, ``start`` or ``probe``, for the error.
    :param timeout: for each command; :param section: of targets.yaml, the place of both.
    :returns: the last lines of each one's output.
    :raises CommandError: one failed or ran out of time; its last lines of output are in the message.
    """
    outputs = []
    for argv in commands:
        # A file, because a daemon would keep the end of a pipe open for ever.
        with tempfile.TemporaryFile() as output:
            try:
                code = _run(argv, output, timeout)
            except subprocess.TimeoutExpired as error:
                raise CommandError(
                    f"{section}.{purpose} command {argv[0]!r} did not end within {timeout}",
                    hint=f"raise {section}.timeout in targets.yaml, or run it by hand",
                ) from error
            except OSError as error:
                raise CommandError(
                    f"{section}.{purpose} command {argv[0]!r} cannot be run: {error.strerror}",
                    hint=f"correct {section} in targets.yaml; it runs on the worker",
                ) from error
            if code != 0:
                raise CommandError(
                    f"{section}.{purpose} command {argv[0]!r} exited with {code}: {_tail(output)}",
                    hint="run it by hand on the worker to see why",
                )
            outputs.append(_tail(output))
    return outputs


def _run(argv: Sequence[str], output: IO[bytes], timeout: timedelta) -> int:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    process = subprocess.Popen(
        list(argv),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return process.wait(timeout=timeout.total_seconds())
    except BaseException:
        # Before it is reaped: until then its group's number cannot belong to anybody else.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def _tail(output: IO[bytes]) -> str:
    output.seek(max(0, output.seek(0, os.SEEK_END) - _TAIL_BYTES))
    return "\n".join(output.read().decode(errors="replace").splitlines()[-_TAIL_LINES:])
