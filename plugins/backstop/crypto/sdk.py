"""The AWS Encryption SDK, imported when it is first needed: that takes a second."""

from __future__ import annotations

import threading

_LOADING = threading.Lock()


def load_sdk() -> None:
    """Import it, in one thread alone; call this before importing anything of it.

    Its modules import each other in circles. When two threads begin at once, Python lets one of them see a
    module that is only half there rather than wait for ever, and its import fails.
    """
    with _LOADING:
        import aws_encryption_sdk  # noqa: F401
