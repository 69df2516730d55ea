"""Stops and starts the protected server of a stack: what its cut-over runs. ``main(["stop", "<home>"])``."""

from __future__ import annotations

import sys
from pathlib import Path

from embedded.errors import StackError
from embedded.home import Home
from embedded.stack import Stack


def main(arguments: list[str]) -> None:
    """:param arguments: ``stop`` or ``start``, and the stack's folder. Exits with 1 when it fails."""
    verb, root = arguments
    server = Stack(Home(Path(root))).protected
    try:
        if verb == "stop":
            server.stop()
        else:
            server.start()
    except StackError as error:
        sys.exit(f"{error.message}: {error.hint}")
