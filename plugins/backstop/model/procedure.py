"""What a DAG's id says: which procedure it is, of which target, and what it makes."""

from __future__ import annotations

from backstop.model.finding import Level

_KINDS = {"back_up_database": "dump", "take_base_backup": "base"}
_MENDED_BY_ITSELF = ("sync_repositories",)


def procedure_of(dag_id: str) -> str:
    """``back_up_database__calibrify`` to ``back_up_database``."""
    return dag_id.partition("__")[0]


def kind_of_run(dag_id: str) -> str | None:
    """``dump``, ``base`` or ``tree:<name>``, if runs of this DAG make backups; else None."""
    procedure, _, rest = dag_id.partition("__")
    if procedure == "back_up_files":
        tree = rest.partition("__")[2]
        return f"tree:{tree}" if tree else None
    return _KINDS.get(procedure)


def level_of_run(dag_id: str) -> Level:
    """How bad it is when one fails: repositories out of step are a warning, all else is critical."""
    return Level.WARNING if procedure_of(dag_id) in _MENDED_BY_ITSELF else Level.CRITICAL
