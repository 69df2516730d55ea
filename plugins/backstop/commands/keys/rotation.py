"""New keys, when they are due or asked for; old ones stay and open what they wrapped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from backstop.crypto.kms import key_region
from backstop.crypto.kms_rotation import ensure_rotation, rotate_at_once
from backstop.errors import KeyUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from backstop.crypto.keyring import LocalKeyring

ROTATE_AFTER = timedelta(days=90)
_REACHED = timedelta(hours=36)
"""Looked at daily: what is due before the next look is done now."""


class RotatingKeys(Protocol):
    """Keys of one entry of ``keys`` in targets.yaml."""

    def rotate(self, *, now: datetime, at_once: bool) -> list[str]:
        """:returns: what was done and how it is now, in sentences. :raises KeyUnavailableError: see there."""
        ...


@dataclass(frozen=True)
class RotatingRing:
    """A key ring in a file.

    :param load: reads it.
    :param copied_by_hand: its escrow copy is: a new key is safe only once that is renewed.
    :param renew: what then has to be done, for people.
    """

    load: Callable[[], LocalKeyring]
    copied_by_hand: bool
    renew: str

    def rotate(self, *, now: datetime, at_once: bool) -> list[str]:
        """A new key where the newest is 90 days old, or at once.

        :raises KeyUnavailableError: it is due, and the copy is made by hand: then a person has to do it.
        """
        ring = self.load()
        newest = ring.generations[-1]
        due_at = newest.created_at + ROTATE_AFTER
        if not at_once and now < due_at - _REACHED:
            return [f"key {newest.id} of {ring.path} wraps until {due_at:%Y-%m-%d}"]
        if self.copied_by_hand and not at_once:
            raise KeyUnavailableError(
                f"the newest key of {ring.path} is of {newest.created_at:%Y-%m-%d}: a new one is due, and "
                "its copy is made by hand",
                hint=f"`python -m backstop rotate-keys --now` where the ring is; then {self.renew}",
            )
        made = ring.add_generation(now).generations[-1]
        return [
            f"{ring.path} has the new key {made.id}, which wraps from now on; "
            f"the {len(ring.generations)} before it open what they wrapped",
            self.renew,
        ]


@dataclass(frozen=True)
class RotatingKmsKeys:
    """Keys of AWS KMS. :param client_for: a client for a region, of whoever administers keys."""

    arns: Sequence[str]
    client_for: Callable[[str], Any]

    def rotate(self, *, now: datetime, at_once: bool) -> list[str]:
        """Each rotates by itself every 90 days; and at once, when asked."""
        said = []
        for arn in self.arns:
            client = self.client_for(key_region(arn))
            said.append(ensure_rotation(client, arn, ROTATE_AFTER, apply=True))
            if at_once:
                said.append(rotate_at_once(client, arn))
        return said
