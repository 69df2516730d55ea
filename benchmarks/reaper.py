"""Runs a command and waits for whatever it leaves running, so that this is measured too.

    python benchmarks/reaper.py COMMAND ARGUMENT...

pgBackRest's asynchronous archiving goes on in a process that has left its parent.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from contextlib import suppress

_SET_CHILD_SUBREAPER = 36  # prctl(2)


def main() -> int:
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    status = subprocess.run(sys.argv[1:], check=False).returncode
    with suppress(ChildProcessError):
        while True:
            os.wait()
    return status


if __name__ == "__main__":
    sys.exit(main())
