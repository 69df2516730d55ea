"""targets.yaml: what is protected, where backups go, which keys are used (docs/targets.md)."""

from __future__ import annotations

from backstop.targets.cluster import Cluster
from backstop.targets.database import Application, Database, VerifyQuery
from backstop.targets.legacy import Legacy
from backstop.targets.load import find_mistakes, load_targets, targets_path
from backstop.targets.models import (
    Configuration,
    KeysConfig,
    KmsKeys,
    LocalKeys,
    PosixRepository,
    RepositoryConfig,
    S3Repository,
    Target,
)
from backstop.targets.trees import Tree

__all__ = [
    "Application",
    "Cluster",
    "Configuration",
    "Database",
    "KeysConfig",
    "KmsKeys",
    "Legacy",
    "LocalKeys",
    "PosixRepository",
    "RepositoryConfig",
    "S3Repository",
    "Target",
    "Tree",
    "VerifyQuery",
    "find_mistakes",
    "load_targets",
    "targets_path",
]
