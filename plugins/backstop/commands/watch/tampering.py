"""Documents that somebody deleted or stored again in a bucket with versions: all of ours are put once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.watch.part import EVERY, Part
from backstop.commands.watch.wording import named
from backstop.errors import StorageError
from backstop.model.finding import Finding, Level
from backstop.repository.catalog import REPOSITORY_KEY

if TYPE_CHECKING:
    from backstop.commands.watch.shelf import Shelf
    from backstop.commands.watch.sight import Sight

CHECK = "tampering"
_FOLDERS = ("manifests", "proofs", "holds", "accepted")


def look_at_versions(sight: Sight) -> Part:
    """What of manifests, proofs, holds and acceptances was deleted or overwritten, and can be had back.

    Nothing to see in a directory, or in a bucket without versions. Expiry removes every version of what it
    removes, so it leaves nothing here.
    """
    findings: list[Finding] = []
    unseen: list[str] = []
    unjudged = {(CHECK, EVERY)} if sight.down else set()
    for shelf in sight.shelves.values():
        try:
            findings += _judge(sight, shelf)
        except StorageError as error:
            unjudged.add((CHECK, EVERY))
            unseen.append(f"former versions in {shelf.name}: {error.message}")
    return Part(findings=tuple(findings), unseen=tuple(unseen), unjudged=frozenset(unjudged))


def _judge(sight: Sight, shelf: Shelf) -> list[Finding]:
    target = sight.target.name
    deleted: list[str] = []
    overwritten: list[str] = []
    storage = shelf.repository.storage
    places = [storage.versions(f"{target}/meta/{folder}/") for folder in _FOLDERS]
    for versions in (storage.versions_of(REPOSITORY_KEY), *places):
        stored: dict[str, int] = {}
        markers: set[str] = set()
        for one in versions:
            if not one.is_marker:
                stored[one.key] = stored.get(one.key, 0) + 1
            elif one.is_latest:
                markers.add(one.key)
        deleted += sorted(key for key in stored if key in markers)
        overwritten += sorted(key for key, count in stored.items() if count > 1 and key not in markers)
    return [
        *_finding(
            shelf,
            target,
            "deleted",
            deleted,
            "find out whose credentials did it; then remove the delete marker of each (aws s3api "
            "delete-object --version-id …) to have it back",
        ),
        *_finding(
            shelf,
            target,
            "overwritten",
            overwritten,
            "find out whose credentials did it; then remove the newer versions of each (aws s3api "
            "delete-object --version-id …): the oldest version of each is the true one",
        ),
    ]


def _finding(shelf: Shelf, target: str, done: str, keys: list[str], step: str) -> list[Finding]:
    if not keys:
        return []
    said = (
        f"{len(keys)} document{'s' if len(keys) > 1 else ''} in {shelf.name} that Backstop puts once "
        f"{'were' if len(keys) > 1 else 'was'} {done} by somebody: {named(keys)}"
    )
    return [Finding(target, CHECK, f"{done} in {shelf.name}", Level.CRITICAL, said, step)]
