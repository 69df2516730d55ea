"""Runs a command that targets.yaml names: no shell, nothing that is this worker's alone, bounded time."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from backstop.postgres.stderr import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

_TAIL_LINES = 20
_TAIL_BYTES = 16 * 1024
# Connections, keys and passwords of this worker are nothing to the application.
_OURS = ("AIRFLOW", "_AIRFLOW", "BACKSTOP_")
# Who asks a restored copy must not be led to the live one, nor to where backups are.
_LEADS_ELSEWHERE = ("PG", "AWS_")
_A_SERVICE = re.compile(
    r"(?i)(^|_)(database|db|dsn|sqlalchemy|postgres(ql)?|mysql|mariadb|mongo(db)?|redis|broker|celery|s3|minio)"
    r"(_|$)"
)
_HIDDEN = "********"
_IN_A_URL = re.compile(r"(?P<before>\w://[^/\s:@]*:)[^/\s@]+(?=@)")
_SHORTEST_SECRET = 4
_SECRET_NAME = re.compile(r"(?i)password|passwd|secret|token|credential|_key$|_conn(_|$)")
_SHORTEST_OF_OURS = 8


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """:param status: None: it ran out of time, and was killed with all that it started.

    :param tail: the last lines of its output.
    """

    status: int | None
    tail: str


def worker_environment() -> dict[str, str]:
    """This process's own, without Backstop's and Airflow's."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def environment_elsewhere(more: Mapping[str, str]) -> dict[str, str]:
    """The same without what would lead a client to a database or a bucket of its own; and ``more``."""
    own = worker_environment()
    return {name: value for name, value in own.items() if not _leads_elsewhere(name, value)} | dict(more)


def _leads_elsewhere(name: str, value: str) -> bool:
    """A worker that runs beside the application may have its settings: ``DATABASE_URL`` and the like."""
    return bool(
        name.startswith(_LEADS_ELSEWHERE)
        or _A_SERVICE.search(name)
        or _SECRET_NAME.search(name)
        or _IN_A_URL.search(value)
    )


def run_command(argv: Sequence[str], *, environment: Mapping[str, str], timeout: timedelta) -> CommandEnd:
    """Run it to its end. What it leaves running (a daemon that a start script puts in the background) lives
    on, and is not waited for.

    :raises OSError: it cannot be run.
    """
    # A file, because a daemon would keep the end of a pipe open for ever.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            list(argv),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status: int | None = process.wait(timeout=timeout.total_seconds())
        except subprocess.TimeoutExpired:
            _kill(process)
            status = None
        except BaseException:
            _kill(process)
            raise
        return CommandEnd(status, _tail(output))


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """What may stand in a report: no password of an address or of a tool's message, nothing that is named
    here, and no secret of this worker's environment.
    """
    known = [one for one in secrets if len(one) >= _SHORTEST_SECRET]
    known += [
        value
        for name, value in os.environ.items()
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST_OF_OURS
    ]
    # The longest first: one may be the beginning of another.
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    redactor = Redactor()
    text = "\n".join(redactor.line(line) for line in text.splitlines())
    return _IN_A_URL.sub(rf"\g<before>{_HIDDEN}", text)


def _kill(process: subprocess.Popen[bytes]) -> None:
    # Before it is reaped: until then its group's number cannot belong to anybody else.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(output: IO[bytes]) -> str:
    begins = max(0, output.seek(0, os.SEEK_END) - _TAIL_BYTES)
    output.seek(begins)
    lines = output.read().decode(errors="replace").splitlines()
    # Half a line may be half a secret, which nobody would recognise.
    return "\n".join((lines[1:] if begins else lines)[-_TAIL_LINES:])
