"""The end of a key: only when nothing that is stored needs it any more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.crypto.key_encryption import LOCAL_PROVIDER
from backstop.errors import KeyInUseError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from backstop.commands.keys.uses import KeyUses
    from backstop.crypto.keyring import LocalKeyring

SETTLED = timedelta(days=2)
"""A backup that began with the former key has ended by then; so has every copy of the ring been renewed."""


def remove_generation(
    ring: LocalKeyring, generation: str, *, uses: KeyUses, unreachable: Iterable[str], now: datetime
) -> LocalKeyring:
    """The ring without that key, durable before it is returned.

    :param uses: of every target that uses the ring, in every repository.
    :param unreachable: repositories that could not be looked at: what they hold may need the key.
    :raises NotFoundError: the ring has no such key.
    :raises KeyInUseError: something needs it, or that cannot be told; it stays.
    """
    held = [one.id for one in ring.generations]
    if generation not in held:
        raise NotFoundError(
            f"key ring {ring.path} has no key {generation!r}", hint=f"it holds: {', '.join(held)}"
        )
    at = held.index(generation)
    if at == len(held) - 1:
        raise KeyInUseError(
            f"key {generation} is the newest of {ring.path}: new backups are wrapped with it",
            hint="add a new one first: `python -m backstop rotate-keys --now`",
        )
    if now < ring.generations[at + 1].created_at + SETTLED:
        raise KeyInUseError(
            f"key {generation} was replaced less than {SETTLED.days} days ago: a backup that began with it, "
            "or a machine whose copy of the ring is old, may still be writing",
            hint="try again later",
        )
    doubts = [f"repository {name} could not be looked at" for name in unreachable] + uses.unread
    if doubts:
        raise KeyInUseError(
            f"nobody can tell whether something needs key {generation}: {doubts[0]}",
            hint="mend that first; a key that is gone takes every backup with it that it alone opens "
            "(where no role may list the top of a bucket: docs/cli.md, --described)",
        )
    use = uses.of(f"{LOCAL_PROVIDER}/{generation}")
    if use.used:
        raise KeyInUseError(
            f"key {generation} is needed by {use.backups} backups and {use.wal} objects of WAL, such as "
            f"{', '.join(use.examples)}",
            hint="wait until they have expired; or encrypt them anew with the key that is in use",
        )
    return ring.remove_generation(generation)
