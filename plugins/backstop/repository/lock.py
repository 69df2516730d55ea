"""One writer of one kind of backup of one target, whoever asks and wherever they run.

The lease lives in the repository: ``<target>/meta/lease/<kind>/<epoch>-<renewal>.json`` (docs/format.md,
"Lease"). Taking it is creating the first object of the next epoch, which exactly one contender can.

Assumptions: the clocks of all writers differ by less than :data:`CLOCK_SKEW`. A holder stops trusting its
lease when it has run out by its own clock; others take it over only that much later. A clock that is further
off costs somebody a backup (:class:`~backstop.errors.LeaseLostError`), never a repository: keys are unique by
attempt, and a manifest is published only after looking for a newer epoch.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from backstop.errors import (
    BackstopError,
    ConfigurationError,
    FormatTooNewError,
    IntegrityError,
    LeaseHeldError,
    LeaseLostError,
    ObjectConflictError,
    ObjectMissingError,
    StorageError,
    StorageUnavailableError,
)
from backstop.model.canonical import format_time
from backstop.repository.claims import Claim, HeldClaim
from backstop.repository.description import refuse_newer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from backstop.storage.base import Storage

log = logging.getLogger(__name__)

LEASE_TTL = timedelta(minutes=3)
CLOCK_SKEW = timedelta(seconds=30)
_NAME = re.compile(r"(?P<epoch>\d{12})-(?P<renewal>\d{6})\.json")
_LAST_EPOCH = 10**12 - 1
_TRIES = 5

EXPIRY = "expiry"
"""Kind of the lease of whoever removes objects that a manifest names: an expiry, or a check that heals."""
SYNC = "sync"
"""Kind of the lease of whoever copies backups into the repository."""


class Lease:
    """Ours, in one repository, until released, lost or run out. A context manager that releases it."""

    def __init__(self, storage: Storage, target: str, kind: str, *, epoch: int) -> None:
        self._storage = storage
        self._prefix = _prefix(target, kind)
        self._what = f"the lease on {kind} backups of {target} in {storage.location}"
        self._held: HeldClaim | None = None
        self.epoch = epoch

    @classmethod
    def acquire(
        cls,
        storage: Storage,
        target: str,
        kind: str,
        *,
        holder: str,
        clock: Callable[[], datetime],
        ttl: timedelta = LEASE_TTL,
        skew: timedelta = CLOCK_SKEW,
    ) -> Lease:
        """Take the lease, or refuse at once: nobody waits in line.

        :param clock: returns the current time, aware.
        :param ttl: how long it outlives a holder that died; renewed every third of it.
        :raises LeaseHeldError: somebody has it; says who and until when.
        :raises IntegrityError: what is there is damaged, or forged.
        :raises StorageError: the repository cannot be reached or written.
        """
        refuse_newer(storage)
        for _ in range(_TRIES):
            newest = _newest(storage, _prefix(target, kind))
            if newest is not None:
                try:
                    claim = Claim.from_json(storage.read(newest[1]), f"{storage.location}/{newest[1]}")
                except ObjectMissingError:
                    continue  # old leases are being cleared away; look again
                if claim.in_force(clock(), skew=skew):
                    since = _since(storage, _prefix(target, kind), newest[0])
                    raise _held_by(claim, since, storage, target, kind, skew=skew)
            if newest is not None and newest[0] >= _LAST_EPOCH:
                raise IntegrityError(
                    f"{storage.location}/{newest[1]} leaves no number for a next lease",
                    hint="nobody ever took so many: find out who put it, make sure that nothing runs, "
                    f"then empty {_prefix(target, kind)} by hand",
                )
            lease = cls(storage, target, kind, epoch=newest[0] + 1 if newest else 1)
            try:
                lease._start(holder=holder, clock=clock, ttl=ttl)
            except ObjectConflictError:
                continue  # somebody was quicker; the next look says who
            return lease
        raise LeaseHeldError(
            f"{kind} backups of {target} in {storage.location} change hands too quickly to join in",
            hint="find out who starts so many of them",
        )

    def _start(self, *, holder: str, clock: Callable[[], datetime], ttl: timedelta) -> None:
        stem = f"{self._prefix}{self.epoch:012d}"
        self._held = HeldClaim(
            self._storage, stem, holder=holder, clock=clock, ttl=ttl, renewed=self._notice_successor
        )
        self._held.start()

    @property
    def expires_at(self) -> datetime:
        return self._claim.expires_at

    @property
    def _claim(self) -> HeldClaim:
        if self._held is None:
            raise LeaseLostError(f"{self._what} was never taken", hint="this is a defect: report it")
        return self._held

    def renew(self) -> None:
        """Done in the background; extends the lease by its full time from now."""
        self._claim.renew()

    def ensure_held(self) -> None:
        """Make sure, in the repository itself, that nobody has taken over. Call right before publishing.

        :raises LeaseLostError: run out by our clock, or a newer epoch exists.
        :raises StorageError: the repository cannot be asked.
        """
        self._ensure_not_ended()
        self._notice_successor()
        # Asking may have taken long.
        self._ensure_not_ended()

    def _ensure_not_ended(self) -> None:
        why = self._claim.why_ended
        if why:
            raise LeaseLostError(
                f"{self._what} (epoch {self.epoch}) is lost: {why}",
                hint="nothing more was done under it; run it again",
            )

    def _notice_successor(self) -> None:
        newest = _newest(self._storage, self._prefix)
        if newest is None or newest[0] < self.epoch:
            self._claim.end("its objects were removed from the repository")
        elif newest[0] > self.epoch:
            self._claim.end(f"epoch {newest[0]} took over")

    def release(self) -> None:
        """Let the next one in at once; nothing happens when the lease is lost already.

        :raises StorageError: the repository did not take the word; the next one waits until it has run out.
        """
        self._claim.release()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.release()
        except StorageError as failure:
            # What was done under it stands; only the next writer has to wait a little.
            log.warning(
                "%s could not be released and ends by itself at %s: %s", self._what, self.expires_at, failure
            )


class RepositoriesLease:
    """The lease on one kind of backup of one target in every repository that could be reached.

    :param failed: the repositories that go without, and why.
    """

    def __init__(self, leases: Mapping[str, Lease], failed: Mapping[str, BackstopError]) -> None:
        self._leases = dict(leases)
        self.failed = dict(failed)

    @property
    def epochs(self) -> dict[str, int]:
        """By repository name."""
        return {name: lease.epoch for name, lease in self._leases.items()}

    def ensure_held(self, name: str | None = None) -> None:
        """As :meth:`Lease.ensure_held`, in that repository or in all that were reached."""
        for lease in self._leases.values() if name is None else [self._leases[name]]:
            lease.ensure_held()

    def __enter__(self) -> RepositoriesLease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lease in self._leases.values():
            lease.__exit__(kind, error, trace)


def acquire_in(
    storages: Mapping[str, Storage],
    *,
    target: str,
    kind: str,
    holder: str,
    clock: Callable[[], datetime],
    ttl: timedelta = LEASE_TTL,
    skew: timedelta = CLOCK_SKEW,
) -> RepositoriesLease:
    """Take the lease in every repository that works; one is enough. The result is a context manager.

    A repository that fails goes without. One in which somebody else holds the lease refuses the whole.

    :param storages: by repository name.
    :raises LeaseHeldError: held elsewhere in any of them; those just taken are released again.
    :raises StorageUnavailableError: none works, and time may heal that; :raises StorageError: none works.
    """
    if not storages:
        raise ConfigurationError(f"{target} has no repository", hint="list one in targets.yaml")
    leases: dict[str, Lease] = {}
    failed: dict[str, BackstopError] = {}
    try:
        # In the same order everywhere: of two that start at once, one gets all.
        for name in sorted(storages):
            try:
                leases[name] = Lease.acquire(
                    storages[name], target, kind, holder=holder, clock=clock, ttl=ttl, skew=skew
                )
            except (StorageError, IntegrityError) as error:
                failed[name] = error
        if not leases:
            raise _none_works(target, failed)
    except BaseException:
        RepositoriesLease(leases, failed).__exit__(None, None, None)
        raise
    return RepositoriesLease(leases, failed)


@dataclass(frozen=True, slots=True)
class Holding:
    """Somebody's lease that is in force.

    :param since: when it was taken, by the storage's clock.
    """

    claim: Claim
    since: datetime


def holding(
    storage: Storage, target: str, kind: str, *, now: datetime, skew: timedelta = CLOCK_SKEW
) -> Holding | None:
    """Who holds that lease now; None: nobody.

    :raises IntegrityError: the lease is damaged; :raises StorageError: the repository cannot be asked.
    """
    prefix = _prefix(target, kind)
    newest = _newest(storage, prefix)
    if newest is None:
        return None
    try:
        claim = Claim.from_json(storage.read(newest[1]), f"{storage.location}/{newest[1]}")
    except ObjectMissingError:
        return None
    if not claim.in_force(now, skew=skew):
        return None
    return Holding(claim, _since(storage, prefix, newest[0]) or now)


def _since(storage: Storage, prefix: str, epoch: int) -> datetime | None:
    """When that epoch's lease was taken, by the storage's clock; None: its objects were cleared away."""
    return min((info.modified_at for info in storage.list(f"{prefix}{epoch:012d}-")), default=None)


def _none_works(target: str, failed: Mapping[str, BackstopError]) -> BackstopError:
    reasons = "; ".join(f"{name}: {error.message}" for name, error in failed.items())
    hint = next(iter(failed.values())).hint
    kind: type[BackstopError] = StorageError
    if any(error.retryable for error in failed.values()):
        kind = StorageUnavailableError
    for alike in (IntegrityError, FormatTooNewError):
        if all(isinstance(error, alike) for error in failed.values()):
            kind = alike
    return kind(f"no repository of {target} works: {reasons}", hint=hint)


def _prefix(target: str, kind: str) -> str:
    return f"{target}/meta/lease/{kind}/"


def _newest(storage: Storage, prefix: str) -> tuple[int, str] | None:
    """Epoch and key of the newest renewal of the newest epoch."""
    newest: tuple[int, str] | None = None
    for info in storage.list(prefix):
        name = _NAME.fullmatch(info.key[len(prefix) :])
        # Fixed numbers of digits: the order of keys is the order of epochs and renewals.
        if name and (newest is None or info.key > newest[1]):
            newest = (int(name["epoch"]), info.key)
    return newest


def _held_by(
    claim: Claim, since: datetime | None, storage: Storage, target: str, kind: str, *, skew: timedelta
) -> LeaseHeldError:
    free_at = format_time(min(claim.expires_at, datetime.max.replace(tzinfo=timezone.utc) - skew) + skew)
    doing = f"{kind} backups of {target} in {storage.location} are being written by {claim}"
    if kind == EXPIRY:
        doing = f"backups of {target} in {storage.location} are being expired, or healed, by {claim}"
    elif kind == SYNC:
        doing = f"backups of {target} are being copied into {storage.location} by {claim}"
    if since is not None:
        doing += f", since {format_time(since)}"
    # A holder whose clock was far ahead may have died holding a lease for years.
    return LeaseHeldError(
        doing,
        hint="wait until it has finished; should that be another deployment, give it its own repository, "
        f"or a target name (docs/upgrading.md); should it have died, its lease is free at {free_at}, or once "
        f"{_prefix(target, kind)} has been emptied by hand",
    )
