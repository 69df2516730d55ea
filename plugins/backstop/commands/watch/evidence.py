"""Whether evidence is still there, as far as the inventory remembers it; and what is new, it learns.

One listing and one small read a repository. Judging whole chains is ``evidence verify``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.watch.part import Part
from backstop.errors import BackstopError
from backstop.model.finding import Finding, Level
from backstop.repository.evidence_heads import known_heads, newest_evidence, remember_head

if TYPE_CHECKING:
    from backstop.commands.watch.sight import Sight
    from backstop.model.evidence import ChainHead
    from backstop.repository.catalog import Repository
    from backstop.repository.inventory import Inventory

CHECK = "evidence"


def look_at_evidence(sight: Sight, inventory: Inventory | None) -> Part:
    """One finding for each repository that lacks what the inventory knows. Without one nothing is known."""
    if inventory is None:
        return Part()
    known = known_heads(inventory.connection, sight.target.name)
    findings: list[Finding] = []
    unseen: list[str] = []
    unjudged = {(CHECK, _subject(name)) for name in sight.down}
    for shelf in sight.shelves.values():
        try:
            findings += _judge(sight, shelf.repository, known, inventory, unseen)
        except BackstopError as error:
            unseen.append(f"the evidence in {shelf.name}: {error.message}")
            unjudged.add((CHECK, _subject(shelf.name)))
    return Part(findings=tuple(findings), unseen=tuple(unseen), unjudged=frozenset(unjudged))


def _judge(
    sight: Sight,
    repository: Repository,
    known: dict[str, ChainHead],
    inventory: Inventory,
    unseen: list[str],
) -> list[Finding]:
    chain, head, recorded_at = newest_evidence(repository)
    remembered = known.get(chain.repository_id)
    if remembered is None or head is None or recorded_at is None or head.number > remembered.number:
        lost = remembered is not None and chain.head_at(remembered.number) != remembered
        if not lost and head is not None and recorded_at is not None:
            unseen += remember_head(inventory.connection, repository.name, chain, head, recorded_at)
    else:
        lost = head != remembered
    if not lost or remembered is None:
        return []
    name = sight.target.name
    return [
        Finding(
            name,
            CHECK,
            _subject(repository.name),
            Level.CRITICAL,
            f"evidence was removed from {repository.name}, or written anew: its record {remembered.number} "
            "is not there as the inventory knows it",
            f"find out who writes to {repository.location}; `python -m backstop evidence verify --target "
            f"{name}` names every record",
        )
    ]


def _subject(name: str) -> str:
    return f"evidence in {name}"
