"""Turns a view into HTML. Whatever a record says is text of others: escaped, printable, and bounded."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.model.figures import duration_in_words, exact_day, size_in_words
from backstop.model.words import printable
from backstop.reports.judging import Judged, outcome_judged
from backstop.reports.naming import component_in_words, step_in_words

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
LONGEST = 4000
"""Characters of one text that are shown; the record has all of them."""


@lru_cache(1)
def stylesheet() -> str:
    """Of every report: inside each that stands by itself, and served beside those within another page."""
    return (TEMPLATES / "report.css").read_text()


@lru_cache(1)
def content_security_policy() -> str:
    """What a report may do in a browser: look as its own stylesheet says, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(stylesheet().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def render_page(template: str, **variables: Any) -> str:
    """A whole page, self-contained."""
    return (
        _environment()
        .get_template(template)
        .render(standalone=True, stylesheet=stylesheet(), policy=content_security_policy(), **variables)
    )


def render_part(template: str, **variables: Any) -> Markup:
    """The same without what surrounds it, to stand in a page of somebody else's."""
    from markupsafe import Markup

    # Escaped by the template.
    return Markup(_environment().get_template(template).render(standalone=False, **variables))  # noqa: S704 # nosec B704


@lru_cache(1)
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"judged": Judged, "outcome": outcome_judged}
    environment.filters |= {
        "bytes": size_in_words,
        "component": component_in_words,
        "count": _count,
        "day": exact_day,
        "duration": _duration,
        "exact": _exact,
        "iso": _iso,
        "step": step_in_words,
    }
    return environment


def shown(value: Any) -> Any:
    """What stands in a page for a value: text without what cannot be printed, and not without an end."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    text = (
        value if len(value) <= LONGEST else f"{value[:LONGEST]} … ({len(value):,} characters in the record)"
    )
    return "\n".join(printable(line.replace("\t", " ")) for line in text.splitlines())


def _count(value: Any) -> str:
    """``18,204,118``; what is no number, as it is."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _duration(value: timedelta | float) -> str:
    return duration_in_words(value if isinstance(value, timedelta) else timedelta(seconds=value))


def _exact(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def _iso(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
