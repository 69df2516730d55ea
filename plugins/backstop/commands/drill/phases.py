"""When each stretch of a restore began and ended, by the drill's clock."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.measured import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

_STEP = timedelta(seconds=1)
"""By less a clock is slowed down, and not set."""


@dataclass(slots=True)
class Phases:
    """In order; one that failed is among them, as far as it came."""

    clock: Callable[[], datetime]
    found: list[Phase] = field(default_factory=list)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        began_at, began = self.clock(), time.monotonic()
        try:
            yield
        finally:
            took = timedelta(seconds=time.monotonic() - began)
            ended_at = self.clock()
            if ended_at < began_at + took - _STEP:
                ended_at = began_at + took  # the clock was set back meanwhile
            self.found.append(Phase(name, began_at, ended_at))
