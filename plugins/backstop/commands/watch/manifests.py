"""Manifests that have gone although nobody expired them, and those that nobody can believe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.watch.missing_copies import still_wanted
from backstop.commands.watch.part import Part
from backstop.commands.watch.wording import named
from backstop.model.finding import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.commands.watch.shelf import Shelf
    from backstop.commands.watch.sight import Sight
    from backstop.model.backup import BackupLabel


def judge_manifests(sight: Sight) -> Part:
    """One finding a repository that lost some; one that holds some which are not to be trusted."""
    findings = []
    for shelf in sight.shelves.values():
        gone = still_wanted(sight, shelf)
        if gone:
            findings.append(_gone(sight, shelf, gone))
        if shelf.unreadable:
            findings.append(_unreadable(sight, shelf))
    return Part(
        findings=tuple(findings),
        unjudged=frozenset(
            ("sync", subject)
            for name in sight.down
            for subject in (f"manifests in {name}", f"unreadable manifests in {name}")
        ),
    )


def _gone(sight: Sight, shelf: Shelf, gone: Sequence[BackupLabel]) -> Finding:
    elsewhere = sorted(
        {name for name, other in sight.shelves.items() if all(label in other.backups for label in gone)}
    )
    mend = (
        f"`python -m backstop sync-repositories --target {sight.target.name}` brings {_them(gone)} back from "
        f"{elsewhere[0]}"
        if elsewhere
        else "take a new backup"
    )
    return Finding(
        sight.target.name,
        "sync",
        f"manifests in {shelf.name}",
        Level.CRITICAL,
        f"{named(gone)} {_have(gone)} vanished from {shelf.name}, and nothing expired {_them(gone)}",
        f"find out who deletes in {shelf.repository.location}; {mend}. If it was on purpose, set the status "
        "of their rows in backup_inventory to expired",
    )


def _unreadable(sight: Sight, shelf: Shelf) -> Finding:
    name, why = next(iter(sorted(shelf.unreadable.items())))
    more = f", and {len(shelf.unreadable) - 1} more" if len(shelf.unreadable) > 1 else ""
    return Finding(
        sight.target.name,
        "sync",
        f"unreadable manifests in {shelf.name}",
        Level.CRITICAL,
        f"{shelf.name} holds a manifest that cannot be trusted, {name}{more}: {why}",
        f"find out who wrote to {shelf.repository.location}; `python -m backstop list --target "
        f"{sight.target.name}` names each",
    )


def _have(labels: Sequence[object]) -> str:
    return "has" if len(labels) == 1 else "have"


def _them(labels: Sequence[object]) -> str:
    return "it" if len(labels) == 1 else "them"
