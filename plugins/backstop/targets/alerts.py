"""The ``alerts`` section: who is told of what the watch finds and of runs that failed."""

# ruff: noqa: TC001 pydantic evaluates the annotations
from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from backstop.targets.fields import Duration, Name
from backstop.targets.section import Section


def _class_path(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", text):
        raise ValueError("expected the path of a class, package.module.Notifier")
    return text


class NotifierConfig(Section):
    """An Airflow notifier; every other key is an argument of its class, and templated."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    notifier: Annotated[str, AfterValidator(_class_path)]
    """Its class: airflow.providers.smtp.notifications.smtp.SmtpNotifier."""
    only: list[Name] = Field(default_factory=list)
    """Targets it is told of; empty: all of them."""

    @property
    def arguments(self) -> dict[str, Any]:
        """What its class is made with."""
        return dict(self.model_extra or {})


class Repeat(Section):
    """How often people are reminded of what stays wrong."""

    critical: Duration = timedelta(hours=4)
    """Of what is critical."""
    warning: Duration = timedelta(hours=24)
    """Of a warning."""


class Alerts(Section):
    """Who is told, and how often. Secrets belong in connections, never here."""

    critical: list[NotifierConfig] = Field(default_factory=list)
    """Told at once of what is critical, as most failed runs are; empty: those of `warning`."""
    warning: list[NotifierConfig] = Field(default_factory=list)
    """Told of warnings that last; empty: they are shown, and nobody is told."""
    warn_after: Duration = timedelta(minutes=8)
    """How long a warning must last before somebody is told."""
    close_after: Duration = timedelta(minutes=8)
    """How long something must not be found any more before it is over."""
    repeat: Repeat = Field(default_factory=Repeat)
    """What stays wrong is told again, this rarely."""
    fold_above: Annotated[int, Field(ge=1)] = 5
    """More news than this at once become one message a level."""
