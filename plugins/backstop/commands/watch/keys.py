"""Keys: those that open what is stored, and those that the next backup will be wrapped with."""

from __future__ import annotations

from collections.abc import Callable, Mapping  # noqa: TC003 parts of a dataclass
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path  # noqa: TC003 part of a dataclass
from typing import TYPE_CHECKING, Any

from backstop.commands.watch.key_findings import (
    judge_key,
    judge_kms_rotation,
    judge_local_rotation,
    judge_ring_copies,
)
from backstop.commands.watch.part import EVERY, Part
from backstop.crypto.key_encryption import ESCROW_PROVIDER, LOCAL_PROVIDER
from backstop.errors import BackstopError, KeyServiceUnavailableError, KeyUnavailableError
from backstop.model.finding import Finding, Level
from backstop.model.observation import KeySeen

if TYPE_CHECKING:
    from collections.abc import Iterable

ROTATE_AFTER = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedKeys:
    """The section of ``keys`` in targets.yaml that a target uses.

    :param ring: the key ring file; None: keys are in KMS.
    :param kms_keys: ARNs that new backups are wrapped with.
    :param client_for: a KMS client for a region.
    :param escrow_key: the public half of an offline key, if one wraps too.
    :param escrow_said: where a copy of the ring is, or why there is none, has been written down.
    :param escrow_copied_on: the day that the copy was made.
    """

    ring: Path | None = None
    kms_keys: tuple[str, ...] = ()
    client_for: Callable[[str], Any] | None = field(default=None, repr=False)
    escrow_key: Path | None = None
    escrow_said: bool = True
    escrow_copied_on: date | None = None


@dataclass(frozen=True, slots=True)
class NewestBackup:
    """What a backup is wrapped with. :param keys: as its manifest names them."""

    label: str
    started_at: datetime
    keys: tuple[str, ...]


def look_at_keys(
    *,
    target: str,
    keys: WatchedKeys,
    needed: Mapping[str, int] | None,
    clock: Callable[[], datetime],
    newest: Iterable[NewestBackup] = (),
) -> Part:
    """How each key is. KMS is asked, and never made to decrypt; of a local ring only its file is read.

    :param needed: by key, as manifests name it, how many backups do; None: not known, and then no key can be
        judged.
    :param newest: of each kind, in each repository.
    """
    look = _Look(target, keys, needed or {}, clock(), tuple(newest))
    look.at_ring()
    look.at_kms()
    look.at_escrow()
    if needed is None:
        look.unseen.append("which keys the stored backups need")
        look.unjudged.add(("key", EVERY))
    return Part(
        seen=tuple(look.seen.values()),
        findings=tuple(look.findings),
        unseen=tuple(look.unseen),
        unjudged=frozenset(look.unjudged),
    )


class _Look:
    def __init__(
        self,
        target: str,
        keys: WatchedKeys,
        needed: Mapping[str, int],
        now: datetime,
        newest: tuple[NewestBackup, ...],
    ) -> None:
        self._newest = newest
        self._target = target
        self._keys = keys
        self._needed = needed
        self._now = now
        self.seen: dict[str, KeySeen] = {}
        self.findings: list[Finding] = []
        self.unseen: list[str] = []
        self.unjudged: set[tuple[str, str]] = set()

    # -- Local -----------------------------------------------------------------------------------------------

    def at_ring(self) -> None:
        """Each generation that is in the file, and those that backups need and it lacks."""
        from backstop.crypto.keyring import LocalKeyring

        wanted = set(self._of(f"{LOCAL_PROVIDER}/"))
        if self._keys.ring is None:
            self._missing(wanted, "targets.yaml names no key ring any more")
            return
        try:
            ring = LocalKeyring.load(self._keys.ring)
        except KeyUnavailableError as error:
            self._add(
                "key ring", Level.CRITICAL, f"{error.message}: nothing can be backed up or restored", error
            )
            self.unjudged |= {("key", "rotation"), ("key", "escrow")}
            for key in sorted(wanted):
                self._unknown(key)
            return
        newest = ring.generations[-1]
        due_at = newest.created_at + ROTATE_AFTER
        for generation in ring.generations:
            key = f"{LOCAL_PROVIDER}/{generation.id}"
            self._see(
                KeySeen(
                    key,
                    "usable",
                    created_at=generation.created_at,
                    rotation_due_at=due_at if generation is newest else None,
                    backups=self._needed.get(key, 0),
                )
            )
        self._missing(wanted - set(self.seen), f"key ring {self._keys.ring} does not hold it")
        path = str(self._keys.ring)
        self.findings += judge_ring_copies(self._target, path, newest, self._newest)
        self.findings += judge_local_rotation(self._target, path, newest.created_at, due_at, now=self._now)
        copied_on = self._keys.escrow_copied_on
        if copied_on is not None and copied_on < newest.created_at.date():
            said = (
                f"the copy of key ring {path} is of {copied_on}, and its newest key of "
                f"{newest.created_at.date()}: lose this machine, and what was backed up since is lost"
            )
            step = "copy the ring again, and write the day into keys.….escrow of targets.yaml"
            self.findings.append(Finding(self._target, "key", "escrow", Level.WARNING, said, step))

    def _missing(self, keys: Iterable[str], why: str) -> None:
        for key in sorted(keys):
            self._see(KeySeen(key, "missing", backups=self._needed[key]), why=why)

    # -- KMS -------------------------------------------------------------------------------------------------

    def at_kms(self) -> None:
        """Asked key by key; a region that does not answer is asked once."""
        silent: set[str] = set()
        clients: dict[str, Any] = {}
        for arn in dict.fromkeys((*self._keys.kms_keys, *sorted(self._of("arn:")))):
            region = arn.split(":")[3]
            if region in silent:
                self._unknown(arn)
                continue
            try:
                if self._keys.client_for is None:
                    self._missing([arn], "targets.yaml names no key of KMS any more")
                    continue
                if region not in clients:
                    clients[region] = self._keys.client_for(region)
                self._at_kms_key(clients[region], arn)
            except KeyServiceUnavailableError as error:
                silent.add(region)
                self._unknown(arn)
                subject = f"key service {region}"
                said = f"{error.message}: while that lasts nothing can be backed up or restored"
                self._add(subject, Level.WARNING, said, error)
            except KeyUnavailableError as error:
                self._unknown(arn)
                self.unseen.append(error.message)

    def _at_kms_key(self, client: Any, arn: str) -> None:
        from backstop.crypto.kms_status import kms_key_status

        status = kms_key_status(client, arn)
        if status.state == "unknown":
            self._unknown(arn)
            self.unseen.append(f"how key {arn} is: KMS says neither that it works nor what is wrong with it")
            return
        due_at = status.next_rotation_at
        if status.rotates is False and status.created_at is not None:
            due_at = status.created_at + ROTATE_AFTER
        goes = f"it goes on {status.goes_at:%Y-%m-%d}" if status.goes_at else ""
        self._see(KeySeen(arn, status.state, status.created_at, due_at, self._needed.get(arn, 0)), why=goes)
        if arn in self._keys.kms_keys:
            self.findings += judge_kms_rotation(
                self._target, arn, status, now=self._now, rotate_after=ROTATE_AFTER
            )

    def _unknown(self, key: str) -> None:
        self.seen[key] = KeySeen(key, "unknown", backups=self._needed.get(key, 0))
        self.unjudged |= {("key", f"key {key}"), ("key", f"rotation of {key}")}

    # -- Escrow ----------------------------------------------------------------------------------------------

    def at_escrow(self) -> None:
        """Offline keys are where nobody can look; the public half must be there for a backup to be made."""
        from backstop.crypto.escrow import EscrowKeyring

        for key in sorted(self._of(f"{ESCROW_PROVIDER}/")):
            self.seen[key] = KeySeen(key, "unknown", backups=self._needed[key])
        if not self._keys.escrow_said:
            said = f"key ring {self._keys.ring} exists on this machine alone: every backup is refused"
            step = "copy it to a safe place and write escrow: {copied_to: …, on: …} into targets.yaml"
            self.findings.append(Finding(self._target, "key", "escrow", Level.CRITICAL, said, step))
        if self._keys.escrow_key is None:
            return
        try:
            (key,) = EscrowKeyring.load_public(self._keys.escrow_key).key_ids
        except KeyUnavailableError as error:
            self._add("escrow", Level.CRITICAL, f"{error.message}: no backup can be made", error)
        else:
            self.seen[key] = KeySeen(key, "usable", backups=self._needed.get(key, 0))

    # -- Inside ----------------------------------------------------------------------------------------------

    def _of(self, provider: str) -> list[str]:
        return [key for key in self._needed if key.startswith(provider)]

    def _see(self, seen: KeySeen, *, why: str = "") -> None:
        self.seen[seen.key] = seen
        self.findings += judge_key(self._target, seen, why=why)

    def _add(self, subject: str, level: Level, said: str, error: BackstopError) -> None:
        self.findings.append(Finding(self._target, "key", subject, level, said, error.hint))
