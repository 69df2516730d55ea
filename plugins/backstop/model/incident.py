"""A real disaster: a journal of events, and what it says so far. Pure.

Events are only ever added. Whoever goes on, an Airflow task or somebody at a command line, reads them all and
knows what was declared, chosen, done, left out and waited for.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 read at run time by what stores it
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any


class EventKind(str, Enum):
    """What happened."""

    DECLARED = "declared"
    """``by``, ``what``: somebody says that something is lost. The clock of the objectives starts."""
    ASSESSED = "assessed"
    """``assessment``: what is damaged and which options there are, commands/disaster/assess.py."""
    CHOSEN = "chosen"
    """``by``, ``option``: which of them."""
    WAIT_BEGAN = "wait began"
    """``for``: people are waited for; does not count as downtime of ours, and is shown apart."""
    WAIT_ENDED = "wait ended"
    """``by``."""
    STEP_BEGAN = "step began"
    """``step``, such as ``recover:base``."""
    STEP_ENDED = "step ended"
    """``step``, ``outcome`` (a :class:`~backstop.model.measured.Outcome`), ``sentence``, ``facts``."""
    TOLD = "told"
    """``channel``, ``subject``, ``failed``: stakeholders, status page."""
    ESTIMATED = "estimated"
    """``low_seconds``, ``median_seconds``, ``high_seconds`` from now on; null: nobody knows."""
    NOTED = "noted"
    """``by``, ``text``."""
    CLOSED = "closed"
    """``by``, ``outcome``."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal. :param number: from one on, without a hole, in one repository.

    :param data: of JSON's types alone; which keys, its kind says.
    """

    number: int
    at: datetime
    kind: EventKind
    data: Mapping[str, Any] = field(default_factory=dict)


STEPS = ("assess", "choose", "tell:start", "infrastructure", "recover", "validate", "tell:end", "record")
"""The plan as asked for: assess, communicate, recover, validate. ``recover:<component>`` and
``validate:<item>`` stand for each of theirs."""


def waited(events: list[Event], *, now: datetime) -> timedelta:
    """How long people were waited for, so far. Waits do not overlap: one ends where another begins."""
    total, since = timedelta(0), None
    for event in events:
        if event.kind is EventKind.WAIT_BEGAN:
            since = since or event.at
        elif event.kind in (EventKind.WAIT_ENDED, EventKind.CLOSED) and since is not None:
            total, since = total + (event.at - since), None
    return total + (now - since if since is not None else timedelta(0))
