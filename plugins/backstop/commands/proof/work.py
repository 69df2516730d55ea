"""What is still to be proven: every kind of backup by the policy that targets.yaml gives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.model.reencryption import reencrypted_from
from backstop.model.verification import Candidate, in_turn, work_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from backstop.model.backup import BackupLabel
    from backstop.repository.catalog import Listing, Published, Repository


@dataclass(frozen=True, slots=True)
class Policies:
    """Which backups to prove: ``each``, or the newest of each ``daily`` or ``weekly`` period; None: none.

    :param trees: by the name of the file tree. Periods count for each tree by itself; backups of a tree that
        is not here, because targets.yaml names it no more, are left as they are.
    """

    dumps: str | None = None
    base: str | None = None
    trees: Mapping[str, str] = field(default_factory=dict)

    def of(self, listing: Listing) -> Iterator[tuple[str, Sequence[Published]]]:
        """Each policy with the backups it is about."""
        if self.dumps:
            yield self.dumps, listing.dumps
        if self.base:
            yield self.base, listing.base_backups
        for tree, policy in self.trees.items():
            yield policy, listing.of_tree(tree)

    def cover(self, label: BackupLabel) -> bool:
        """Whether there is a policy for backups of this kind."""
        if label.tree:
            return label.tree in self.trees
        return bool(self.base if label.kind.physical else self.dumps)


def unverified(repositories: Iterable[Repository], policies: Policies) -> list[Candidate]:
    """The work list of these repositories (see :func:`~backstop.model.verification.work_list`): the newest of
    every kind first, so that many backups of one cannot keep another's waiting.
    """
    found: list[Candidate] = []
    for repository in repositories:
        listing = repository.catalog.backups()
        found += in_turn(
            [
                work_list([_candidate(repository, one) for one in backups], policy=policy)
                for policy, backups in policies.of(listing)
            ]
        )
    return found


def _candidate(repository: Repository, published: Published) -> Candidate:
    manifest = published.manifest
    return Candidate(
        label=manifest.label,
        repository=repository.name,
        finished_at=manifest.finished_at,
        verified=bool(repository.catalog.verifications(published).proofs),
        reencrypted=reencrypted_from(manifest) is not None,
    )
