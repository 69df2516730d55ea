"""Clears away leases and pins that ended long ago: nobody else removes them."""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError, ObjectMissingError
from backstop.repository.claims import Claim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from backstop.storage.base import ObjectVersion, Storage

SPENT_FOR = timedelta(days=1)
"""Much longer than any put or clock is late."""


def clear_spent_claims(storage: Storage, target: str, *, now: datetime) -> int:
    """Remove old renewals of leases, and pins that have run out, at least a day after the fact.

    The first and the newest renewal of each kind's newest epoch stay: the next epoch counts from them. A
    damaged pin stays too: it counts as a reader until somebody has looked.

    :returns: how many objects (versions, where there are some) were removed.
    """
    doomed = [*_old_leases(storage, target, now), *_old_pins(storage, target, now)]
    storage.delete_many((one.key, one.version_id) for one in doomed)
    return len(doomed)


def _old_leases(storage: Storage, target: str, now: datetime) -> Iterator[ObjectVersion]:
    for versions in _by_folder(storage, f"{target}/meta/lease/"):
        # Fixed numbers of digits: the order of names is the order of epochs and renewals.
        newest = max((one.key for one in versions if one.is_latest and not one.is_marker), default=None)
        if newest is not None:
            # The first of that epoch tells since when it has been held.
            first = f"{newest.rpartition('-')[0]}-000000.json"
            yield from (
                one
                for one in versions
                if one.key < newest and one.key != first and one.modified_at < now - SPENT_FOR
            )


def _old_pins(storage: Storage, target: str, now: datetime) -> Iterator[ObjectVersion]:
    for versions in _by_folder(storage, f"{target}/meta/pins/"):
        for _, renewals in groupby(versions, key=lambda one: one.key.rpartition("-")[0]):
            row = list(renewals)
            newest = max((one.key for one in row if one.is_latest and not one.is_marker), default=None)
            if newest is None or _is_spent(storage, newest, now):
                yield from (one for one in row if one.modified_at < now - SPENT_FOR)


def _is_spent(storage: Storage, key: str, now: datetime) -> bool:
    try:
        return Claim.from_json(storage.read(key), key).expires_at < now - SPENT_FOR
    except (IntegrityError, ObjectMissingError):
        return False


def _by_folder(storage: Storage, prefix: str) -> Iterator[list[ObjectVersion]]:
    for _, versions in groupby(storage.versions(prefix), key=lambda one: one.key.rpartition("/")[0]):
        yield sorted(versions, key=lambda one: one.key)
