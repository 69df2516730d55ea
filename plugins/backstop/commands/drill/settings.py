"""What a drill is told about its target; targets.yaml says the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from backstop.commands.trees.settings import TreeRestoreSettings
    from backstop.postgres.isolation import IsolationPolicy


@dataclass(frozen=True, slots=True)
class DatabaseDrill:
    """The database, or the whole cluster.

    :param repositories: names, the one to be read first in front.
    :param physical: base backups of the cluster are taken; False: there are dumps alone.
    :param superuser: of recovered clusters.
    """

    repositories: tuple[str, ...]
    dbname: str
    physical: bool = False
    superuser: str = "postgres"
    rto: timedelta | None = None
    rpo: timedelta | None = None
    jobs: int = 2


@dataclass(frozen=True, slots=True)
class TreeDrill:
    """One file tree. :param first: it comes back before the database, as configuration does."""

    repositories: tuple[str, ...]
    restore: TreeRestoreSettings
    first: bool = False
    rto: timedelta | None = None
    rpo: timedelta | None = None


@dataclass(frozen=True, slots=True)
class DrillSettings:
    """One target.

    :param directory: everything is restored below it, and nothing is left there.
    :param scenario: the usual one, or ``rotate``.
    :param isolation: and :param hide: as for proofs: what is restored is code.
    """

    target: str
    directory: Path
    database: DatabaseDrill
    trees: Mapping[str, TreeDrill] = field(default_factory=dict)
    scenario: str = "rotate"
    isolation: IsolationPolicy = "required"
    hide: Sequence[Path] = ()

    @property
    def repositories(self) -> tuple[str, ...]:
        """Wherever anything of the target is kept."""
        names = dict.fromkeys(self.database.repositories)
        for tree in self.trees.values():
            names.update(dict.fromkeys(tree.repositories))
        return tuple(names)

    def repositories_of(self, component: str) -> tuple[str, ...]:
        """:param component: ``base``, ``dump`` or ``tree:<name>``."""
        kind, _, tree = component.partition(":")
        return self.trees[tree].repositories if kind == "tree" else self.database.repositories

    def objectives(self, component: str) -> tuple[timedelta | None, timedelta | None]:
        """RTO and RPO."""
        kind, _, tree = component.partition(":")
        section = self.trees[tree] if kind == "tree" else self.database
        return section.rto, section.rpo
