"""Who reads a backup now: shared marks that keep expiry away from it.

``<target>/meta/pins/<label>/<id>-<renewal>.json``; any number of readers at once, none waits for another.
"""

from __future__ import annotations

import logging
import re
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.errors import FormatTooNewError, IntegrityError, NotFoundError, ObjectMissingError, StorageError
from backstop.repository.claims import Claim, HeldClaim
from backstop.repository.description import refuse_newer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from backstop.model.backup import BackupLabel
    from backstop.storage.base import Storage

log = logging.getLogger(__name__)

PIN_TTL = timedelta(minutes=30)
CLOCK_SKEW = timedelta(minutes=5)
"""Generous: a pin that is respected too long only keeps a backup a little longer."""
_NAME = re.compile(r"(?P<id>[0-9a-f]{16})-(?P<renewal>\d{6})\.json")


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who reads a backup; ``until`` is None when the mark is damaged, which counts as a reader."""

    key: str
    holder: str
    until: datetime | None


@contextmanager
def pin(
    storage: Storage,
    target: str,
    label: BackupLabel,
    *,
    holder: str,
    clock: Callable[[], datetime],
    ttl: timedelta = PIN_TTL,
) -> Iterator[None]:
    """Mark the backup as being read while the block runs; renewed in the background.

    A repository that takes no mark (mounted read-only, a role without the right, full) must not stop a
    restore: this is logged as a warning, and the block runs all the same.

    :raises NotFoundError: the backup is being expired, and its manifest is gone.
    """
    stem = f"{_prefix(target, label)}{secrets.token_hex(8)}"
    held = HeldClaim(storage, stem, holder=holder, clock=clock, ttl=ttl)
    try:
        refuse_newer(storage)
        held.start()
    except FormatTooNewError:
        raise
    except StorageError as error:
        log.warning("reading %s of %s without a mark against expiry: %s", label, target, error)
        yield
        return
    try:
        # Expiry removes the manifest first and then looks for marks; we do it the other way round, so that
        # at least one of two at once sees the other.
        _refuse_expiring(storage, target, label)
        yield
    finally:
        try:
            held.release()
        except StorageError as error:
            log.warning("%s ends by itself at %s: %s", stem, held.expires_at, error)


def _refuse_expiring(storage: Storage, target: str, label: BackupLabel) -> None:
    if storage.stat(f"{target}/meta/expiring/{label}.json") is None:
        return
    if storage.stat(f"{target}/meta/manifests/{label}.json") is None:
        raise NotFoundError(
            f"{label} of {target} is being expired in {storage.location}",
            hint="choose another backup, or a copy of it in another repository",
        )


def readers(storage: Storage, target: str, label: BackupLabel, *, now: datetime) -> tuple[Reader, ...]:
    """Whoever reads the backup now. A reader that died counts until its mark has run out.

    :raises StorageError: the repository cannot be asked; then nothing may be expired.
    """
    prefix = _prefix(target, label)
    newest: dict[str, str] = {}
    for info in storage.list(prefix):
        name = _NAME.fullmatch(info.key[len(prefix) :])
        if name:
            newest[name["id"]] = max(info.key, newest.get(name["id"], ""))
    found = (_reader(storage, key, now) for key in sorted(newest.values()))
    return tuple(reader for reader in found if reader is not None)


def _reader(storage: Storage, key: str, now: datetime) -> Reader | None:
    try:
        claim = Claim.from_json(storage.read(key), f"{storage.location}/{key}")
    except ObjectMissingError:
        return None
    except IntegrityError:
        return Reader(key, "somebody whose mark is damaged", None)
    if not claim.in_force(now, skew=CLOCK_SKEW):
        return None
    return Reader(key, str(claim), claim.expires_at)


def release_pins(storage: Storage, target: str, label: BackupLabel, *, holder: str) -> None:
    """End what marks of that holder a killed process left: expiry need not wait them out.

    :param holder: a name that nobody else goes by. :raises StorageError: they end by themselves.
    """
    prefix = _prefix(target, label)
    newest: dict[str, str] = {}
    for info in storage.list(prefix):
        name = _NAME.fullmatch(info.key[len(prefix) :])
        if name:
            newest[name["id"]] = max(info.key, newest.get(name["id"], ""))
    for mark, key in newest.items():
        try:
            claim = Claim.from_json(storage.read(key), f"{storage.location}/{key}")
        except (IntegrityError, ObjectMissingError):
            continue
        if claim.holder == holder and not claim.released:
            number = int(_NAME.fullmatch(key[len(prefix) :])["renewal"]) + 1  # type: ignore[index]
            released = replace(claim, id=secrets.token_hex(8), released=True)
            storage.put_once(f"{prefix}{mark}-{number:06d}.json", released.to_json())


def _prefix(target: str, label: BackupLabel) -> str:
    return f"{target}/meta/pins/{label}/"
