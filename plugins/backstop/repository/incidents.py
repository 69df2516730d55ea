"""Journals of incidents: ``<target>/meta/incidents/<id>/<n>.json``, each event put once, none rewritten.

Every repository that answers gets every event; one that was away gets what it missed with the next. Two who
write at once take two numbers. What was written to one repository only, because each of two writers saw
another one, is merged on reading.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.errors import (
    BackstopError,
    IntegrityError,
    NotFoundError,
    ObjectConflictError,
    StorageUnavailableError,
)
from backstop.model.canonical import canonical_json
from backstop.model.documents import fit
from backstop.model.incident import Event, EventKind, merged
from backstop.repository.description import refuse_newer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from backstop.repository.catalog import Repository

_NAME = re.compile(r"(?P<incident>incident-[0-9A-Za-z-]+)/(?P<number>[1-9][0-9]{0,8})\.json")
_MAX_BYTES = 4 * 1024 * 1024
_ASKED_AGAIN_AFTER = timedelta(minutes=1)
"""A repository that did not answer costs its patience once a minute, not with every event."""


def new_incident_id(now: datetime) -> str:
    """``incident-20261126T190000Z-1f3a``."""
    return f"incident-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


@dataclass(slots=True)
class _Place:
    """One repository, and what was read of it: events never change, so each is read once."""

    repository: Repository
    known: dict[tuple[str, int], Event | None] = field(default_factory=dict)
    silent_since: datetime | None = None
    unheard: str = ""
    """Why it could not even be read when it was last asked; empty: it could."""

    def events(self, incident: str) -> list[Event]:
        found = ((number, event) for (name, number), event in self.known.items() if name == incident)
        return [event for _, event in sorted(found, key=lambda one: one[0]) if event is not None]

    def last(self, incident: str) -> int:
        return max((number for name, number in self.known if name == incident), default=0)


class IncidentJournal:
    """Those of one target.

    :param repositories: of the target, as far as they could be opened; those that answer are written to.
    """

    def __init__(
        self, repositories: Sequence[Repository], target: str, *, clock: Callable[[], datetime]
    ) -> None:
        self._places = [_Place(one) for one in repositories]
        self._prefix = f"{target}/meta/incidents/"
        self._target = target
        self._clock = clock
        # Whoever reports beside a long step reads and writes here too.
        self._lock = threading.RLock()
        self.failed: dict[str, str] = {}
        """By repository that did not answer when it was last asked: why."""
        self.damaged: list[str] = []
        """Events that cannot be read, one sentence each; another repository's copy counts."""

    @property
    def unheard(self) -> dict[str, str]:
        """By repository that cannot even be read: why. Whoever wants more of it waits in vain."""
        return {place.repository.name: place.unheard for place in self._places if place.unheard}

    def incidents(self) -> list[str]:
        """Every incident that any repository knows of, oldest first.

        :raises BackstopError: none answers.
        """
        with self._lock:
            self._refresh()
            return sorted({name for place in self._places for name, _ in place.known})

    def open_incidents(self) -> list[str]:
        """Those that nobody has closed. One whose declaration nobody can read any more stops nobody."""
        with self._lock:
            return [name for name in self.incidents() if _open(self._merged(name))]

    def events(self, incident: str) -> list[Event]:
        """In order; empty: there is no such incident. :raises BackstopError: no repository answers."""
        with self._lock:
            self._refresh()
            return self._merged(incident)

    def append(self, incident: str, kind: EventKind, data: Mapping[str, Any]) -> Event:
        """Add one event wherever a repository answers, behind whatever that one lacks.

        :raises BackstopError: none took it; the first one's error.
        """
        with self._lock:
            return self._append(incident, kind, data)

    def _append(self, incident: str, kind: EventKind, data: Mapping[str, Any]) -> Event:
        self._refresh()
        known = self._merged(incident)
        order = max((one.order for one in known), default=0) + 1
        event = Event(0, self._clock(), kind, fit(dict(data)), uid=secrets.token_hex(8), order=order)
        failures: list[BackstopError] = []
        for place in self._answering():
            there = {one.uid for one in place.events(incident)}
            try:
                for one in [*(one for one in known if one.uid not in there), event]:
                    self._put(place, incident, one)
            except BackstopError as error:
                failures.append(error)
                self._is_silent(place, error)
        if not self._answering():
            raise failures[0]
        return event

    def _put(self, place: _Place, incident: str, event: Event) -> None:
        refuse_newer(place.repository.storage)
        body = canonical_json(event.to_dict())
        number = place.last(incident) + 1
        while True:
            try:
                place.repository.storage.put_once(f"{self._prefix}{incident}/{number}.json", body)
            except ObjectConflictError:
                self._read(place, incident, number)  # somebody else was quicker
                number += 1
            else:
                place.known[incident, number] = event
                return

    def _merged(self, incident: str) -> list[Event]:
        return merged(place.events(incident) for place in self._places)

    def _answering(self) -> list[_Place]:
        return [place for place in self._places if place.silent_since is None]

    def _refresh(self) -> None:
        failures: list[BackstopError] = []
        for place in self._places:
            if place.silent_since is not None and self._clock() - place.silent_since < _ASKED_AGAIN_AFTER:
                continue
            try:
                self._look(place)
            except BackstopError as error:
                failures.append(error)
                self._is_silent(place, error)
                place.unheard = error.message
            else:
                place.silent_since, place.unheard = None, ""
                self.failed.pop(place.repository.name, None)
        if not self._answering():
            if failures:
                raise failures[0]
            raise StorageUnavailableError(
                f"no repository of {self._target} answers: "
                + ("; ".join(f"{name}: {why}" for name, why in self.failed.items()) or "none can be opened")
            )

    def _is_silent(self, place: _Place, error: BackstopError) -> None:
        place.silent_since = self._clock()
        self.failed[place.repository.name] = error.message

    def _look(self, place: _Place) -> None:
        for info in place.repository.storage.list(self._prefix):
            found = _NAME.fullmatch(info.key[len(self._prefix) :])
            if found is not None and (found["incident"], int(found["number"])) not in place.known:
                self._read(place, found["incident"], int(found["number"]))

    def _read(self, place: _Place, incident: str, number: int) -> None:
        key = f"{self._prefix}{incident}/{number}.json"
        event: Event | None = None
        try:
            raw = json.loads(place.repository.storage.read(key, max_bytes=_MAX_BYTES))
            event = Event.from_dict(raw if isinstance(raw, dict) else {}, number=number)
        except (ValueError, RecursionError, IntegrityError, NotFoundError) as error:
            self.damaged.append(f"{place.repository.location}/{key}: {error}")
        # Its number is taken, whatever it says.
        place.known[incident, number] = event


def _open(events: Sequence[Event]) -> bool:
    kinds = {event.kind for event in events}
    return EventKind.DECLARED in kinds and EventKind.CLOSED not in kinds
