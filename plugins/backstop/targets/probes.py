"""Questions to a system that runs: a command, SQL, or a page, and what should come back."""

# ruff: noqa: TC001 pydantic evaluates the annotations
from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag

from backstop.targets.fields import Answer, Argv, Duration, Text
from backstop.targets.section import Section


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")) or "@" in text.split("/", 3)[2]:
        raise ValueError("expected an address such as http://127.0.0.1:8000/health, without user name")
    return text


class CommandProbe(Section):
    """A program that must exit 0."""

    name: Text
    """For reports."""
    command: Argv
    """A list of arguments; no shell. In a drill the environment says where everything is: PGHOST, PGPORT,
    PGUSER, PGDATABASE, and BACKSTOP_TREE_<NAME> for each tree."""
    timeout: Duration = timedelta(seconds=30)
    """Then it has failed."""


class SqlProbe(Section):
    """A question to the database and its answer."""

    name: Text
    """For reports."""
    sql: Text
    expect: Answer
    """One value, or a list of rows."""
    timeout: Duration = timedelta(seconds=30)
    """Then it has failed."""


class HttpProbe(Section):
    """A page that must answer."""

    name: Text
    """For reports."""
    url: Annotated[str, AfterValidator(_url)]
    """What is asked for, by GET; redirects are answers, and are not followed."""
    status: Annotated[int, Field(ge=100, le=599)] = 200
    """What it must answer with."""
    contains: Text | None = None
    """What must stand in it."""
    timeout: Duration = timedelta(seconds=30)
    """Until it answers so; it is asked again meanwhile."""


def _probe_form(raw: Any) -> str:
    keys = raw if isinstance(raw, Mapping) else ()
    return "<sql>" if "sql" in keys else "<http>" if "url" in keys else "<command>"


Probe = Annotated[
    Annotated[CommandProbe, Tag("<command>")]
    | Annotated[SqlProbe, Tag("<sql>")]
    | Annotated[HttpProbe, Tag("<http>")],
    Discriminator(_probe_form),
]
