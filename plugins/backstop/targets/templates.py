"""Texts of targets.yaml that are Jinja templates: what is wrong with them is said before they are needed."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from backstop.targets.fields import Text

KNOWN = frozenset({"incident", "estimate", "component", "option"})
OF_A_BODY = KNOWN | {"state", "title", "text", "until"}


def _template(text: str, known: frozenset[str] = KNOWN) -> str:
    from jinja2 import TemplateSyntaxError, meta
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    try:
        parsed = ImmutableSandboxedEnvironment().parse(text)
    except TemplateSyntaxError as error:
        raise ValueError(f"expected a Jinja template (line {error.lineno}: {error.message})") from None
    unknown = sorted(meta.find_undeclared_variables(parsed) - known)
    if unknown:
        raise ValueError(
            f"expected a template in which {', '.join(sorted(known))} are known, and not {', '.join(unknown)}"
        )
    return text


def _body(text: str) -> str:
    return _template(text, OF_A_BODY)


Template = Annotated[Text, AfterValidator(_template)]
BodyTemplate = Annotated[Text, AfterValidator(_body)]
