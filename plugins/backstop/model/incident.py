"""A real disaster: a journal of events, and what it says so far. Pure.

Events are only ever added. Whoever goes on, an Airflow task or somebody at a command line, reads them all and
knows what was declared, chosen, done, left out and waited for.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 read at run time by what stores it
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.canonical import format_time, parse_time
from backstop.model.format_version import known_version
from backstop.model.measured import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT = 1


class EventKind(str, Enum):
    """What happened."""

    DECLARED = "declared"
    """``by``, ``what``, ``components``, ``clock_from``, ``before``: somebody says that something is lost. The
    clock of the objectives starts at ``clock_from``, which may lie before the declaration: when it was
    noticed. ``before``: a moment just before a mistake or an attack, or null."""
    ASSESSED = "assessed"
    """``assessment``: what is damaged and which options there are, commands/disaster/assess.py."""
    CHOSEN = "chosen"
    """``by``, ``plan``, ``plan_sha256``: which of them, as it will be carried out."""
    WAIT_BEGAN = "wait began"
    """``for``: people are waited for; does not count as downtime of ours, and is shown apart."""
    WAIT_ENDED = "wait ended"
    """``by``."""
    STEP_BEGAN = "step began"
    """``step``, such as ``recover:base``; ``by``, ``host``, ``pid``, ``process``: who does it where."""
    STEP_REACHED = "step reached"
    """``step``, ``run`` (the ``uid`` of its beginning), ``facts``: how far it has come, for whoever goes on
    when it is killed."""
    STEP_ENDED = "step ended"
    """``step``, ``run`` (empty: it was left out), ``outcome`` (a :class:`~backstop.model.measured.Outcome`),
    ``sentence``, ``facts``. ``withdrawn``: that run gave way to another one before it did anything."""
    TOLD = "told"
    """``channel``, ``subject``, ``failed``: stakeholders, status page."""
    ESTIMATED = "estimated"
    """``low_seconds``, ``median_seconds``, ``high_seconds`` from now on; null: nobody knows."""
    NOTED = "noted"
    """``by``, ``text``."""
    CLOSED = "closed"
    """``by``, ``outcome``."""


_LAST_ORDER = 2**53
"""Somebody's far greater one must not keep the next event from being written; the clock sorts then."""
_READ: Mapping[EventKind, Mapping[str, type | tuple[type, ...]]] = {
    EventKind.DECLARED: {
        "by": str, "what": str, "components": list, "clock_from": str, "before": (str, type(None)),
    },
    EventKind.ASSESSED: {"assessment": dict},
    EventKind.CHOSEN: {"plan": dict, "plan_sha256": str},
    EventKind.STEP_BEGAN: {"step": str},
    EventKind.STEP_REACHED: {"step": str, "run": str, "facts": dict},
    EventKind.STEP_ENDED: {"step": str, "run": str, "outcome": str, "sentence": str, "facts": dict},
    EventKind.CLOSED: {"by": str, "outcome": str},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal. :param number: from one on, without a hole, in one repository.

    :param data: of JSON's types alone; which keys, its kind says.
    :param uid: the same in every repository: two journals that grew apart are merged by it.
    :param order: greater than that of every event its writer knew of. It sorts before the clock, because
        clocks of several machines differ.
    """

    number: int
    at: datetime
    kind: EventKind
    data: Mapping[str, Any] = field(default_factory=dict)
    uid: str = ""
    order: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Without the number, which is its place in one repository."""
        return {
            "at": format_time(self.at),
            "data": dict(self.data),
            "format": FORMAT,
            "kind": self.kind.value,
            "order": self.order,
            "uid": self.uid,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], *, number: int) -> Event:
        """:raises IntegrityError: it is malformed."""
        try:
            known_version(raw, what=f"event {number} of an incident")
            kind, data = EventKind(raw["kind"]), dict(raw["data"])
            _require_what_is_read(kind, data)
            return cls(
                number=number,
                at=parse_time(raw["at"]),
                kind=kind,
                data=data,
                uid=str(raw["uid"]),
                order=min(int(raw["order"]), _LAST_ORDER),
            )
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"event {number} of an incident is malformed: {error}",
                hint="the other repository's copy is read instead; without one, note by hand what it said",
            ) from error


def _require_what_is_read(kind: EventKind, data: Mapping[str, Any]) -> None:
    """One line that is wrong must not stop whoever reads them all. :raises LookupError: or ValueError."""
    for name, of in _READ.get(kind, {}).items():
        if not isinstance(data[name], of):
            raise TypeError(f"{name} is {type(data[name]).__name__}")
    if kind is EventKind.DECLARED:
        parse_time(data["clock_from"])
        parse_time(data["before"] or data["clock_from"])
    if kind is EventKind.STEP_ENDED:
        Outcome(data["outcome"])


def merged(journals: Iterable[Iterable[Event]]) -> list[Event]:
    """Several repositories' journals of one incident as one, in order."""
    events = {event.uid: event for journal in journals for event in journal}
    return sorted(events.values(), key=lambda event: (event.order, event.at, event.uid))


def counted(events: Iterable[Event]) -> list[Event]:
    """Without runs that gave way before they did anything, as another had begun in the same moment."""
    known = list(events)
    withdrawn = {
        one.data["run"] for one in known if one.kind is EventKind.STEP_ENDED and one.data.get("withdrawn")
    }
    return [
        one
        for one in known
        if (one.uid if one.kind is EventKind.STEP_BEGAN else one.data.get("run")) not in withdrawn
    ]


STEPS = ("assess", "choose", "tell:start", "infrastructure", "recover", "validate", "tell:end", "record")
"""The plan as asked for: assess, communicate, recover, validate. ``recover:<component>`` and
``validate:<item>`` stand for each of theirs."""


def waited(events: list[Event], *, now: datetime) -> timedelta:
    """How long people were waited for, so far. Waits do not overlap: one ends where another begins.

    Whoever asked may have been killed at the question. From the next step on, nobody waits any more.
    """
    total, since = timedelta(0), None
    for event in events:
        if event.kind is EventKind.WAIT_BEGAN:
            since = since or event.at
        elif since is not None and (
            event.kind in (EventKind.WAIT_ENDED, EventKind.CLOSED)
            or (event.kind is EventKind.STEP_BEGAN and event.data.get("step") != "assess")
        ):
            total, since = total + (event.at - since), None
    return total + (now - since if since is not None else timedelta(0))
