"""Standard streams that cannot change what a verb does, though nobody may read them or they may be closed."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

# The other end of a pipe is closed; the terminal is gone.
_NOBODY_READS = (errno.EPIPE, errno.EIO)


@contextmanager
def lasting_streams() -> Iterator[None]:
    """While it lasts, all three exist, and writing to stdout and stderr fails for want of a reader.

    What nobody reads is lost; a restore that is under way, and its exit code, are not.
    """
    before = sys.stdin, sys.stdout, sys.stderr
    # Closed by whoever started us. A number below 3 must not go to a file of a repository or to a server's
    # session: programs and libraries would write their complaints there. The lowest free one is given out.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115, PTH123 - stays open
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)
    sys.stdout, sys.stderr = _Lasting(sys.stdout), _Lasting(sys.stderr)
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdin, sys.stdout, sys.stderr = (
            was if was is not None else now
            for was, now in zip(before, (sys.stdin, sys.stdout, sys.stderr), strict=True)
        )


class _Lasting:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._go_on(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._go_on(error)

    def _go_on(self, error: OSError) -> None:
        if error.errno not in _NOBODY_READS:
            raise error
        # What is still in the buffer goes the same way, also when Python flushes it at its own end.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
