"""The AWS Encryption SDK, imported when it is first needed: that takes a second."""

from __future__ import annotations

import importlib
import sys
import threading
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOADING = threading.Lock()
_BOTO3 = "boto3"


def load_sdk() -> None:
    """Import it, in one thread alone; call this before importing anything of it.

    Its modules import each other in circles. When two threads begin at once, Python lets one of them see a
    module that is only half there rather than wait for ever, and its import fails.
    """
    with _LOADING, _boto3_postponed():
        import aws_encryption_sdk  # noqa: F401


class _Postponed(ModuleType):
    """A module that is imported when something of it is first asked for."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _boto3_postponed() -> Iterator[None]:
    """The SDK imports boto3 for KMS alone, and with all that comes along it is a quarter of the SDK's time.

    Nobody else sees it postponed: the name is free again as soon as the SDK has taken hold of it.
    """
    if _BOTO3 in sys.modules:
        yield
        return
    postponed = sys.modules[_BOTO3] = _Postponed(_BOTO3)
    try:
        yield
    finally:
        if sys.modules.get(_BOTO3) is postponed:
            del sys.modules[_BOTO3]
