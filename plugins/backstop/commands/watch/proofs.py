"""Which backups policy wants proven and are not, and whose verification failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.commands.watch.part import Part
from backstop.commands.watch.wording import in_words, named
from backstop.model.figures import duration_in_words
from backstop.model.finding import Finding, Level
from backstop.model.punctuality import AHEAD
from backstop.model.reencryption import reencrypted_from
from backstop.model.verification import Candidate, work_list

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from backstop.commands.proof.work import Policies
    from backstop.commands.watch.shelf import Shelf
    from backstop.commands.watch.sight import Sight
    from backstop.repository.recollection import KnownBackup

_CRITICAL_AFTER = 3


def judge_proofs(sight: Sight) -> Part:
    """By kind and repository, since a proof is of one copy."""
    findings: list[Finding] = []
    unjudged: set[tuple[str, str]] = set()
    for kind in sight.target.settings.kinds:
        for name in kind.repositories:
            shelf = sight.shelves.get(name)
            if shelf is None:
                unjudged |= {
                    ("proven", f"{kind.kind} in {name}"),
                    ("proven", f"failed {kind.kind} in {name}"),
                }
                continue
            policy = _policy(sight.target.settings.policies[name], kind.kind)
            copies = [known for known in shelf.backups.values() if known.label.component == kind.kind]
            findings += _Judged(sight, shelf, kind.kind, copies).findings(policy)
    for shelf in sight.shelves.values():
        findings += _doubtful(sight, shelf)
    unjudged |= {("proven", f"proofs in {name}") for name in sight.down}
    return Part(findings=tuple(findings), unjudged=frozenset(unjudged))


def _policy(policies: Policies, kind: str) -> str | None:
    if kind.startswith("tree:"):
        return policies.trees.get(kind.removeprefix("tree:"))
    return policies.base if kind == "base" else policies.dumps


@dataclass(frozen=True, slots=True)
class _Judged:
    sight: Sight
    shelf: Shelf
    kind: str
    copies: list[KnownBackup]

    def findings(self, policy: str | None) -> Iterator[Finding]:
        if policy is not None:
            yield from self._overdue(policy)
        yield from self._failed()

    def _overdue(self, policy: str) -> Iterator[Finding]:
        wanted = work_list(
            [
                Candidate(
                    one.label,
                    self.shelf.name,
                    one.manifest.finished_at,
                    verified=bool(one.proofs),
                    reencrypted=reencrypted_from(one.manifest) is not None,
                )
                for one in self.copies
                if one.label not in self.shelf.doubtful
            ],
            policy=policy,
        )
        allowed = self.sight.target.settings.prove_within
        waiting = {one.label: self._waited(one) for one in wanted}
        late = [label for label, waited in waiting.items() if waited > allowed]
        if not late:
            return
        longest = max(waiting.values())
        yield Finding(
            self.sight.target.name,
            "proven",
            f"{self.kind} in {self.shelf.name}",
            Level.CRITICAL if longest > _CRITICAL_AFTER * allowed else Level.WARNING,
            f"{in_words(self.kind)}: {named(late)} in {self.shelf.name} "
            f"{'waits' if len(late) == 1 else 'wait'} for a proof, the longest for "
            f"{duration_in_words(longest)}; {duration_in_words(allowed)} are allowed",
            f"look at the newest run of verify_backups__{self.sight.target.name}; by hand: `python -m "
            f"backstop verify --target {self.sight.target.name} --repository {self.shelf.name}`",
        )

    def _waited(self, one: Candidate) -> timedelta:
        """Since it came into this repository: a sync may have brought it long after it was made, and a clock
        that was ahead may have dated it in the future."""
        stored_at = self.shelf.stored_at.get(one.label, one.finished_at)
        wrong = one.finished_at > self.sight.now + AHEAD
        return self.sight.now - (stored_at if wrong else max(one.finished_at, stored_at))

    def _failed(self) -> Iterator[Finding]:
        by_age = sorted(self.copies, key=lambda known: (known.manifest.finished_at, known.label))
        failed = [known for known in by_age if known.proofs and not known.proofs[-1].matched]
        if not failed:
            return
        worst = failed[-1]
        newest = worst is by_age[-1]
        what = (
            f"{worst.label}, the newest {in_words(self.kind)}"
            if newest
            else named([one.label for one in failed])
        )
        yield Finding(
            self.sight.target.name,
            "proven",
            f"failed {self.kind} in {self.shelf.name}",
            Level.CRITICAL if newest else Level.WARNING,
            f"the verification of {what} in {self.shelf.name} failed: {worst.proofs[-1].difference}",
            "do not restore it from there; take a new backup, then find out what damaged this one"
            if newest
            else "newer ones are in order: let check-objects heal it from another repository, or let it go",
        )


def _doubtful(sight: Sight, shelf: Shelf) -> Iterator[Finding]:
    if shelf.doubtful:
        label, why = max(shelf.doubtful.items())
        yield Finding(
            sight.target.name,
            "proven",
            f"proofs in {shelf.name}",
            Level.WARNING,
            f"a proof of {named(list(shelf.doubtful))} in {shelf.name} cannot be believed: {why}",
            f"find out who wrote it, remove it by hand, and verify {label} again",
        )
