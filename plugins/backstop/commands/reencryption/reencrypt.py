"""``reencrypt``: after a compromise, everything that one key protects is encrypted with the ring of now.

A new backup stands beside the old one, with the same content. Nothing old is touched here: expiry removes it
once the new one has been restored and proven (docs/format.md, "Encrypted anew").
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.bookkeeping import enter_backup
from backstop.commands.keys.uses import KeyUses
from backstop.commands.publication import Publication
from backstop.commands.reencryption.attempt import Reencryption, Renewed
from backstop.commands.reencryption.holdings import Holdings
from backstop.commands.reencryption.report import ReencryptionReport
from backstop.commands.staging import sweep_staging
from backstop.errors import BackstopError, ConfigurationError, NotFoundError, StorageError
from backstop.model.key_material import is_among
from backstop.model.retention_candidate import needs_of
from backstop.repository.lock import acquire_in
from backstop.repository.pins import pin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.progress import Progress
    from backstop.crypto.key_encryption import Keyring
    from backstop.crypto.signing import Signer
    from backstop.model.backup import BackupLabel, Manifest
    from backstop.repository.catalog import Published, Repository
    from backstop.repository.inventory import Inventory


@dataclass(frozen=True, kw_only=True)
class ReencryptionSettings:
    """Whose backups, with which keys, as whom.

    :param compromised: id of the key, as manifests write it.
    :param staging: where ciphertext waits for its repositories; plaintext is never in a file.
    :param holder: who we are, for leases and pins that others see.
    """

    target: str
    compromised: str
    staging: Path
    holder: str


def reencrypt(
    settings: ReencryptionSettings,
    *,
    readers: Sequence[Repository],
    writers: Sequence[Repository],
    opening: Keyring,
    keyring: Keyring,
    signer: Signer,
    clock: Callable[[], datetime],
    progress: Progress,
    pause: Callable[[float], None] = time.sleep,
    inventory: Inventory | None = None,
    dry_run: bool = False,
) -> ReencryptionReport:
    """Encrypt anew what has no successor yet, the oldest first, each backup on its own.

    May be interrupted at any moment and run again: what has a successor is not read again.

    :param readers: repositories as the restorer opens them; :param writers: the same as the writer does.
    :param opening: opens what the compromised key protects; :param keyring: wraps what is written.
    :raises NotFoundError: nothing is protected by a key of that id, and no ring has it.
    :raises ConfigurationError: the compromised key is one of those that wrap now.
    :raises KeyUnavailableError: the keys of now do not work.
    :raises BackstopError: no repository answers.
    """
    if is_among(settings.compromised, keyring.key_ids):
        raise ConfigurationError(
            f"{settings.compromised} still wraps new backups of {settings.target}",
            hint=_how_to_leave(settings.compromised),
        )
    holdings = Holdings.of(readers)
    report = ReencryptionReport(settings.target, settings.compromised, unlooked=holdings.unlooked)
    protected = holdings.protected_by(settings.compromised)
    if not protected and not report.unlooked:
        _refuse_unknown(settings, opening)
    report.successors = {
        old: new for old, new in holdings.successors.items() if old in protected and new not in protected
    }
    report.wanted = [label for label in protected if label not in report.successors]
    _count_wal(report, readers)
    if not dry_run and report.wanted:
        keyring.check(opening=False)
        sweep_staging(settings.staging)
        run = _Run(
            settings, readers, writers, opening, keyring, signer, clock, progress, pause, inventory,
            holdings, report,
        )  # fmt: skip
        run.all()
    return report


def _how_to_leave(key: str) -> str:
    if key.startswith("arn:"):
        return (
            "rotating does not change its id, and a replica in another region has the same material: name "
            "another `key_arn` in targets.yaml, and open what it wrapped with --escrow-key (docs/cli.md, "
            "reencrypt)"
        )
    return "rotate first: `python -m backstop rotate-keys --now`"


def _refuse_unknown(settings: ReencryptionSettings, opening: Keyring) -> None:
    """A typing error must not pass for a key that protects nothing."""
    known = sorted(key.id for key in opening.encryption_keys())
    if not is_among(settings.compromised, known):
        raise NotFoundError(
            f"{settings.compromised!r} protects no backup of {settings.target}, and no key has that id",
            hint=f"see `python -m backstop show-keys`; the ring has: {', '.join(known)}",
        )


def _count_wal(report: ReencryptionReport, readers: Sequence[Repository]) -> None:
    for repository in readers:
        uses = KeyUses(wal=True)
        try:
            uses.look_at(repository, report.target)
        except NotFoundError:
            continue
        except BackstopError as error:
            report.notes.append(f"WAL of {repository.name} could not be looked at: {error.message}")
        report.wal_objects[repository.name] = uses.wal_under(report.key)


@dataclass(slots=True)
class _Run:
    settings: ReencryptionSettings
    readers: Sequence[Repository]
    writers: Sequence[Repository]
    opening: Keyring
    keyring: Keyring
    signer: Signer
    clock: Callable[[], datetime]
    progress: Progress
    pause: Callable[[float], None]
    inventory: Inventory | None
    holdings: Holdings
    report: ReencryptionReport
    renewed: Renewed = field(default_factory=Renewed)

    def all(self) -> None:
        for old, new in self.report.successors.items():
            copies = {one.name: published.manifest for one, published in self.holdings.copies[new]}
            self.renewed.note(self.holdings.manifest(old), copies)
        for label in self.report.wanted:
            try:
                self._one(label)
            except BackstopError as error:
                self.report.failed[label] = error

    def _one(self, label: BackupLabel) -> None:
        copies = self.holdings.copies[label]
        if len({published.manifest.attempt for _, published in copies}) > 1:
            raise ConfigurationError(
                f"repositories hold different backups as {label}",
                hint="two Airflows wrote under one target; expire the one that is not wanted by hand",
            )
        for needed in needs_of(copies[0][1].manifest):
            if needed in self.report.failed:
                raise NotFoundError(
                    f"{label} is restored from {needed}, which could not be encrypted anew",
                    hint="see why, and run again",
                )
        failure: BackstopError | None = None
        for source, published in copies:
            try:
                self._from(source, published)
            except BackstopError as error:
                failure = failure or error
            else:
                return
        if failure is not None:
            raise failure

    def _from(self, source: Repository, published: Published) -> None:
        label = published.manifest.label
        names = {repository.name for repository, _ in self.holdings.copies[label]}
        writers = [repository for repository in self.writers if repository.name in names]
        with (
            pin(
                source.storage,
                self.settings.target,
                label,
                holder=self.settings.holder,
                clock=self.clock,
            ),
            acquire_in(
                {repository.name: repository.storage for repository in writers},
                target=self.settings.target,
                kind=label.lease_kind,
                holder=self.settings.holder,
                clock=self.clock,
            ) as lease,
        ):
            # Expiry may have removed it since; under the lease it does not begin to.
            source.catalog.same(label, published.sha256)
            self.progress.phase(f"encrypt {label} anew", total_bytes=published.manifest.plain_bytes)
            manifest, stored_bytes, failures = Reencryption(
                target=self.settings.target,
                compromised=self.settings.compromised,
                source=source,
                published=published,
                publication=Publication.under(
                    lease, repositories=writers, signer=self.signer, clock=self.clock, pause=self.pause
                ),
                opening=self.opening,
                keyring=self.keyring,
                successors=self.report.successors,
                renewed=self.renewed,
                taken=self._taken(label),
                staging=self.settings.staging,
                progress=self.progress,
            ).run()
        self._note(published.manifest, manifest, stored_bytes, failures)

    def _taken(self, label: BackupLabel) -> set[BackupLabel]:
        """Labels of its kind, in every repository that answers: by now there may be more."""
        found = set(self.holdings.copies) | set(self.report.successors.values())
        for repository in self.readers:
            try:
                found |= {one for one, _ in repository.catalog.labels() if one.lease_kind == label.lease_kind}
            except StorageError:
                continue  # publishing there refuses a label that is taken
        return found

    def _note(
        self, old: Manifest, new: Manifest, stored_bytes: int, failures: dict[str, BackstopError]
    ) -> None:
        self.report.successors[old.label] = new.label
        self.report.done.append(old.label)
        self.report.plain_bytes += old.plain_bytes
        self.report.stored_bytes += stored_bytes
        self.report.notes += [
            f"{new.label} is not in {name}, a sync brings it there: {error.message}"
            for name, error in failures.items()
        ]
        there = [
            repository for repository, _ in self.holdings.copies[old.label] if repository.name not in failures
        ]
        self.renewed.note(old, {one.name: one.catalog.backup(new.label).manifest for one in there})
        self.report.notes += enter_backup(self.inventory, there, new.label)
