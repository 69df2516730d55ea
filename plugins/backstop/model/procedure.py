"""What a DAG's id says: which procedure it is, of which target, and what it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.finding import Level

if TYPE_CHECKING:
    from collections.abc import Collection

_KINDS = {"back_up_database": "dump", "take_base_backup": "base"}
_JUDGED_BY_EFFECT = ("sync_repositories", "archive_wal", "run_drill")


def procedure_of(dag_id: str) -> str:
    """``back_up_database__calibrify`` to ``back_up_database``."""
    return dag_id.partition("__")[0]


def target_of_dag(dag_id: str, known: Collection[str]) -> str | None:
    """Which of these targets ``back_up_files__calibrify__media`` is about; None: no single one."""
    rest = dag_id.partition("__")[2]
    names = [name for name in known if rest == name or rest.startswith(f"{name}__")]
    return max(names, key=len, default=None)


def kind_of_run(dag_id: str, target: str | None = None) -> str | None:
    """``dump``, ``base`` or ``tree:<name>``, if runs of this DAG make backups; else None.

    :param target: its name, which may have two underscores in it.
    """
    procedure, _, rest = dag_id.partition("__")
    if procedure == "back_up_files":
        tree = rest.removeprefix(f"{target}__") if target else rest.partition("__")[2]
        return f"tree:{tree}" if tree else None
    return _KINDS.get(procedure)


def dag_of_kind(target: str, kind: str) -> str:
    """The DAG whose runs make backups of this kind: :func:`kind_of_run` the other way round."""
    what, _, tree = kind.partition(":")
    if what == "tree":
        return f"back_up_files__{target}__{tree}"
    return next(f"{procedure}__{target}" for procedure, made in _KINDS.items() if made == kind)


def level_of_run(dag_id: str) -> Level:
    """How bad it is when one fails: critical, but for what the watch measures by itself.

    Repositories out of step are a warning; WAL that does not arrive is critical once it costs more than the
    objective, whoever receives it; of drills the finding `drill` tells.
    """
    return Level.WARNING if procedure_of(dag_id) in _JUDGED_BY_EFFECT else Level.CRITICAL
