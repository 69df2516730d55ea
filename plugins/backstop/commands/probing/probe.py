"""Runs probes of targets.yaml (``targets/probes.py``). None raises, none stops the next."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.probing.command import ask_command
from backstop.commands.probing.http import ask_page
from backstop.commands.probing.sql import ask_database
from backstop.errors import BackstopError
from backstop.model.measured import CheckedItem, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backstop.postgres.connection import ClusterConnection
    from backstop.targets.probes import Probe


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where probes are asked.

    :param environment: of commands, besides what the worker's own has that is nobody's secret.
    :param database: what SQL is asked of; opened for each question. None: there is none.
    :param secrets: texts that appear in no sentence, whatever a command writes.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    database: Callable[[], ClusterConnection] | None = None
    secrets: Sequence[str] = field(default=(), repr=False)


def run_probes(
    probes: Sequence[Probe], *, item: str, surroundings: Surroundings, component: str = ""
) -> tuple[CheckedItem, ...]:
    """Every one of them, in their order. :param item: of the checklist, that they are lines of."""
    return tuple(
        run_probe(probe, item=item, surroundings=surroundings, component=component) for probe in probes
    )


def run_probe(probe: Probe, *, item: str, surroundings: Surroundings, component: str = "") -> CheckedItem:
    """Ask, and say in one sentence what came of it; what a failed command wrote last is in the details."""
    from backstop.targets.probes import HttpProbe, SqlProbe

    began = time.monotonic()
    try:
        if isinstance(probe, SqlProbe):
            outcome, sentence, details = ask_database(probe, surroundings.database)
        elif isinstance(probe, HttpProbe):
            outcome, sentence, details = ask_page(probe, secrets=surroundings.secrets)
        else:
            outcome, sentence, details = ask_command(
                probe, environment=surroundings.environment, secrets=surroundings.secrets
            )
    except (BackstopError, OSError) as error:
        outcome, sentence, details = Outcome.FAILED, f"probe {probe.name!r} could not be asked: {error}", ()
    return CheckedItem(
        item=item,
        component=component,
        outcome=outcome,
        sentence=sentence,
        details=details,
        seconds=round(time.monotonic() - began, 3),
    )
