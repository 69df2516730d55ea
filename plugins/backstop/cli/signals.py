"""Ctrl-C, TERM and a lost terminal end a verb by unwinding: leases released, staging gone, databases open."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """The first signal raises where the main thread is; those that follow cannot disturb the cleaning up.

    A signal that whoever started us had switched off (nohup) stays so. :raises KeyboardInterrupt: Ctrl-C;
    :raises SystemExit: 128 and the signal's number, as shells count.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ending = False

    def end(number: int, _frame: Any) -> None:
        nonlocal ending
        if ending:
            if number == signal.SIGINT:
                sys.stderr.write("backstop: still cleaning up; Ctrl-\\ ends it at once\n")
            return
        ending = True
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    before = {number: signal.getsignal(number) for number in _ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield
    finally:
        # Ended by a signal, the process is about to exit: the last words of its output come first.
        if not ending:
            for number, handler in before.items():
                signal.signal(number, handler)
