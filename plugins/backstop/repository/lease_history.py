"""Who has held leases of a target lately: what is left of them stays for a day (``spent_claims.py``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import IntegrityError, ObjectMissingError
from backstop.repository.claims import Claim
from backstop.repository.lock import Holding
from backstop.repository.read_ahead import read_ahead

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from backstop.storage.base import ObjectInfo, Storage

_FIRST = "-000000.json"
"""What an epoch begins with; renewals say nothing new."""


def leases_since(storage: Storage, target: str, since: datetime) -> Iterator[Holding]:
    """Leases of every kind that were taken after that moment, by the storage's clock, in no order.

    One that is damaged is passed over: whoever wants to take the next names it.

    :raises StorageError: the repository cannot be asked.
    """
    taken = [
        one
        for one in storage.list(f"{target}/meta/lease/")
        if one.key.endswith(_FIRST) and one.modified_at > since
    ]

    def look(one: ObjectInfo) -> Holding | None:
        try:
            return Holding(Claim.from_json(storage.read(one.key), one.key), one.modified_at)
        except (ObjectMissingError, IntegrityError):
            return None

    return (one for one in read_ahead(taken, look, name="leases") if one is not None)
