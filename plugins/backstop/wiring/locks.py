"""What targets.yaml says of locks in a repository, as the rule that its storage goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.object_lock import ROLLING, LockRule, least_kept
from backstop.model.retention_policy import RetentionPolicy
from backstop.targets.retention import as_rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from backstop.model.backup import BackupLabel
    from backstop.targets import Configuration, Target
    from backstop.targets.retention import Retention, RetentionRules


def lock_rule(configuration: Configuration, repository: str) -> LockRule | None:
    """None: nothing is locked there.

    What targets.yaml does not name any more is kept for ever, and so is its lock.
    """
    config = configuration.repositories[repository]
    lock = config.lock if config.type == "s3" else None
    if lock is None:
        return None

    def kept(target_name: str, label: BackupLabel) -> timedelta | None:
        target = configuration.targets.get(target_name)
        return _least(_retention_of(target, label), repository) if target else None

    def longest(target_name: str) -> timedelta | None:
        target = configuration.targets.get(target_name)
        if target is None:
            return None
        found = [_least(retention, repository) for retention in _retentions_in(target, repository)]
        known = [one for one in found if one is not None]
        # What stays for ever is locked for a while again and again; but not for less than what goes some day.
        certain = len(known) == len(found) or max(known, default=ROLLING) > ROLLING
        return max(known, default=None) if certain else None

    return LockRule(mode=lock.mode, margin=lock.margin, kept=kept, longest=longest)


def _least(retention: Retention | None, repository: str) -> timedelta | None:
    rules = retention.get(repository) if retention is not None else None
    return None if rules is None else least_kept(_policy(as_rules(rules)))


def _policy(rules: RetentionRules) -> RetentionPolicy:
    return RetentionPolicy(**{name: getattr(rules, name) for name in type(rules).model_fields})


def _retention_of(target: Target, label: BackupLabel) -> Retention | None:
    if label.tree:
        tree = target.trees.get(label.tree)
        return tree.retention if tree else None
    if label.kind.physical:
        return _cluster_retention(target)
    return target.database.retention


def _cluster_retention(target: Target) -> Retention | None:
    if target.cluster is None:
        return None
    return target.database.retention if target.cluster.retention is None else target.cluster.retention


def _retentions_in(target: Target, repository: str) -> Iterator[Retention | None]:
    """Of whatever of the target goes to that repository."""
    usual = target.database.repositories
    if repository in usual:
        yield target.database.retention
        if target.cluster is not None:
            yield _cluster_retention(target)
    for tree in target.trees.values():
        if repository in (tree.repositories or usual):
            yield tree.retention
