"""The target's own commands around a swap: stop, start, probe."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from backstop.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

_TAIL_LINES = 20


def run_commands(commands: Sequence[Sequence[str]], *, purpose: str, timeout: timedelta) -> None:
    """Run each command to its end, in order, without a shell.

    :param purpose: ``stop``, ``start`` or ``probe``, for the error.
    :param timeout: for each command.
    :raises CommandError: one failed or ran out of time; its last lines of output are in the message.
    """
    for argv in commands:
        try:
            done = subprocess.run(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout.total_seconds(),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CommandError(
                f"application.{purpose} command {argv[0]!r} did not end within {timeout}",
                hint="raise application.timeout in targets.yaml, or run it by hand",
            ) from error
        except OSError as error:
            raise CommandError(
                f"application.{purpose} command {argv[0]!r} cannot be run: {error.strerror}",
                hint="correct application in targets.yaml; it runs on the worker",
            ) from error
        if done.returncode != 0:
            tail = "\n".join(done.stdout.decode(errors="replace").splitlines()[-_TAIL_LINES:])
            raise CommandError(
                f"application.{purpose} command {argv[0]!r} exited with {done.returncode}: {tail}",
                hint="run it by hand on the worker to see why",
            )
