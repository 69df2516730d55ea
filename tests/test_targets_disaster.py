"""What targets.yaml says of telling those who wait in a disaster."""

from __future__ import annotations

import pytest

from backstop.settings.communication import text_sources
from backstop.targets.check import check_text
from tests.test_targets import VALID


def with_disaster(text: str) -> str:
    """Below the last target of a file that is right."""
    lines = "".join(f"      {line}\n" for line in text.splitlines())
    return VALID + f"    disaster:\n{lines}"


def mistakes_of(text: str) -> list[str]:
    return [str(one) for one in check_text(with_disaster(text))[1]]


def test_texts_for_stakeholders_and_for_everybody_are_told_apart():
    configuration, mistakes = check_text(
        with_disaster(
            """\
texts: {start: "{{ incident.what }}"}
status_page: {conn_id: status, path: /v1, texts: {end: "over"}, body: '{"t": {{ text | tojson }}}'}
"""
        )
    )

    assert mistakes == []
    assert configuration is not None
    (target,) = configuration.targets
    sources = text_sources(configuration, target)
    assert sources.stakeholders == {"start": "{{ incident.what }}"}
    assert sources.public == {"end": "over"}
    assert sources.body == '{"t": {{ text | tojson }}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('texts: {start: "{{ incident.what }"}', "expected a Jinja template (line 1"),
        ('texts: {end: "{{ incidnt.what }}"}', "and not incidnt"),
        ('texts: {end: "{{ text }}"}', "and not text"),
        ("status_page: {conn_id: s, body: '{{ nothing }}'}", "and not nothing"),
        ("stakeholders: [{notifier: a.B, token: abc}]", "secrets do not belong in this file"),
        ("stakeholders: [{notifier: a.B, only: [nobody]}]", "there is no target 'nobody'"),
    ],
)
def test_what_is_wrong_is_said_before_it_is_needed(text, said):
    (mistake,) = mistakes_of(text)

    assert said in mistake
