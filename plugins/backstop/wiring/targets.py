"""Finds what targets.yaml describes, or says what it has instead."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError, NotFoundError

if TYPE_CHECKING:
    from backstop.targets import Cluster, Configuration, Target
    from backstop.targets.cluster import Recovery
    from backstop.targets.trees import Tree


def find_target(configuration: Configuration, name: str) -> Target:
    """
    :raises NotFoundError: no such target; says which there are.
    :raises ConfigurationError: there is one, but its file is wrong; says how.
    """
    try:
        return configuration.targets[name]
    except KeyError:
        broken = configuration.why_broken(name)
        if broken is not None:
            raise ConfigurationError(
                f"target {name} is disabled, because its file is wrong: {broken.why}",
                hint="correct it; `python -m backstop check-targets` checks it again",
            ) from None
        close = difflib.get_close_matches(name, configuration.targets, n=1)
        known = ", ".join(sorted(configuration.targets)) or "none"
        hint = f"did you mean {close[0]!r}?" if close else f"targets.yaml has: {known}"
        raise NotFoundError(f"there is no target {name!r}", hint=hint) from None


def find_tree(configuration: Configuration, target_name: str, tree: str) -> Tree:
    """:raises NotFoundError: the target has no file tree of that name; says which it has."""
    trees = find_target(configuration, target_name).trees
    try:
        return trees[tree]
    except KeyError:
        close = difflib.get_close_matches(tree, trees, n=1)
        known = ", ".join(sorted(trees)) or "none"
        hint = f"did you mean {close[0]!r}?" if close else f"its `trees` are: {known}"
        raise NotFoundError(f"target {target_name} has no file tree {tree!r}", hint=hint) from None


def find_cluster(configuration: Configuration, target_name: str) -> Cluster:
    """:raises ConfigurationError: the target has no ``cluster`` section."""
    cluster = find_target(configuration, target_name).cluster
    if cluster is None:
        raise ConfigurationError(
            f"target {target_name} has no `cluster` section: only dumps of its database are taken",
            hint="describe its replication role there (docs/targets.md)",
        )
    return cluster


def find_recovery(configuration: Configuration, target_name: str) -> Recovery:
    """:raises ConfigurationError: the target does not say where its cluster is recovered."""
    recovery = find_cluster(configuration, target_name).recovery
    if recovery is None:
        raise ConfigurationError(
            f"target {target_name} has no cluster.recovery: nobody knows where to recover it",
            hint="name a directory with room for the whole cluster (docs/targets.md)",
        )
    return recovery
