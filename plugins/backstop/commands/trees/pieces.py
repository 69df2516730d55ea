"""Which pieces of content are stored already, by this backup or the one before."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.commands.trees.packs import PackWriter
    from backstop.commands.trees.previous import Previous


@dataclass(slots=True)
class Pieces:
    """Stores each piece once. Thread-safe.

    :param progress: told how much was read.
    """

    packs: PackWriter
    previous: Previous | None
    progress: Callable[[int], None]
    _known: dict[bytes, str] | None = None
    """About 150 bytes for each piece of the tree."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def store(self, sha256: str, piece: bytes) -> str:
        """:returns: the name of the pack that holds it."""
        known = self._load()
        key = bytes.fromhex(sha256)
        pack = known.get(key)
        if pack is None:
            # Two threads may store one piece twice: that costs its size, a lock would cost all the others.
            pack = known.setdefault(key, self.packs.add(sha256, piece))
        self.progress(len(piece))
        return pack

    def _load(self) -> dict[bytes, str]:
        """What the backup before has is looked up only once something seems to be new."""
        if self._known is not None:
            return self._known
        with self._lock:
            if self._known is None:
                known: dict[bytes, str] = {}
                if self.previous is not None:
                    usable = {name: name for name in self.previous.packs}
                    for sha256, pack in self.previous.listing.pieces():
                        if pack in usable:
                            known[bytes.fromhex(sha256)] = usable[pack]
                self._known = known
            return self._known
