"""How far a command is, for whoever is watching: a terminal, a task log, nobody."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told by the engine, from any thread, often; must be cheap and must not raise."""

    def phase(self, name: str, *, total_bytes: int | None = None) -> None:
        """A new phase begins: ``dump``, ``upload``, ``fetch``, ``restore``, ``compare``…"""
        ...

    def advance(self, done_bytes: int) -> None:
        """So many more bytes of this phase are done."""
        ...


class Silent:
    """Nobody is watching."""

    def phase(self, name: str, *, total_bytes: int | None = None) -> None:
        pass

    def advance(self, done_bytes: int) -> None:
        pass
