"""The ``disaster`` section of a target: what happens when something is really lost."""

# ruff: noqa: TC001 pydantic evaluates the annotations
from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from backstop.targets.alerts import NotifierConfig
from backstop.targets.database import Consent
from backstop.targets.fields import Argv, ConnId, Duration, Text
from backstop.targets.probes import Probe
from backstop.targets.section import Section
from backstop.targets.templates import BodyTemplate, Template


class Texts(Section):
    """What is said, as Jinja templates: `incident`, `estimate`, `component`, `option` are known in them."""

    start: Template | None = None
    """Once it is known what is lost and how long it will take."""
    progress: Template | None = None
    """While it goes on."""
    end: Template | None = None
    """When it is over."""


class StatusPage(Section):
    """A page for those who wait: told by a request at start, progress and end."""

    conn_id: ConnId
    """Airflow connection of type HTTP: address, and as its password the token that is sent as
    `Authorization: Bearer`."""
    path: str = ""
    """Appended to the connection's address."""
    body: BodyTemplate | None = None
    """What is sent, a Jinja template that renders to JSON; default: {"state", "title", "text", "until"}."""
    texts: Texts = Field(default_factory=Texts)
    """What everybody may read; in these templates `incident` has neither names nor paths of yours."""
    timeout: Duration = timedelta(seconds=20)
    """Then it was not told; recovery goes on."""


class Infrastructure(Section):
    """What data is restored to: machines, disks, services."""

    prepare: list[Argv] = Field(default_factory=list)
    """Commands that bring it back."""
    check: list[Argv] = Field(default_factory=list)
    """Commands that exit 0 when it is there."""
    timeout: Duration = timedelta(minutes=30)
    """For each command."""


class Validation(Section):
    """How the recovered system is checked, through its own front door."""

    functionality: list[Probe] = Field(default_factory=list)
    """Does it do its work?"""
    consistency: list[Probe] = Field(default_factory=list)
    """Does its data agree with itself?"""
    integrations: list[Probe] = Field(default_factory=list)
    """Do others reach it, and it them?"""


class Disaster(Consent):
    """Assess, communicate, recover, validate."""

    break_glass: bool = False
    """Whoever asked may go on alone by saying why; that is recorded, and told."""
    stakeholders: list[NotifierConfig] = Field(default_factory=list)
    """Told at start, progress and end; `alert` is known in their templates, as in `alerts`."""
    status_page: StatusPage | None = None
    """Told too."""
    texts: Texts = Field(default_factory=Texts)
    """What is said; each has a default."""
    progress_every: Duration = timedelta(minutes=15)
    """How often those who wait are told how it stands."""
    infrastructure: Infrastructure = Field(default_factory=Infrastructure)
    """Before anything is recovered."""
    order: Annotated[list[Text], Field(min_length=1)] | None = None
    """In which order components come back: database, tree:<name>; default: configuration-like trees (on
    change) first, then the database, then the rest."""
    database: Literal["cluster", "dump"] | None = None
    """Whether the whole server is recovered, or one database from a dump; default: cluster where there is
    one."""
    validation: Validation = Field(default_factory=Validation)
    """After it."""
