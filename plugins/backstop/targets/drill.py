"""The ``drill`` section of a target: disasters that are rehearsed."""

# ruff: noqa: TC001 pydantic evaluates the annotations
from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from backstop.model.scenario import Scenario
from backstop.targets.fields import AbsolutePath, Argv, Duration, Name, Schedule
from backstop.targets.probes import Probe
from backstop.targets.section import Section

ROTATE = "rotate"


def _scenario(text: str) -> str:
    return text if text == ROTATE else str(Scenario.parse(text))


class DrillApplication(Section):
    """The application on what was restored, for the probes. Its environment is theirs."""

    start: list[Argv] = Field(default_factory=list)
    """Commands that start it and return; nothing of it may reach the live system."""
    stop: list[Argv] = Field(default_factory=list)
    """Commands that stop it."""
    timeout: Duration = timedelta(minutes=1)
    """For each command."""


class DrillSignOff(Section):
    """Somebody looks at what came of it and says so."""

    required: bool = True
    """False: a drill ends with its record, unsigned."""
    within: Duration = timedelta(days=7)
    """Unanswered for so long the run fails; the record of the drill is there all the same."""


class Drill(Section):
    """Everything is restored elsewhere as if the original were gone, checked, measured, taken down."""

    schedule: Schedule | None = None
    """When, cron fields in UTC, such as "0 6 1 * *"; null: on demand."""
    scenario: Annotated[str, AfterValidator(_scenario)] = ROTATE
    """What is lost: all, database, tree:<name>, repository:<name>, ransomware, airflow; rotate: another one
    each time."""
    directory: AbsolutePath | None = None
    """Everything is restored below it; needs room for database and trees. Default: the scratch folder of the
    machine that runs the drill."""
    due_every: Duration = timedelta(days=35)
    """A target whose last drill that passed is older than this is a warning, where a schedule is set."""
    application: DrillApplication = Field(default_factory=DrillApplication)
    """Started on the restored copy before the probes."""
    probes: list[Probe] = Field(default_factory=list)
    """Whether the application works on what was restored."""
    validators: dict[Name, list[Argv]] = Field(default_factory=dict)
    """By tree: commands that must exit 0, such as [nginx, -t, -c, "{root}/etc/nginx/nginx.conf"]; {root} is
    the folder under which the tree's files have their whole paths."""
    timeout: Duration = timedelta(minutes=1)
    """For each validator."""
    sign_off: DrillSignOff = Field(default_factory=DrillSignOff)
    """Who closes it."""
