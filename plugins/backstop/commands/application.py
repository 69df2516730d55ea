"""The target's own commands around a swap: stop, start, probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.target_command import run_command, without_secrets, worker_environment
from backstop.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta


def run_commands(
    commands: Sequence[Sequence[str]],
    *,
    purpose: str,
    timeout: timedelta,
    section: str = "application",
    environment: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
) -> list[str]:
    """Run each command to its end, in order, without a shell.

    What it leaves running (a daemon that a start script puts in the background) lives on, and is not waited
    for; a command that runs out of time is killed with all that it started.

    :param purpose: ``stop``, ``start`` or ``probe``, for the error.
    :param timeout: for each command; :param section: of targets.yaml, the place of both.
    :param environment: all of it; default: this worker's, without what is Backstop's and Airflow's.
    :param secrets: texts that no output repeats.
    :returns: the last lines of each one's output.
    :raises CommandError: one failed or ran out of time; its last lines of output are in the message.
    """
    outputs = []
    for argv in commands:
        try:
            end = run_command(
                argv,
                environment=worker_environment() if environment is None else environment,
                timeout=timeout,
            )
        except OSError as error:
            raise CommandError(
                f"{section}.{purpose} command {argv[0]!r} cannot be run: {error.strerror}",
                hint=f"correct {section} in targets.yaml; it runs on the worker",
            ) from error
        if end.status is None:
            raise CommandError(
                f"{section}.{purpose} command {argv[0]!r} did not end within {timeout}",
                hint=f"raise {section}.timeout in targets.yaml, or run it by hand",
            )
        tail = without_secrets(end.tail, secrets)
        if end.status != 0:
            raise CommandError(
                f"{section}.{purpose} command {argv[0]!r} exited with {end.status}: {tail}",
                hint="run it by hand on the worker to see why",
            )
        outputs.append(tail)
    return outputs
