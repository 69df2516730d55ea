"""Opens folders below a folder step by step, following no symbolic link on the way."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from backstop.errors import RestoreError
from backstop.model.file_tree import shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
BELOW = FOLDER | os.O_NOFOLLOW


class Directories:
    """Descriptors of folders below one; those on the way to the last one stay open. Not thread-safe.

    :param top: a descriptor; it stays the caller's.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self._open: list[tuple[bytes, int]] = []
        self._names: tuple[bytes, ...] | None = ()

    def __enter__(self) -> Directories:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._names = None
        while self._open:
            os.close(self._open.pop()[1])

    def at(self, parts: Sequence[bytes]) -> int:
        """The folder's descriptor, valid until the next call.

        :raises RestoreError: a part of the way is a symbolic link or no folder.
        :raises OSError: it is not there, or cannot be opened.
        """
        names = tuple(parts)
        # Most files lie in the folder of the one before.
        if names != self._names:
            self._names = None
            self._go(names)
            self._names = names
        return self._open[-1][1] if self._open else self._top

    def _go(self, names: tuple[bytes, ...]) -> None:
        common = 0
        for (name, _), wanted in zip(self._open, names, strict=False):
            if name != wanted:
                break
            common += 1
        while len(self._open) > common:
            os.close(self._open.pop()[1])
        for name in names[common:]:
            self._open.append((name, self._step(name)))

    def _step(self, name: bytes) -> int:
        above = self._open[-1][1] if self._open else self._top
        try:
            return os.open(name, BELOW, dir_fd=above)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            place = shown(b"/".join([*(one for one, _ in self._open), name]))
            raise RestoreError(
                f"{place.lstrip('/')} is no folder here, but a symbolic link or a file",
                hint="look who put it there; nothing is written through a link",
            ) from error
