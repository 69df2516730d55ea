"""What a part of a watch brings back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.model.finding import EVERY_SUBJECT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backstop.model.finding import Finding

EVERY = EVERY_SUBJECT


@dataclass(frozen=True, slots=True)
class ClockSeen:
    """Another clock. :param name: ``database``, ``repository s3``. :param ahead_seconds: of ours."""

    name: str
    ahead_seconds: float


@dataclass(frozen=True, slots=True)
class ScratchSeen:
    """What verifications and restores of dead processes left behind."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class Part:
    """What was seen, what is wrong, and what could not be looked at.

    :param seen: dataclasses of :mod:`backstop.model.observation`, :class:`ClockSeen`, :class:`ScratchSeen`.
    :param unseen: in words, what could not be looked at this time.
    :param unjudged: (check, subject) that could therefore not be judged: a finding that is open stays as it
        is, and what is not found opens nothing. :data:`EVERY` stands for all subjects of a check.
    """

    seen: tuple[Any, ...] = ()
    findings: tuple[Finding, ...] = ()
    unseen: tuple[str, ...] = ()
    unjudged: frozenset[tuple[str, str]] = frozenset()


def together(parts: Iterable[Part]) -> Part:
    """All of them as one, in their order."""
    them = tuple(parts)
    return Part(
        seen=tuple(one for part in them for one in part.seen),
        findings=tuple(finding for part in them for finding in part.findings),
        unseen=tuple(sentence for part in them for sentence in part.unseen),
        unjudged=frozenset(pair for part in them for pair in part.unjudged),
    )
