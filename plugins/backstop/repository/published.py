"""What a catalogue tells of backups: as they were published, and what was found out about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError
from backstop.model.backup import BackupKind

if TYPE_CHECKING:
    from backstop.model.backup import BackupLabel, Manifest
    from backstop.model.proof import Proof


@dataclass(frozen=True, slots=True)
class Published:
    """A manifest as it lies in one repository."""

    manifest: Manifest
    sha256: str
    """Of the bytes that were read: what a proof binds to."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All backups of a target in one repository.

    :param unreadable: one error per manifest that is damaged or signed by nobody we trust; they are no
        backups, and must be shown, never skipped.
    """

    backups: tuple[Published, ...]
    unreadable: tuple[IntegrityError, ...]

    @property
    def dumps(self) -> tuple[Published, ...]:
        """Those that a restore of one database can use."""
        return tuple(one for one in self.backups if one.manifest.kind is BackupKind.DUMP)

    @property
    def base_backups(self) -> tuple[Published, ...]:
        """Those that a recovery of the cluster can begin with; incremental ones need their parents too."""
        return tuple(one for one in self.backups if one.manifest.kind.physical)

    def of_tree(self, tree: str) -> tuple[Published, ...]:
        """Those of one file tree."""
        return tuple(one for one in self.backups if one.manifest.label.tree == tree)


@dataclass(frozen=True, slots=True)
class Verifications:
    """What was found out about one backup in one repository.

    :param proofs: oldest first.
    :param unreadable: one error per proof that is damaged or signed by nobody we trust; it must be shown.
        It takes the word "proven" away, because it may have said otherwise, but nothing else: whoever can
        put objects there must not be able to keep us from restoring.
    """

    proofs: tuple[Proof, ...]
    unreadable: tuple[IntegrityError, ...]

    @property
    def counting(self) -> tuple[Proof, ...]:
        """What the backup's state follows from: nothing while one of them cannot be read."""
        return () if self.unreadable else self.proofs

    @property
    def proven(self) -> bool:
        """Whether the newest verification matched: a later failed one takes an earlier proof away."""
        return is_proven(self.counting)

    def doubts(self) -> list[str]:
        """Sentences for whoever approves a restore of it, which none of them stops: it is compared anyway."""
        sentences = [f"a proof cannot be believed: {error.message}" for error in self.unreadable]
        if not self.proofs:
            sentences.append("this backup has never been proven by a restore")
        elif not self.proofs[-1].matched:
            sentences.append(f"the last verification of this backup failed: {self.proofs[-1].differences[0]}")
        return sentences


class UnreadableManifestError(IntegrityError):
    """A manifest that is damaged, signed by nobody we trust, or oddly named.

    :param label: whose it says it is; None: its name is no label.
    """

    def __init__(self, message: str, *, hint: str = "", label: BackupLabel | None) -> None:
        super().__init__(message, hint=hint)
        self.label = label


def is_proven(proofs: tuple[Proof, ...]) -> bool:
    """Whether the newest verification matched: a later failed one takes an earlier proof away."""
    return bool(proofs) and proofs[-1].matched
