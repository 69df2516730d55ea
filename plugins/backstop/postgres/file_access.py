"""What the operating system says of a server's file, in words that name the file, the user, the way out."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backstop.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def file_error(path: str) -> Iterator[None]:
    """A file that is gone stays :class:`FileNotFoundError`: that is no fault of a running server.

    :raises SourceError: it may not be read, or cannot be.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise SourceError(
            f"{path} cannot be read by {who_we_are()}: {error.strerror}",
            hint="run the worker as the server's own user, or let its group read the data directory "
            "(initdb --allow-group-access, docs/access.md); or take the base backup over the network",
        ) from error
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error.strerror or error}",
            hint="look at its disk and the kernel's log; earlier backups are untouched",
        ) from error


def who_we_are() -> str:
    """``user postgres (uid 103)``."""
    import pwd

    uid = os.geteuid()
    try:
        return f"user {pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"the user with uid {uid}"
