"""Turns what is known into HTML. Everything that is not markup of ours is escaped."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.model.figures import (
    clock_time,
    duration_in_words,
    exact_day,
    exact_time,
    in_short,
    size_in_words,
)

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
"""To be served at ``static`` below the pages' root."""


@lru_cache(1)
def templates() -> jinja2.Environment:
    """The environment of every page; a variable that is not given is an error, never an empty word."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "ago": _ago,
        "bytes": size_in_words,
        "clock": clock_time,
        "day": exact_day,
        "duration": _duration,
        "exact": exact_time,
        "iso": _iso,
        "milliseconds": _milliseconds,
    }
    return environment


def render(template: str, *, root: str, now: datetime, **variables: Any) -> str:
    """One page.

    :param root: where the pages are mounted, without a slash at its end: ``/backstop``.
    :param now: the moment that it shows.
    """
    return templates().get_template(template).render(root=root, now=now, **variables)


def _ago(moment: datetime, now: datetime) -> str:
    return f"{in_short(now - moment)} ago" if moment <= now else f"in {in_short(moment - now)}"


def _duration(value: timedelta | float) -> str:
    return duration_in_words(value if isinstance(value, timedelta) else timedelta(seconds=value))


def _iso(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
