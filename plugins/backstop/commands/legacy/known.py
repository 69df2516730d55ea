"""``legacy-backups``: what there is, and whether each is proven."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.errors import BackstopError, ConfigurationError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backstop.commands.legacy.places import Place
    from backstop.errors import IntegrityError
    from backstop.model.legacy import LegacyBackup
    from backstop.model.legacy_proof import LegacyProof
    from backstop.repository.legacy_records import LegacyRecords


@dataclass(frozen=True, slots=True)
class Known:
    """One legacy backup. :param proofs: of exactly this file, oldest first."""

    place: Place
    backup: LegacyBackup
    proofs: tuple[LegacyProof, ...]

    @property
    def state(self) -> str:
        """``unproven`` until it was restored; then ``proven`` or ``failed``."""
        if not self.proofs:
            return "unproven"
        return "proven" if self.proofs[-1].matched else "failed"

    @property
    def is_lost(self) -> bool:
        """Whether it is known that it cannot be restored; a wrong answer does not say that."""
        return self.state == "failed" and not self.proofs[-1].restored


@dataclass(slots=True)
class LegacyStock:
    """Everything that was found, oldest first.

    :param failed: places that could not be read, by where they are.
    :param unreadable: proofs that nobody can trust.
    """

    found: list[Known] = field(default_factory=list)
    failed: dict[str, BackstopError] = field(default_factory=dict)
    unreadable: list[IntegrityError] = field(default_factory=list)

    def named(self, name: str, *, repository: str | None = None, tree: str | None = None) -> Known:
        """The backup of that file name: the first, directories before S3.

        :raises NotFoundError: there is none.
        """
        for known in self.found:
            one = known.backup
            if one.name == name and repository in (None, one.repository) and tree in (None, one.tree):
                return known
        raise (
            next(iter(self.failed.values()))
            if self.failed
            else NotFoundError(
                f"there is no legacy backup {name!r}", hint="see `python -m backstop legacy-backups`"
            )
        )

    def unproven(self) -> list[Known]:
        """Newest first: what nobody has restored yet."""
        return [known for known in reversed(self.found) if not known.proofs]

    def without_work(self) -> str:
        """What is to be said when none was to be restored: no more than is known."""
        unproven = len(self.unproven())
        failed = sum(known.state == "failed" for known in self.found)
        if unproven:
            return f"nothing was to be proven in this run; {unproven} legacy backups are unproven"
        if self.failed:
            return f"nothing to prove where it could be read; not read: {', '.join(self.failed)}"
        if failed:
            return f"nothing to prove: {failed} legacy backups have failed, any other has been verified"
        return "nothing to prove: every legacy backup has been verified"


def look_at(places: Sequence[Place], records: Mapping[str, LegacyRecords]) -> LegacyStock:
    """Read names and proofs; no file is opened.

    :param records: by repository.
    :raises BackstopError: no place could be read; the first one's error.
    """
    if not places:
        raise ConfigurationError(
            "the target has no legacy backups", hint="add a `legacy` section to targets.yaml (docs/legacy.md)"
        )
    stock = LegacyStock()
    proofs: dict[str, list[LegacyProof]] = {}
    for place in places:
        name = place.kind.repository
        try:
            backups = place.backups()
            if name not in proofs:
                proofs[name], unreadable = _proofs(records[name])
                stock.unreadable += unreadable
        except BackstopError as error:
            stock.failed[place.location] = error
            continue
        stock.found += [
            Known(place, backup, tuple(proof for proof in proofs[name] if proof.is_of(backup)))
            for backup in backups
        ]
    if len(stock.failed) == len(places):
        raise next(iter(stock.failed.values()))
    stock.found.sort(key=lambda known: (known.backup.taken_at, known.backup.name))
    return stock


def _proofs(records: LegacyRecords) -> tuple[list[LegacyProof], list[IntegrityError]]:
    try:
        return records.proofs()
    except NotFoundError:
        return [], []  # no backup of our own yet, so nothing is proven either
