"""What the engine asks of a component, whatever it is: look at it, bring it back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from backstop.model.canonical import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from backstop.crypto.key_encryption import Keyring
    from backstop.repository.catalog import Repository


class Condition(str, Enum):
    """Of a component, as it is found."""

    WHOLE = "whole"
    """As far as can be told by looking: a wrong row looks like a right one."""
    DAMAGED = "damaged"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Found:
    """What was seen of one component. :param details: further sentences."""

    condition: Condition
    sentence: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """Where backups are read.

    :param repositories: that answer, the cheapest first; :param keyring: opens the keys when they are needed.
    """

    target: str
    repositories: Sequence[Repository]
    keyring: Callable[[], Keyring] = field(repr=False)

    def named(self, name: str) -> tuple[Repository, list[Repository]]:
        """That repository, and the others.

        :raises NotFoundError: it cannot be opened now.
        """
        from backstop.errors import NotFoundError

        for one in self.repositories:
            if one.name == name:
                return one, [other for other in self.repositories if other is not one]
        raise NotFoundError(
            f"repository {name} of {self.target} cannot be opened",
            hint="see why, or choose an option that reads another one",
        )


class Run(Protocol):
    """One try at a step."""

    @property
    def earlier(self) -> Mapping[str, Any]:
        """How far the try before had come when it was interrupted; empty: it was not, or noted nothing."""

    def reach(self, **facts: Any) -> None:
        """Note how far this one has come, for whoever goes on should it be killed. Durable on return."""


class Component(Protocol):
    """One thing that can be lost and brought back."""

    @property
    def kind(self) -> str:
        """``base``, ``dump``, ``tree:<name>``."""

    def look(self, sources: Sources) -> Found:
        """What is left of it. Changes nothing; whatever cannot be looked at is said."""

    def recover(self, part: Mapping[str, Any], sources: Sources, run: Run) -> dict[str, Any]:
        """Bring back what the plan's part says, beside the original; compare it; then put it in its place.

        :returns: facts of JSON's types: ``phases``, ``recovered_to``, ``kept``, ``notes`` among them.
        :raises BackstopError: it did not work; what is live is whole, as it was or as it shall be.
        """


class Phases:
    """Stretches of a recovery with the moments they began and ended at."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._since = clock()
        self.documents: list[dict[str, str]] = []

    def ended(self, name: str) -> None:
        """What went on until now was that."""
        now = self._clock()
        self.documents.append(
            {"name": name, "began_at": format_time(self._since), "ended_at": format_time(now)}
        )
        self._since = now


def earlier_of(first: str | None, second: str | None) -> str | None:
    """The earlier of two moments as the journal writes them; None counts as none."""
    known = [moment for moment in (first, second) if moment]
    return min(known, key=parse_time) if known else None
