"""Reading the catalogues of a target's repositories: one, the first that answers, or all at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from backstop.errors import BackstopError, IntegrityError
from backstop.repository.catalog import is_proven
from backstop.repository.holds import Holds
from backstop.settings.arguments import utc_now
from backstop.wiring import cheapest_first, open_repository

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backstop.credentials import CredentialSource
    from backstop.model.backup import BackupLabel, Manifest
    from backstop.model.hold import Hold
    from backstop.model.proof import Proof
    from backstop.repository.catalog import Published, Repository
    from backstop.targets import Configuration

_PROOFS_AT_A_TIME = 8


@dataclass(frozen=True, slots=True)
class Copy:
    """One backup as one repository has it.

    :param holds: those in force now.
    """

    repository: str
    location: str
    manifest: Manifest
    sha256: str
    proofs: tuple[Proof, ...]
    holds: tuple[Hold, ...] = ()

    def state_document(self) -> dict[str, Any]:
        """``state`` is ``completed``, ``proven`` or ``failed``; ``proven_at`` is null unless proven.

        ``holds`` has what keeps it from expiring, whatever retention says.
        """
        proven = is_proven(self.proofs)
        return {
            "state": "proven" if proven else "failed" if self.proofs else "completed",
            "proven_at": self.proofs[-1].finished_at if proven else None,
            "holds": [hold.to_dict() for hold in self.holds],
        }


@dataclass(slots=True)
class Reading:
    """What was read of one target.

    :param names: all its repositories; :param read: those that answered.
    :param failed: those that did not, and why; :param unreadable: manifests that cannot be trusted.
    """

    target: str
    names: list[str]
    read: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)
    unreadable: list[tuple[str, IntegrityError]] = field(default_factory=list)

    def remarks(self) -> list[str]:
        """What a reader must know to understand the list."""
        unread = [name for name in self.names if name not in self.read and name not in self.failed]
        remarks = [f"repository {name} did not answer: {why}" for name, why in self.failed.items()]
        remarks += [f"not to be trusted, in {name}: {error}" for name, error in self.unreadable]
        if unread and self.read:
            sources = f"read from {', '.join(self.read)}; not asked: {', '.join(unread)}"
            remarks.append(f"{self.target}: {sources} (--all asks every one)")
        return remarks


def read_repositories(
    configuration: Configuration,
    target_name: str,
    credentials: CredentialSource,
    *,
    only: str | None = None,
    everything: bool = False,
    label: BackupLabel | None = None,
) -> Reading:
    """Read the named repository, or every one, or the first that answers (directories before S3).

    :param label: read just this backup.
    :raises BackstopError: nothing answered; the first one's error.
    """
    reading = Reading(target_name, cheapest_first(configuration, target_name))
    wanted = [only] if only else reading.names
    errors: list[BackstopError] = []

    def read(name: str) -> _Contents:
        return _read(open_repository(configuration, target_name, name, credentials), label)

    with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
        # Asked one after the other unless all are wanted: opening S3 alone takes a second.
        answers = {
            name: pool.submit(read, name).result if everything else partial(read, name) for name in wanted
        }
        for name, answer in answers.items():
            try:
                contents = answer()
            except BackstopError as error:
                errors.append(error)
                reading.failed[name] = error.message
                continue
            reading.read.append(name)
            reading.copies += contents.copies
            reading.unreadable += [(name, error) for error in contents.unreadable]
            if not everything:
                break
    if not reading.read and errors:
        raise errors[0]
    return reading


@dataclass(slots=True)
class _Contents:
    copies: list[Copy] = field(default_factory=list)
    unreadable: list[IntegrityError] = field(default_factory=list)


def _read(repository: Repository, label: BackupLabel | None) -> _Contents:
    catalog = repository.catalog
    contents = _Contents()
    if label is not None:
        found = [catalog.backup(label)]
    else:
        catalog.repository_id()  # a place without one is no repository, which differs from an empty one
        listing = catalog.backups()
        found = list(listing.backups)
        contents.unreadable += listing.unreadable
    held = _held(repository, label, contents)

    def proofs_of(published: Published) -> tuple[Proof, ...] | IntegrityError:
        try:
            return catalog.proofs(published)
        except IntegrityError as error:
            return error

    with ThreadPoolExecutor(max_workers=_PROOFS_AT_A_TIME) as pool:
        for published, proofs in zip(found, pool.map(proofs_of, found), strict=True):
            if isinstance(proofs, IntegrityError):
                # One damaged proof must not hide the others; without it the backup counts as unproven.
                contents.unreadable.append(proofs)
                proofs = ()
            contents.copies.append(
                Copy(
                    repository.name,
                    repository.location,
                    published.manifest,
                    published.sha256,
                    proofs,
                    held.get(published.manifest.label, ()),
                )
            )
    return contents


def _held(
    repository: Repository, label: BackupLabel | None, contents: _Contents
) -> dict[BackupLabel, tuple[Hold, ...]]:
    """Holds in force; what cannot be believed of them is added to what is unreadable."""
    holds = Holds(repository)
    if label is not None:
        found: Mapping[BackupLabel, tuple[Hold, ...]] = {label: holds.of(label)}
    else:
        found, strays = holds.survey()
        contents.unreadable += strays
    now = utc_now()
    held = {label: tuple(hold for hold in row if hold.in_force(now)) for label, row in found.items()}
    contents.unreadable += [
        IntegrityError(f"hold {hold.number} on {hold.label}: {hold.damage}", hint="it counts as in force")
        for row in held.values()
        for hold in row
        if hold.damage
    ]
    return held


def merge(copies: Sequence[Copy]) -> list[list[Copy]]:
    """Copies of the same backup together, newest backup first."""
    by_label: dict[str, list[Copy]] = {}
    for copy in copies:
        by_label.setdefault(copy.manifest.label.text, []).append(copy)
    return sorted(by_label.values(), key=lambda same: same[0].manifest.finished_at, reverse=True)
