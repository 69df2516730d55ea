"""The application that a checklist starts on what was restored: remembered, until it has been stopped.

Whoever kills the checklist keeps it from stopping what it started; then the teardown does, or the next drill.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.commands.application import run_commands
from backstop.commands.probing import restored_environment
from backstop.commands.target_command import environment_elsewhere
from backstop.errors import CommandError
from backstop.postgres.connection import ClusterConnection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from backstop.commands.drill.restored import RestoredComponent
    from backstop.targets.drill import DrillApplication

_NOTE = "application.json"


@contextmanager
def remembered(folder: Path, application: DrillApplication, environment: Mapping[str, str]) -> Iterator[None]:
    """For as long as the checklist may have it run. :param folder: of the drill."""
    if not application.start:
        yield
        return
    note = folder / _NOTE
    note.write_text(json.dumps(dict(environment)), encoding="utf-8")
    try:
        yield
    finally:
        # However the block ended, the checklist has stopped it, or said that it cannot be.
        note.unlink(missing_ok=True)


def environment_of(restored: Sequence[RestoredComponent]) -> dict[str, str]:
    """Where it finds what was restored."""
    back = [one for one in restored if not one.failure]
    trees = {one.component.partition(":")[2]: Path(one.root) for one in back if one.root}
    servers = [
        ClusterConnection(host=one.socket, port=one.port, user=one.user, dbname=one.database)
        for one in back
        if one.socket
    ]
    return restored_environment(servers[0] if servers else None, trees)


def stop_forgotten(folder: Path, application: DrillApplication) -> tuple[str, ...]:
    """Stop what a killed checklist left running, if anything. :returns: that it cannot be stopped."""
    try:
        environment = json.loads((folder / _NOTE).read_bytes())
    except (OSError, ValueError):
        return ()
    try:
        run_commands(
            application.stop,
            purpose="stop",
            timeout=application.timeout,
            section="drill.application",
            environment=environment_elsewhere(environment),
        )
    except CommandError as error:
        return (f"the application that drill {folder.name} started may still run: {error.message}",)
    (folder / _NOTE).unlink(missing_ok=True)
    return ()
