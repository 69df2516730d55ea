"""Runs one verb and turns its outcome into an exit code (docs/cli.md lists them)."""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, cast

from backstop.cli.parser import build_parser
from backstop.cli.signals import ending_cleanly
from backstop.cli.streams import lasting_streams
from backstop.errors import BackstopError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m backstop`` with these arguments; returns the exit code."""
    with lasting_streams():
        arguments = build_parser().parse_args(argv)
        with ending_cleanly():
            return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    try:
        code = _verb(arguments.run)(arguments)
        sys.stdout.flush()
        return code
    except BackstopError as error:
        return _failed(error, arguments)
    except KeyboardInterrupt:
        sys.stderr.write("backstop: interrupted\n")
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("BACKSTOP_DEBUG"):
            raise
        unexpected = BackstopError(
            f"unexpected {type(error).__name__}: {error}",
            hint="this is a defect: run it again with BACKSTOP_DEBUG=1 and report what it prints",
        )
        return _failed(unexpected, arguments)


def _verb(name: str) -> Callable[[argparse.Namespace], int]:
    module, _, function = name.partition(":")
    found = getattr(importlib.import_module(f"backstop.cli.verbs.{module}"), function)
    return cast("Callable[[argparse.Namespace], int]", found)


def _failed(error: BackstopError, arguments: argparse.Namespace) -> int:
    if os.environ.get("BACKSTOP_DEBUG"):
        import traceback

        traceback.print_exception(error)
    sys.stderr.write(f"backstop: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"  next: {error.hint}\n")
    if getattr(arguments, "json", False):
        details: dict[str, Any] = {
            "message": error.message,
            "hint": error.hint,
            "retryable": error.retryable,
            "exit_code": error.exit_code,
        }
        sys.stdout.write(json.dumps({"error": details}, ensure_ascii=False) + "\n")
    return error.exit_code
