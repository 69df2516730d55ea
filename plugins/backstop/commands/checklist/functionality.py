"""Test application functionality: started on what was restored, asked by the target's probes, stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.application import run_commands
from backstop.commands.checklist.line import not_applicable, not_done, passed, tried
from backstop.commands.probing import Surroundings, restored_environment, run_probe
from backstop.commands.target_command import environment_elsewhere
from backstop.model.measured import CheckedItem, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from backstop.commands.checklist.restored import ChecklistSettings, RestoredDatabase, RestoredFiles
    from backstop.postgres.connection import ClusterConnection

ITEM = "functionality"


def check_functionality(
    database: RestoredDatabase | None,
    served: ClusterConnection | None,
    trees: Sequence[RestoredFiles],
    why: str,
    *,
    settings: ChecklistSettings,
) -> Iterator[CheckedItem]:
    """A line for its start, one a probe, one for its stop. :param why: the database is not served."""
    if not (settings.application.start or settings.probes):
        yield not_applicable(ITEM, "", "targets.yaml names neither probes nor how to start the application")
    elif database is None:
        sentence = "only files were lost: the application is tested where the database is restored"
        yield not_applicable(ITEM, "", sentence)
    elif served is None:
        yield not_done(ITEM, "", why)
    else:
        connection = served.with_database(database.dbname)
        places = {tree.name: tree.root for tree in trees if not tree.failure}
        environment = restored_environment(connection, places) | dict(settings.environment)
        yield from _tested(connection, environment, settings)


def _tested(
    connection: ClusterConnection, environment: Mapping[str, str], settings: ChecklistSettings
) -> Iterator[CheckedItem]:
    surroundings = Surroundings(environment, lambda: connection, settings.secrets)
    lines: list[CheckedItem] = []
    try:
        if settings.application.start:
            lines.append(_commanded("start", environment, settings))
        started = all(line.outcome is Outcome.PASSED for line in lines)
        for probe in settings.probes:
            if started or hasattr(probe, "sql"):
                lines.append(run_probe(probe, item=ITEM, surroundings=surroundings))
            else:
                because = f"probe {probe.name!r} was not asked: the application did not start"
                lines.append(not_done(ITEM, "", because))
    finally:
        # Half of it may run although starting it failed; and nothing of it may outlive the drill.
        if settings.application.stop:
            lines.append(_commanded("stop", environment, settings))
    yield from lines


def _commanded(purpose: str, environment: Mapping[str, str], settings: ChecklistSettings) -> CheckedItem:
    def look() -> CheckedItem:
        run_commands(
            getattr(settings.application, purpose),
            purpose=purpose,
            timeout=settings.application.timeout,
            section="drill.application",
            environment=environment_elsewhere(environment),
            secrets=settings.secrets,
        )
        words = {"start": "started", "stop": "stopped"}[purpose]
        return passed(ITEM, "", f"the application was {words}, on what was restored")

    return tried(ITEM, "", look)
