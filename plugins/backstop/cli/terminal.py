"""What happens only when a person is watching: progress bars and questions."""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from backstop.cli.exit_codes import DECLINED
from backstop.cli.output import say
from backstop.commands.progress import Progress, Silent
from backstop.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on stderr while it lasts, when that is a terminal; otherwise nothing."""
    if not sys.stderr.isatty():
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bar

    with Bar(
        SpinnerColumn(),
        TextColumn("{task.description:<8}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        yield _OnBar(bar)


class LaterBar:
    """A progress that is handed out before there is a bar: what is printed or asked meanwhile goes where it
    should, because a bar takes stdout over. There is one as long as a ``with`` block lasts.
    """

    def __init__(self) -> None:
        self._shown: Progress = Silent()
        self._open = ExitStack()

    def __enter__(self) -> LaterBar:
        self._shown = self._open.enter_context(progress_bar())
        return self

    def __exit__(self, *_: object) -> None:
        self._shown = Silent()
        self._open.close()

    def phase(self, name: str, *, total_bytes: int | None = None) -> None:
        self._shown.phase(name, total_bytes=total_bytes)

    def advance(self, done_bytes: int) -> None:
        self._shown.advance(done_bytes)


class _OnBar:
    """Puts each phase of a command on a line of its own."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task: Any = None
        self._lock = threading.Lock()

    def phase(self, name: str, *, total_bytes: int | None = None) -> None:
        with self._lock:
            if self._task is not None:
                self._bar.stop_task(self._task)
            self._task = self._bar.add_task(name, total=total_bytes)

    def advance(self, done_bytes: int) -> None:
        with self._lock:
            if self._task is None:
                self._task = self._bar.add_task("reading", total=None)
            self._bar.advance(self._task, done_bytes)


def confirm(question: str, *, yes: bool) -> bool:
    """Ask on the terminal, unless ``--yes`` has answered.

    :raises ConfigurationError: nobody is there to be asked.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "nobody is at the terminal to confirm this", hint="add --yes if you are sure"
        )
    sys.stderr.write(f"{question} Type yes to go on: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() == "yes"


def declined(where: str = "") -> int:
    """Say that :func:`confirm` got another answer than yes; gives the exit code of it.

    :param where: what the question was about, when other questions have been answered with yes.
    """
    say(f"backstop: not confirmed; nothing has been changed{f' in {where}' if where else ''}")
    return DECLINED


def ask_password(question: str) -> bytes:
    """Read a password without showing it. :raises ConfigurationError: nobody is there to type it."""
    import getpass

    if not sys.stdin.isatty():
        raise ConfigurationError("a password is needed, and nobody is at the terminal", hint="run it by hand")
    return getpass.getpass(question).encode()
