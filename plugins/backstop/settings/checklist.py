"""What targets.yaml says of a drill's checklist, as settings of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.settings.database import as_queries
from backstop.wiring import find_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.commands.checklist.restored import ChecklistSettings
    from backstop.commands.questions import Query
    from backstop.targets import Configuration


def checklist_settings(
    configuration: Configuration, target: str, *, secrets: Sequence[str] = ()
) -> ChecklistSettings:
    """How the application on a restored copy is started and asked.

    :param secrets: texts that no sentence of a report repeats. :raises NotFoundError: no such target.
    """
    from backstop.commands.checklist.restored import ChecklistSettings

    drill = find_target(configuration, target).drill
    return ChecklistSettings(
        application=drill.application,
        probes=drill.probes,
        validator_timeout=drill.timeout,
        secrets=secrets,
    )


def validators(configuration: Configuration, target: str, tree: str) -> Sequence[Sequence[str]]:
    """Commands that look at restored files of a tree. :raises NotFoundError: no such target."""
    return find_target(configuration, target).drill.validators.get(tree, ())


def ledger_queries(configuration: Configuration, target: str, component: str) -> Sequence[Query]:
    """What is asked of the restored database: of a recovered cluster ``cluster.recovery.queries`` and the
    database's own ``verify.queries``, of a dump only these."""
    section = find_target(configuration, target)
    own = as_queries(section.database.verify.queries)
    recovery = section.cluster.recovery if section.cluster else None
    if component != "base" or recovery is None:
        return own
    return tuple({(query.sql, query.name): query for query in (*as_queries(recovery.queries), *own)}.values())
