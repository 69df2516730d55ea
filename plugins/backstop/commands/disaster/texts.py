"""What is said when a recovery begins, while it goes on and when it ends: to stakeholders, and to everybody.

Templates are Jinja's, in its sandbox. One of targets.yaml that fails, then, does not silence anybody: the
default is sent in its place, and the message says so.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timezone
from typing import TYPE_CHECKING, Any

from backstop.commands.disaster import default_texts
from backstop.commands.disaster.words import inside, outside
from backstop.model.words import one_line, what_failed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backstop.model.situation import Situation

MOMENTS = ("start", "progress", "end")
IDENTIFIED, RESOLVED, INVESTIGATING = "identified", "resolved", "investigating"
"""States as status pages name them."""
LONGEST = 4000
"""What a page and a chat take."""


@dataclass(frozen=True, slots=True)
class TextSources:
    """Templates of targets.yaml by moment; what is not named has a default.

    :param body: of the status page's request, renders to JSON; None: the default.
    """

    stakeholders: Mapping[str, str] = field(default_factory=dict)
    public: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Public:
    """For everybody. :param until: by when it is back in nine of ten cases, ISO 8601; None: nobody knows.

    :param body: JSON that the status page is sent.
    """

    state: str
    title: str
    text: str
    until: str | None
    body: str


@dataclass(frozen=True, slots=True)
class Message:
    """One, in both wordings. :param doubts: templates that failed, a sentence each."""

    moment: str
    key: str
    subject: str
    text: str
    public: Public
    doubts: tuple[str, ...] = ()


def message_of(moment: str, situation: Situation, sources: TextSources, *, key: str = "") -> Message:
    """:param moment: one of :data:`MOMENTS`. :param key: which of several of that moment.

    Never fails for a template of targets.yaml.
    """
    doubts: list[str] = []
    told, public = inside(situation), outside(situation)
    subject = one_line(render(default_texts.SUBJECTS[moment], told))
    text = _text(f"texts.{moment}", sources.stakeholders, default_texts.STAKEHOLDERS, moment, told, doubts)
    return Message(
        moment=moment,
        key=key,
        subject=subject,
        text=text,
        public=_public(moment, situation, sources, public, doubts),
        doubts=tuple(doubts),
    )


def _public(
    moment: str, situation: Situation, sources: TextSources, known: dict[str, Any], doubts: list[str]
) -> Public:
    title = one_line(render(default_texts.TITLES[moment], known))
    text = _text(f"status_page.texts.{moment}", sources.public, default_texts.PUBLIC, moment, known, doubts)
    estimate = None if moment == "end" else situation.estimate
    until = (
        None
        if estimate is None
        else (situation.now + estimate.high).astimezone(timezone.utc).isoformat(timespec="seconds")
    )
    state = IDENTIFIED
    if moment == "end":
        state = RESOLVED if situation.complete else INVESTIGATING
    values = {**known, "state": state, "title": title, "text": text, "until": until}
    return Public(state, title, text, until, _body(sources.body, values, doubts))


def _body(template: str | None, values: Mapping[str, Any], doubts: list[str]) -> str:
    if template is not None:
        try:
            return json.dumps(json.loads(render(template, values)))
        except Exception as error:  # whatever somebody wrote there
            doubts.append(f"status_page.body: {what_failed(error)}; the default was sent")
    return render(default_texts.BODY, values)


def _text(
    name: str,
    own: Mapping[str, str],
    defaults: Mapping[str, str],
    moment: str,
    values: Mapping[str, Any],
    doubts: list[str],
) -> str:
    if moment in own:
        try:
            return _tidy(render(own[moment], values))
        except Exception as error:  # whatever somebody wrote there
            doubts.append(f"{name}: {what_failed(error)}; the default was sent")
    return _tidy(render(defaults[moment], values))


def render(template: str, values: Mapping[str, Any]) -> str:
    """:raises jinja2.TemplateError: it is wrong, names what is not known, or does what a text has no need to.

    Whatever else its expressions raise.
    """
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(template).render(**values)


def _tidy(text: str) -> str:
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]} …"
