"""Opens the object that a manifest names, also where it had to be stored anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol

from backstop.errors import ObjectMissingError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from backstop.storage.base import Storage


class Address(Protocol):
    """Where an object lies: :class:`~backstop.model.backup.StoredObject` says it, among other things."""

    @property
    def key(self) -> str: ...
    @property
    def version_id(self) -> str | None: ...


def open_stored(storage: Storage, stored: Address) -> AbstractContextManager[BinaryIO]:
    """The version that the manifest names, or, once that one is gone, whatever has the key now.

    A manifest is never rewritten, so it goes on naming the version that was lost when ``check-objects`` has
    put the same bytes in its place. Which bytes are right, its SHA-256 says alone; the version is just where
    to look.

    :raises ObjectMissingError: neither is there.
    """
    try:
        return storage.open(stored.key, version_id=stored.version_id)
    except ObjectMissingError:
        if stored.version_id is None:
            raise
        return storage.open(stored.key)
