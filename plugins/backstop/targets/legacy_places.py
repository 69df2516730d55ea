"""Files from before that two targets would take for theirs: each would retire what the other still needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backstop.targets.legacy import LegacyFiles
    from backstop.targets.mistakes import Path
    from backstop.targets.models import Target


def claimed_twice(targets: Mapping[str, Target]) -> Iterator[tuple[str, Path, str]]:
    """Each place of a target that another one names with the same file names: the target, where, and why.

    Both are told of: nobody knows whose they are, not even where both have them from ``defaults``.
    """
    claims: dict[tuple[str, str], list[tuple[str, Path]]] = {}
    for target, one in targets.items():
        for files, where in _claims(target, one):
            claims.setdefault(files, []).append((target, where))
    for claimants in claims.values():
        for target, where in claimants:
            others = sorted({other for other, _ in claimants if other != target})
            if others:
                yield target, where, f"the same files as those of {', '.join(others)}: each would retire them"


def _claims(name: str, target: Target) -> Iterator[tuple[tuple[str, str], Path]]:
    if target.legacy is None:
        return
    path: Path = ("targets", name, "legacy")
    sections: list[tuple[Path, LegacyFiles | None, str]] = [
        ((*path, "database"), target.legacy.database, "full_%Y%m%d_%H%M%S.sql.gz"),
        *(
            ((*path, "trees", tree), section, f"{tree}_%Y%m%d_%H%M%S.tar.gz")
            for tree, section in target.legacy.trees.items()
        ),
    ]
    for where, section, usual in sections:
        if section is not None:
            for repository, place in section.places.items():
                yield (place, section.names or usual), (*where, "places", repository)
