"""Tell those who wait: each of them each message once, whatever is tried again. It never stops a recovery."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol

from backstop.commands.disaster.status_page import NotToldError
from backstop.commands.disaster.texts import message_of
from backstop.errors import BackstopError
from backstop.model.incident import EventKind
from backstop.model.situation import situation_of
from backstop.model.words import what_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from backstop.commands.disaster.texts import Message, TextSources
    from backstop.model.incident import Event
    from backstop.model.situation import Situation

log = logging.getLogger(__name__)


class Listener(Protocol):
    """Somebody who is told.

    :param name: stays the same from run to run: by it, the journal remembers what was told.
    :param public: it takes what everybody may read.
    """

    @property
    def name(self) -> str: ...
    @property
    def public(self) -> bool: ...

    def tell(self, message: Message) -> None:
        """Returns within bounded time when it has been told; raises anything when it has not."""
        ...


class Told(Protocol):
    """What telling needs of an incident; commands/disaster has it."""

    @property
    def incident_id(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def assessment(self) -> Mapping[str, Any] | None: ...
    @property
    def plan(self) -> Mapping[str, Any] | None: ...
    def status(self) -> Mapping[str, Any]: ...
    def events(self) -> Sequence[Event]: ...
    def told(self, channel: str, subject: str, failed: str = "", **data: Any) -> None: ...
    def estimated(self, low: float | None, median: float | None, high: float | None) -> None: ...


class Communication:
    """Called with an incident and ``start``, ``progress`` or ``end``.

    :param listeners: the status page, and what Airflow's notifiers are where there is Airflow.
    :param say: takes the text for stakeholders where nobody of ``listeners`` tells them; None: nobody reads.
    :param clock: the moment that estimates are made at.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        sources: TextSources,
        *,
        clock: Callable[[], datetime],
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._listeners = tuple(listeners)
        self._sources = sources
        self._clock = clock
        self._say = say

    def __call__(self, incident: Told, moment: str) -> None:
        """The same as :meth:`tell`, for whoever looks at exceptions.

        :raises NotToldError: somebody could not be told; the others were, and the journal has both.
        """
        if failures := self.tell(incident, moment):
            raise NotToldError("; ".join(failures))

    def tell(self, incident: Told, moment: str, key: str = "") -> tuple[str, ...]:
        """Tell whoever has not been told this yet; all at the same time, so that one who hangs delays
        nobody. Never raises.

        :param key: which of several of one moment; by default, how things stand.
        :returns: who could not be told, a sentence each.
        """
        try:
            return self._tell(incident, moment, key)
        except Exception as error:  # the recovery is what counts
            sentence = f"nobody could be told of {moment}: {what_failed(error)}"
            log.error("%s", sentence)
            return (sentence,)

    def _tell(self, incident: Told, moment: str, key: str) -> tuple[str, ...]:
        events, plan = incident.events(), incident.plan or {}
        situation = self.situation(incident, events)
        if moment == "progress" and situation.complete and _end_was_told(events):
            # It was due before, and comes late: nobody reads "we are working on it" after "it is back".
            return ()
        key = key or _key(moment, situation, str(plan.get("option", "")))
        known = _told(events, moment, key)
        waiting = [one for one in self._listeners if one.name not in known]
        words = message_of(moment, situation, self._sources, key=key)
        for doubt in words.doubts:
            log.warning("%s", doubt)
        if self._say is not None:
            self._say(f"{words.subject}\n\n{words.text}")
        failures = self._all(incident, waiting, words)
        self._remember_estimate(incident, moment, situation)
        return failures

    def situation(self, incident: Told, events: Sequence[Event]) -> Situation:
        """How it stands now."""
        return situation_of(
            status=incident.status(),
            assessment=incident.assessment,
            plan=incident.plan,
            what=what_happened(events),
            target=incident.target,
            incident_id=incident.incident_id,
            now=self._clock(),
        )

    def _all(self, incident: Told, listeners: Sequence[Listener], words: Message) -> tuple[str, ...]:
        if not listeners:
            return ()
        with ThreadPoolExecutor(len(listeners), thread_name_prefix="tell") as pool:
            asked = [(one, pool.submit(copy_context().run, _attempt, one, words)) for one in listeners]
            outcomes = [(one, future.result()) for one, future in asked]
        failures = []
        for listener, failed in outcomes:
            name, public = listener.name, words.public
            if failed:
                failures.append(f"{name} could not be told of {words.moment}: {failed}")
                log.error("%s", failures[-1])
            try:
                incident.told(
                    name,
                    public.title if listener.public else words.subject,
                    failed,
                    moment=words.moment,
                    key=words.key,
                    text=public.text if listener.public else words.text,
                    doubts=list(words.doubts),
                )
            except BackstopError as error:  # rather told twice than a recovery that stops
                failures.append(f"the journal does not know that {name} was told: {error}")
                log.error("%s", failures[-1])
        return tuple(failures)

    def _remember_estimate(self, incident: Told, moment: str, situation: Situation) -> None:
        if moment == "end":
            return
        estimate = situation.estimate
        figures = (
            (None, None, None)
            if estimate is None
            else tuple(
                round(one.total_seconds(), 1) for one in (estimate.low, estimate.median, estimate.high)
            )
        )
        incident.estimated(*figures)


def _attempt(listener: Listener, words: Message) -> str:
    """Why it could not be told; empty: it was."""
    try:
        listener.tell(words)
    except BackstopError as error:
        return str(error)
    except Exception as error:  # of somebody else's library
        return what_failed(error)
    return ""


def _told(events: Sequence[Event], moment: str, key: str) -> set[str]:
    """Channels that have taken this message."""
    return {
        str(event.data.get("channel"))
        for event in events
        if event.kind is EventKind.TOLD
        and not event.data.get("failed")
        and event.data.get("moment") == moment
        and event.data.get("key", "") == key
    }


def _end_was_told(events: Sequence[Event]) -> bool:
    return any(event.kind is EventKind.TOLD and event.data.get("moment") == "end" for event in events)


def _key(moment: str, situation: Situation, option: str) -> str:
    """Without a clock: a beginning is told once; progress for each state of things; an end for each option
    that was carried out, and once more when it turns out well after all."""
    if moment == "start":
        return ""
    if moment == "end":
        return f"{option} {'complete' if situation.complete else 'incomplete'}"
    return ",".join(f"{part.component} {part.state}" for part in situation.parts if part.state != "waiting")


def what_happened(events: Sequence[Event]) -> str:
    """In the words of whoever declared it."""
    declared = next((event for event in events if event.kind is EventKind.DECLARED), None)
    return str(declared.data.get("what", "")) if declared is not None else ""


def next_period(declared_at: datetime, now: datetime, every: timedelta) -> tuple[str, datetime]:
    """The next of the regular messages: its key, and when it is due.

    They are counted from the declaration, so that whoever comes first tells each of them, and nobody else.
    """
    number = (now - declared_at) // every + 1
    return f"period {number}", declared_at + number * every
