"""What somebody can ask for in the form, and the plan for it."""

# ruff: noqa: TC001, TC003 pydantic evaluates the annotations
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from backstop.commands.recoverability.backups import StoredBackup
from backstop.commands.recoverability.plan_backup import (
    DATABASE_MODES,
    TREE_MODES,
    plan_database,
    plan_tree,
)
from backstop.commands.recoverability.plan_point import modes_of, plan_point
from backstop.commands.recoverability.restore_plan import ANY_REPOSITORY, LATEST, NEWEST, RestorePlan
from backstop.model.backup import BackupLabel
from backstop.model.observation import Observation, WindowSeen
from backstop.targets import Target

Short = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
OFFERED = 200
"""More in one list helps nobody; any other label can be had through Airflow's own form."""


class Asked(BaseModel):
    """The form's fields; empty ones have the default that harms least.

    :param what: ``point``, ``database`` or ``tree``; empty: told by the others.
    :param at: the moment, or ``latest``.
    """

    model_config = ConfigDict(extra="ignore")

    what: Literal["", "point", "database", "tree"] = ""
    at: Short = ""
    label: Short = ""
    tree: Short = ""
    mode: Short = ""
    repository: Short = ANY_REPOSITORY

    @property
    def kind(self) -> str:
        """What is to be restored, or empty."""
        if self.what:
            return self.what
        if self.at:
            return "point"
        if self.tree or (BackupLabel.is_one(self.label) and BackupLabel(self.label).tree):
            return "tree"
        return "database" if self.label else ""

    @property
    def of_tree(self) -> str:
        """Which tree: named, or known by the label."""
        if self.tree:
            return self.tree
        return BackupLabel(self.label).tree if BackupLabel.is_one(self.label) else ""

    @property
    def wanted(self) -> bool:
        """Whether there is anything to plan."""
        return bool(self.kind)

    @classmethod
    def of_plan(cls, plan: RestorePlan) -> Asked:
        """What asks for just this plan again: the backup by its label, whatever is the newest by then."""
        conf = plan.conf
        return cls(
            what="point" if "point" in conf else "tree" if "tree" in conf else "database",
            at=conf.get("point", ""),
            label=conf.get("backup_label") or conf.get("backup") or "",
            tree=conf.get("tree", ""),
            mode=conf["mode"],
            repository=conf["repository"],
        )


@dataclass(frozen=True, slots=True)
class Sources:
    """What is known of a target when somebody asks."""

    target: Target
    observation: Observation | None
    backups: tuple[StoredBackup, ...]
    now: datetime

    @property
    def windows(self) -> tuple[WindowSeen, ...]:
        """The newest first."""
        seen = self.observation.windows if self.observation else ()
        return tuple(sorted(seen, key=lambda one: one.ends_at, reverse=True))

    @property
    def point_modes(self) -> dict[str, str]:
        """Empty: its server cannot be recovered from here."""
        cluster = self.target.cluster
        return modes_of(self.target) if cluster and cluster.recovery else {}

    @property
    def database_modes(self) -> dict[str, str]:
        return DATABASE_MODES if self.target.database.restore_conn_id else {}

    @property
    def tree_modes(self) -> dict[str, str]:
        return TREE_MODES

    def labels(self, component: str) -> dict[str, str]:
        """Backups of a component, newest first, with how far each is to be trusted."""
        found: dict[str, list[StoredBackup]] = {}
        for one in reversed(self.backups):
            if one.is_there and one.component == component:
                found.setdefault(one.label, []).append(one)
        newest = list(found.items())[:OFFERED]
        return {
            label: "; ".join(f"{one.repository}: {one.state}" for one in reversed(copies))
            for label, copies in newest
        }


def plan(known: Sources, asked: Asked) -> RestorePlan:
    """:raises ConfigurationError: it cannot be; :raises NotFoundError: there is no such backup."""
    label = asked.label or NEWEST
    if asked.kind == "tree":
        return _plan_tree(known, asked)
    if asked.kind == "point":
        return _plan_point(known, asked, asked.at or LATEST)
    if BackupLabel.is_one(label) and BackupLabel(label).kind.physical:
        return _plan_point(known, asked, _end_of(known, label))
    return plan_database(
        known.target,
        known.observation,
        known.backups,
        label=label,
        mode=asked.mode or "beside",
        repository=asked.repository or ANY_REPOSITORY,
        now=known.now,
    )


def _plan_point(known: Sources, asked: Asked, point: str) -> RestorePlan:
    return plan_point(
        known.target,
        known.observation,
        known.backups,
        point=point,
        mode=asked.mode or "beside",
        repository=asked.repository or ANY_REPOSITORY,
        now=known.now,
    )


def _plan_tree(known: Sources, asked: Asked) -> RestorePlan:
    return plan_tree(
        known.target,
        known.observation,
        known.backups,
        tree=asked.of_tree,
        label=asked.label or LATEST,
        mode=asked.mode or "dry run",
        repository=asked.repository or ANY_REPOSITORY,
        now=known.now,
    )


def _end_of(known: Sources, label: str) -> str:
    """A base backup alone leads to the moment it ended at."""
    ended = [one.finished_at for one in known.backups if one.label == label and one.is_there]
    return max(ended).isoformat() if ended else LATEST
