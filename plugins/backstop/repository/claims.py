"""Small objects that say who is doing something until when, renewed while it lasts: leases and pins.

A claim is a row of objects ``<stem>-<renewal, 6 digits>.json``; the one with the highest number counts.
Nothing is overwritten and nothing needs to be deleted, so a role that may only put can hold one.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError, StorageError
from backstop.model.canonical import canonical_json, format_time, parse_time
from backstop.model.format_version import known_version
from backstop.model.words import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from backstop.storage.base import Storage

log = logging.getLogger(__name__)

_LAST = datetime(9999, 1, 1, tzinfo=timezone.utc)
"""Times can be added to it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One object's content.

    :param id: random, so that two claims never have the same bytes: storing the same bytes twice is success.
    :param holder: in words, for whoever is kept waiting.
    """

    id: str
    holder: str
    host: str
    pid: int
    expires_at: datetime
    released: bool = False

    @classmethod
    def of_this_process(cls, holder: str, *, expires_at: datetime) -> Claim:
        return cls(secrets.token_hex(8), holder, socket.gethostname(), os.getpid(), expires_at)

    def in_force(self, now: datetime, *, skew: timedelta) -> bool:
        """Whether others must respect it; ``skew`` is how much their clocks may be ahead of its holder's."""
        # Not expires_at + skew: whoever may put a claim could date it to where there is no later time.
        return not self.released and now - skew < self.expires_at

    def __str__(self) -> str:
        return f"{self.holder} on {self.host} (process {self.pid})"

    def to_json(self) -> bytes:
        return canonical_json(
            {
                "expires_at": format_time(self.expires_at),
                "holder": self.holder,
                "host": self.host,
                "id": self.id,
                "pid": self.pid,
                "released": self.released,
            }
        )

    @classmethod
    def from_json(cls, body: bytes, where: str) -> Claim:
        """:raises IntegrityError: not a claim."""
        try:
            raw = json.loads(body)
            # Since 1 they name none; one that must be read otherwise will say so.
            known_version(raw, what=where, absent=1)
            if type(raw["pid"]) is not int or type(raw["released"]) is not bool:
                raise TypeError("a claim of other kinds of values than ours")
            return cls(
                id=printable(raw["id"]),
                holder=printable(raw["holder"]),
                host=printable(raw["host"]),
                pid=raw["pid"],
                expires_at=min(parse_time(raw["expires_at"]), _LAST),
                released=raw["released"],
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise IntegrityError(
                f"{where} is damaged: {type(error).__name__}",
                hint="make sure that no backup or restore is running, then remove that object",
            ) from error


class HeldClaim:
    """Our own claim: renewed in the background every third of its time, until released.

    When renewals fail it ends by the clock, and stays ended. ``renewed`` is called after each renewal.
    """

    def __init__(
        self,
        storage: Storage,
        stem: str,
        *,
        holder: str,
        clock: Callable[[], datetime],
        ttl: timedelta,
        renewed: Callable[[], None] = lambda: None,
    ) -> None:
        self._storage = storage
        self._stem = stem
        self._clock = clock
        self._ttl = ttl
        self._renewed = renewed
        self._lock = threading.Lock()
        self._renewal = -1
        self._claim = Claim.of_this_process(holder, expires_at=clock() + ttl)
        self._ended: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_renewing, name=f"renew {stem}", daemon=True)
        self.last_error: StorageError | None = None

    @property
    def expires_at(self) -> datetime:
        return self._claim.expires_at

    @property
    def why_ended(self) -> str | None:
        """A clause that says how the claim ended, None while it is in force."""
        if self._ended is None and self._clock() >= self._claim.expires_at:
            because = f" because {self.last_error.message}" if self.last_error else ""
            self._ended = f"it ran out at {format_time(self._claim.expires_at)} and was not renewed{because}"
        return self._ended

    def end(self, why: str) -> None:
        """Give it up without a word to the others: it is not ours any more."""
        self._ended = self._ended or why
        self._stop.set()

    def start(self) -> None:
        """Store the claim and begin to renew it.

        :raises ObjectConflictError: somebody else has this very name.
        """
        self._put(self._claim)
        self._thread.start()

    def renew(self) -> None:
        """Extend it by its full time from now on. :raises StorageError: it ends when it was to end before."""
        if self.why_ended:
            return
        claim = replace(self._claim, expires_at=self._clock() + self._ttl)
        self._put(claim)
        # Only now: what was not stored, others do not know of.
        self._claim = claim
        self._renewed()

    def release(self) -> None:
        """End it for all to see. Does nothing when it has ended. :raises StorageError: others wait it out."""
        self._stop.set()
        if self.why_ended:
            return
        # A renewal that hangs in the network may arrive later: its number is lower, so it does not count.
        self._put(replace(self._claim, released=True))

    def _put(self, claim: Claim) -> None:
        with self._lock:
            if self._ended is not None:
                return  # no renewal may follow the release
            if claim.released:
                self._ended = "it was released"
            # A number is used once: after an unanswered put nobody knows what is stored under it.
            self._renewal += 1
            number = self._renewal
        self._storage.put_once(f"{self._stem}-{number:06d}.json", claim.to_json())

    def _keep_renewing(self) -> None:
        third = self._ttl.total_seconds() / 3
        pause = third
        while not self._stop.wait(pause) and not self.why_ended:
            try:
                self.renew()
            except StorageError as error:
                self.last_error = error
                log.warning("%s is not renewed: %s", self._stem, error)
                pause = third / 5
            else:
                self.last_error = None
                pause = third
