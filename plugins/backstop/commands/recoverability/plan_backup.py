"""A restore of one backup, of the database or of a file tree, planned from the inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.recoverability.restore_plan import (
    ANY_REPOSITORY,
    LATEST,
    NEWEST,
    RestorePlan,
    approval_in_words,
    doubts_about_look,
    forecast_in_words,
    loss_in_words,
    run_of,
)
from backstop.errors import ConfigurationError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from backstop.commands.recoverability.backups import StoredBackup
    from backstop.model.observation import ComponentSeen, Observation
    from backstop.targets import Target

DATABASE_MODES = {
    "beside": "Restore it beside the live database and validate it",
    "swap": "Put it in the place of the live database",
}
TREE_MODES = {
    "dry run": "Only say what would be added, changed and deleted",
    "swap": "Put it in the place of the live files",
}


def plan_database(
    target: Target,
    observation: Observation | None,
    backups: Sequence[StoredBackup],
    *,
    label: str,
    mode: str,
    repository: str,
    now: datetime,
) -> RestorePlan:
    """:param label: of a dump, or :data:`NEWEST`.

    :raises ConfigurationError: no such mode or repository, or no restore at all.
    :raises NotFoundError: the inventory knows no such dump.
    """
    if target.database.restore_conn_id is None:
        raise ConfigurationError(
            f"{target.name} has no restore_conn_id: its database cannot be restored from here",
            hint="name the connection of a role that may create databases in targets.yaml",
        )
    _require(mode, DATABASE_MODES)
    copies = _copies(backups, "dump", label, repository, proven_only=label == NEWEST)
    chosen = _first(copies, target.database.repositories)
    touches = mode == "swap"
    component = observation.component("dump") if observation else None
    return RestorePlan(
        dag_id=run_of("restore_database", target.queue),
        conf={
            "target": target.name,
            "backup_label": chosen.label,
            "mode": mode,
            "repository": repository,
        },
        title=f"Restore the database of {target.name} from {chosen.label}",
        facts=_facts(chosen, copies, repository, component, target.database.objectives.rto, now),
        steps=(
            "The run checks room, roles and whatever a swap would break, and says so.",
            "The backup is restored into a new database beside the live one and compared with the fingerprint"
            " taken in its own snapshot.",
            "Sessions are ended and both databases change names in one transaction; the former one is kept,"
            " and can be swapped back."
            if touches
            else "It is left there for you to look into. Nothing live is touched.",
        ),
        approval=approval_in_words(target.database.restore, touches_live=touches),
        touches_live=touches,
        cautions=(*doubts_about_look(observation, chosen.repository, now), *_doubts(copies)),
    )


def plan_tree(
    target: Target,
    observation: Observation | None,
    backups: Sequence[StoredBackup],
    *,
    tree: str,
    label: str,
    mode: str,
    repository: str,
    now: datetime,
) -> RestorePlan:
    """:param label: of a backup of the tree, or ``latest``.

    :raises ConfigurationError: no such mode; :raises NotFoundError: no such tree or backup.
    """
    found = target.trees.get(tree)
    if found is None:
        raise NotFoundError(
            f"{target.name} has no file tree {tree!r}", hint=f"choose: {', '.join(target.trees) or 'none'}"
        )
    _require(mode, TREE_MODES)
    copies = _copies(backups, f"tree:{tree}", label, repository)
    chosen = _first(copies, found.repositories or target.database.repositories)
    touches = mode == "swap"
    component = observation.component(f"tree:{tree}") if observation else None
    return RestorePlan(
        dag_id=run_of("restore_files", found.queue or target.queue),
        conf={
            "target": target.name,
            "tree": tree,
            "backup": chosen.label,
            "mode": mode,
            "repository": repository,
        },
        title=f"Restore {tree} of {target.name} from {chosen.label}",
        facts=_facts(chosen, copies, repository, component, found.objectives.rto, now),
        steps=(
            "The run counts what would be added, changed and deleted, and names the first of them.",
            *(
                (
                    "Files are restored beside the live ones and read again, each hash.",
                    "Then they change names; the former ones are kept and can be swapped back.",
                )
                if touches
                else ("It ends there. Nothing live is touched.",)
            ),
        ),
        approval=approval_in_words(found.restore, touches_live=touches),
        touches_live=touches,
        cautions=(*doubts_about_look(observation, chosen.repository, now), *_doubts(copies)),
    )


def _facts(
    chosen: StoredBackup,
    copies: Sequence[StoredBackup],
    repository: str,
    component: ComponentSeen | None,
    rto: timedelta | None,
    now: datetime,
) -> tuple[tuple[str, str], ...]:
    why = "" if repository != ANY_REPOSITORY else ", the first that has it, proven copies first"
    return (
        ("Backup", f"{chosen.label}, " + "; ".join(f"{one.repository}: {one.state}" for one in copies)),
        ("Read from", f"repository {chosen.repository}{why}"),
        ("Data loss", loss_in_words(chosen.started_at, now)),
        ("Time", forecast_in_words(component.forecast if component else None, rto)),
    )


def _require(mode: str, modes: dict[str, str]) -> None:
    if mode not in modes:
        raise ConfigurationError(f"{mode!r} is not possible", hint=f"choose: {', '.join(modes)}")


def _copies(
    backups: Sequence[StoredBackup],
    component: str,
    label: str,
    repository: str,
    *,
    proven_only: bool = False,
) -> list[StoredBackup]:
    """One backup, wherever it lies and may be read from."""
    there = [one for one in backups if one.is_there and one.component == component]
    if repository != ANY_REPOSITORY:
        there = [one for one in there if one.repository == repository]
    if proven_only:
        there = [one for one in there if one.status == "proven"]
    if label in (LATEST, NEWEST):
        label = max(there, key=lambda one: (one.finished_at, one.label)).label if there else label
    found = [one for one in there if one.label == label]
    if not found:
        raise NotFoundError(
            f"the inventory knows no backup {label!r} of this kind"
            + ("" if repository == ANY_REPOSITORY else f" in repository {repository}"),
            hint="choose one from the list, or another repository",
        )
    return found


def _first(copies: Sequence[StoredBackup], order: Sequence[str]) -> StoredBackup:
    """Proven ones first, then in the order of targets.yaml, as the run chooses."""
    places = {name: place for place, name in enumerate(order)}
    return min(copies, key=lambda one: (one.status != "proven", places.get(one.repository, len(places))))


def _doubts(copies: Sequence[StoredBackup]) -> tuple[str, ...]:
    if any(one.status == "proven" for one in copies):
        return ()
    return (
        "No restore has proven this backup yet; what is restored is validated before it replaces anything.",
    )
