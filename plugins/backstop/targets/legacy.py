"""The ``legacy`` section of a target: backups that scripts made before Backstop."""

# ruff: noqa: TC001 pydantic evaluates the annotations
from __future__ import annotations

import re
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from backstop.model.legacy import LegacyNames
from backstop.targets.fields import Schedule
from backstop.targets.section import Section


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected a time zone such as UTC or Europe/Berlin") from None
    return text


def _names(text: str) -> str:
    LegacyNames(text, ZoneInfo("UTC"))
    return text


def _place(text: str) -> str:
    if re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/\n]+)*", text) and not re.search(
        r"/\.{1,2}(/|$)", text
    ):
        return text
    if not text.startswith("/") or "\n" in text or ".." in text.split("/") or not text.strip("/"):
        raise ValueError(
            "expected the absolute path of a directory, or s3://<bucket>/<prefix> without '/' at its end"
        )
    return "/" + re.sub("/+", "/", text).strip("/")


TimeZone = Annotated[str, AfterValidator(_zone)]
FileNames = Annotated[str, AfterValidator(_names)]
Place = Annotated[str, AfterValidator(_place)]


class LegacyFiles(Section):
    """Files of one kind, and where they are."""

    names: FileNames | None = None
    """Their names, the time in them as `date` takes it. Default: `full_%Y%m%d_%H%M%S.sql.gz` of the database,
    `<tree>_%Y%m%d_%H%M%S.tar.gz` of a file tree. Nothing else there is ever touched."""
    places: Annotated[dict[str, Place], Field(min_length=1)]
    """By repository: a directory, or `s3://bucket/prefix` (with the endpoint and the credentials of that
    repository), whose files that repository's backups take the place of."""


class Legacy(Section):
    """Backups that scripts made before Backstop: plain dumps (`pg_dump | gzip`) and `tar -czf` archives."""

    timezone: TimeZone = "UTC"
    """Of the host they were made on: the times in their names are local."""
    database: LegacyFiles | None = None
    """Plain dumps of the target's database."""
    trees: dict[str, LegacyFiles] = Field(default_factory=dict)
    """Archives, by the file tree whose backups take their place."""
    schedule: Schedule | None = None
    """When to prove and retire them, cron fields in UTC; null: only by hand."""
    retire: bool = False
    """Whether the DAG deletes what retention lets go; false: it only says what that would be."""
