"""What one part of targets.yaml says about another: names that must exist, places that must differ.

Works on the plain values, not on the validated ones, so that these mistakes are found together with all
others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from backstop.targets.alert_references import alert_mistakes, stakeholder_mistakes
from backstop.targets.disaster_references import disaster_mistakes
from backstop.targets.legacy_references import legacy_mistakes
from backstop.targets.mistakes import Mistake, Path, did_you_mean, dotted
from backstop.targets.pools import DEFAULT_POOL

if TYPE_CHECKING:
    from backstop.targets.document import Document


def shared_mistakes(document: Document, names: Collection[str]) -> Iterator[Mistake]:
    """Of what all targets share: two repositories in one place, names of targets that there are not.

    :param names: of all targets.
    """
    top = _mapping(document.value)
    yield from _shared_places(document, _mapping(top.get("repositories")))
    yield from _regions(document, _mapping(top.get("keys")))
    yield from alert_mistakes(document, _mapping(top.get("alerts")), names)


def target_mistakes(document: Document, name: str, names: Collection[str]) -> Iterator[Mistake]:
    """Of one target: names of keys, repositories, pools, trees and targets that there are not.

    :param document: with what all targets share. :param names: of all targets.
    """
    top = _mapping(document.value)
    keys, repositories = _mapping(top.get("keys")), _mapping(top.get("repositories"))
    target = _mapping(_mapping(top.get("targets")).get(name))
    path: Path = ("targets", name)
    yield from stakeholder_mistakes(document, name, target, names)
    yield from legacy_mistakes(document, {name: target}, repositories, names)
    yield from disaster_mistakes(document, {name: target})
    yield from _pools(document, path, target, _mapping(top.get("pools")))
    chosen = target.get("keys")
    if isinstance(chosen, str) and chosen not in keys:
        yield _unknown(document, (*path, "keys"), "key ring", chosen, keys)
    database = _mapping(target.get("database"))
    yield from _repositories(document, (*path, "database"), database, repositories)
    yield from _cluster_retention(document, (*path, "cluster"), target, database)
    yield from _restore_role(document, (*path, "database"), database)
    for tree, raw in _mapping(target.get("trees")).items():
        own = _mapping(raw)
        # A tree that names no repositories of its own goes where the database goes.
        usual = None if own.get("repositories") else database.get("repositories")
        yield from _repositories(document, (*path, "trees", tree), own, repositories, usual=usual)
        yield from _own_backups(document, (*path, "trees", tree), own, repositories)


def _pools(
    document: Document, path: Path, target: Mapping[str, Any], pools: Mapping[str, Any]
) -> Iterator[Mistake]:
    for what, name in _mapping(target.get("pools")).items():
        if isinstance(name, str) and name not in pools and name != DEFAULT_POOL:
            yield _unknown(document, (*path, "pools", what), "pool", name, pools)


def _repositories(
    document: Document,
    path: Path,
    section: Mapping[str, Any],
    known: Mapping[str, Any],
    *,
    usual: Any = None,
) -> Iterator[Mistake]:
    """Of a database or a tree. :param usual: what holds where the section lists none."""
    listed = _list(section.get("repositories"))
    for index, name in enumerate(listed):
        place = (*path, "repositories", index)
        if not isinstance(name, str):
            continue
        if name not in known:
            yield _unknown(document, place, "repository", name, known)
        elif name in listed[:index]:
            yield Mistake(document.position_of_value(place), dotted(place), f"{name!r} is listed twice")
    yield from _retention(document, path, section, listed or _list(usual))


def _cluster_retention(
    document: Document, path: Path, target: Mapping[str, Any], database: Mapping[str, Any]
) -> Iterator[Mistake]:
    """Base backups go where the database's go."""
    yield from _retention(
        document, path, _mapping(target.get("cluster")), _list(database.get("repositories"))
    )


def _retention(
    document: Document, path: Path, section: Mapping[str, Any], used: Sequence[Any]
) -> Iterator[Mistake]:
    for name in _mapping(section.get("retention")):
        if name not in used:
            place = (*path, "retention", name)
            hint = did_you_mean(name, {str(one) for one in used})
            what = f"retention for a repository that `repositories` does not list{hint}"
            yield Mistake(document.position_of_key(place), dotted(place), what)


def _own_backups(
    document: Document, path: Path, tree: Mapping[str, Any], repositories: Mapping[str, Any]
) -> Iterator[Mistake]:
    """A tree with a repository in it would back its own backups up, and grow with every one of them."""
    patterns, exclude = _list(tree.get("paths")), [str(one) for one in _list(tree.get("exclude"))]
    for index, pattern in enumerate(patterns):
        for name, raw in repositories.items():
            kind, place = _place(_mapping(raw))
            if kind == "posix" and _lies_in(place, str(pattern)) and not _left_out(place, exclude):
                where = (*path, "paths", index)
                what = f"repositories.{name} lies in it: its backups would be backed up; add it to `exclude`"
                yield Mistake(document.position_of_value(where), dotted(where), what)


def _lies_in(place: PurePosixPath, pattern: str) -> bool:
    parts = PurePosixPath(pattern).parts
    return len(parts) <= len(place.parts) and all(map(fnmatchcase, place.parts, parts))


def _left_out(place: PurePosixPath, exclude: Sequence[str]) -> bool:
    folders = [place, *place.parents]
    return any(
        fnmatchcase(str(folder) if "/" in glob else folder.name, glob)
        for glob in exclude
        for folder in folders
    ) or any(glob.endswith("/**") and fnmatchcase(str(place), glob[:-3]) for glob in exclude)


def _restore_role(document: Document, path: Path, database: Mapping[str, Any]) -> Iterator[Mistake]:
    backup, restore = database.get("conn_id"), database.get("restore_conn_id")
    if backup is not None and backup == restore:
        place = (*path, "restore_conn_id")
        what = f"expected another connection than conn_id ({backup!r}): the backup role can only read"
        yield Mistake(document.position_of_value(place), dotted(place), what)


def _regions(document: Document, keys: Mapping[str, Any]) -> Iterator[Mistake]:
    for name, raw in keys.items():
        region, arn = _mapping(raw).get("region"), str(_mapping(raw).get("key_arn")).split(":")
        if region is not None and len(arn) > 3 and region != arn[3]:
            path: Path = ("keys", name, "region")
            what = f"expected the key's own region {arn[3]!r}, found {region!r}"
            yield Mistake(document.position_of_value(path), dotted(path), what)


def _shared_places(document: Document, repositories: Mapping[str, Any]) -> Iterator[Mistake]:
    """Two names for one place would count one copy as two; one inside another would expire it."""
    seen: list[tuple[str, str, PurePosixPath]] = []
    for name, raw in repositories.items():
        space, place = _place(_mapping(raw))
        for other, other_space, other_place in seen:
            if space and space == other_space and _overlap(place, other_place):
                path: Path = ("repositories", name)
                what = f"lies in the same place as repositories.{other}; a second copy there protects nothing"
                yield Mistake(document.position_of_key(path), dotted(path), what)
        seen.append((name, space, place))


def _place(repository: Mapping[str, Any]) -> tuple[str, PurePosixPath]:
    path, bucket = repository.get("path"), repository.get("bucket")
    if isinstance(path, str):
        return "posix", PurePosixPath(path)
    if isinstance(bucket, str):
        return f"s3 {repository.get('endpoint_url')} {bucket}", PurePosixPath(
            str(repository.get("prefix") or ".")
        )
    return "", PurePosixPath(".")


def _overlap(one: PurePosixPath, other: PurePosixPath) -> bool:
    return one == other or one in other.parents or other in one.parents


def _unknown(document: Document, path: Path, what: str, name: str, known: Mapping[str, Any]) -> Mistake:
    sentence = f"there is no {what} {name!r}{did_you_mean(name, known)}"
    return Mistake(document.position_of_value(path), dotted(path), sentence)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
