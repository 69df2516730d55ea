"""When each stretch of a restore began and ended, by the drill's clock."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.model.measured import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime


@dataclass(slots=True)
class Phases:
    """In order; one that failed is among them, as far as it came."""

    clock: Callable[[], datetime]
    found: list[Phase] = field(default_factory=list)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        began_at = self.clock()
        try:
            yield
        finally:
            self.found.append(Phase(name, began_at, self.clock()))
