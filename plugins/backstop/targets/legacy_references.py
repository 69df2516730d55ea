"""What the ``legacy`` sections say about repositories and trees, and places that must differ."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from backstop.targets.mistakes import Mistake, Path, did_you_mean, dotted

if TYPE_CHECKING:
    from backstop.targets.document import Document


def legacy_mistakes(
    document: Document, targets: Mapping[str, Any], repositories: Mapping[str, Any], names: Collection[str]
) -> Iterator[Mistake]:
    """Unknown trees and repositories, S3 without an S3 repository, files that are named twice or are ours.

    :param names: of all targets: what any of them keeps in a repository is ours.
    """
    taken: dict[tuple[str, str], str] = {}
    for target, raw in targets.items():
        database, trees = _mapping(_mapping(raw).get("database")), _mapping(_mapping(raw).get("trees"))
        legacy = _mapping(_mapping(raw).get("legacy"))
        path: Path = ("targets", target, "legacy")
        usual = _names(database.get("repositories"))
        sections = [((*path, "database"), legacy.get("database"), usual, "full")]
        for tree, section in _mapping(legacy.get("trees")).items():
            own = (*path, "trees", tree)
            if tree not in trees:
                what = f"there is no file tree {tree!r}{did_you_mean(str(tree), trees)}"
                yield Mistake(document.position_of_key(own), dotted(own), what)
                continue
            used = _names(_mapping(trees[tree]).get("repositories")) or usual
            sections.append((own, section, used, str(tree)))
        for own, section, used, stem in sections:
            files = str(_mapping(section).get("names") or stem)
            for repository, place in _mapping(_mapping(section).get("places")).items():
                where = (*own, "places", repository)
                problem = _problem(str(repository), place, used, repositories, names)
                first = taken.setdefault((str(place), files), dotted(where))
                if not problem and first != dotted(where):
                    problem = f"the same files as {first}"
                if problem:
                    yield Mistake(document.position_of_key(where), dotted(where), problem)


def _problem(
    repository: str,
    place: Any,
    used: Sequence[str],
    repositories: Mapping[str, Any],
    targets: Collection[str],
) -> str:
    """Why these files cannot be adopted; empty when they can."""
    if repository not in used:
        return f"its backups do not go to a repository {repository!r}{did_you_mean(repository, used)}"
    settings = _mapping(repositories.get(repository))
    if str(place).startswith("s3://") and settings.get("type") != "s3":
        return f"expected a directory: repositories.{repository} has no S3 endpoint and credentials to lend"
    for name, other in repositories.items():
        if _ours(PurePosixPath(str(place)), _mapping(other), targets):
            return f"repositories.{name} keeps Backstop's own backups there"
    return ""


def _ours(place: PurePosixPath, repository: Mapping[str, Any], targets: Collection[str]) -> bool:
    """Whether the place lies where that repository keeps something of a target."""
    bucket = repository.get("bucket")
    root = f"s3://{bucket}/{repository.get('prefix') or ''}" if bucket else str(repository.get("path"))
    if not bucket:
        return place == PurePosixPath(root) or PurePosixPath(root) in place.parents
    own = [PurePosixPath(root) / target for target in targets]
    return any(place == folder or folder in place.parents for folder in own)


def _names(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
