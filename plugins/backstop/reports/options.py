"""What was found damaged, which ways back there were, and which was taken.

Read from an assessment, which another version may have written otherwise: what is not there, or is not of its
kind, is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.model.figures import duration_in_words
from backstop.reports.naming import component_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Found:
    """One component as it was found."""

    component: str
    state: str
    sentence: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """One way back. :param parts: what it brings back from where, a sentence each."""

    name: str
    title: str
    parts: tuple[str, ...]
    forecast: str
    loss: str
    remarks: tuple[str, ...]
    recommended: bool
    chosen: bool


@dataclass(frozen=True, slots=True)
class Assessed:
    """:param chosen: the option that was taken, by its name; empty: none so far."""

    components: tuple[Found, ...]
    options: tuple[Option, ...]
    chosen: str


def assessed(assessment: Any, plan: Mapping[str, Any]) -> Assessed:
    """:param assessment: and :param plan: as the commands of a disaster write them."""
    found = assessment if isinstance(assessment, dict) else {}
    chosen = _text(plan.get("option"))
    return Assessed(
        tuple(_found(one) for one in _rows(found, "components")),
        tuple(_option(one, chosen) for one in _rows(found, "options")),
        chosen,
    )


def _found(one: Mapping[str, Any]) -> Found:
    return Found(
        _text(one.get("component")),
        _text(one.get("state")),
        _text(one.get("sentence")),
        _texts(one.get("details")),
    )


def _option(one: Mapping[str, Any], chosen: str) -> Option:
    name = _text(one.get("id", one.get("option")))
    return Option(
        name,
        _text(one.get("title")) or name,
        tuple(_part(part) for part in _rows(one, "parts")),
        _interval(one),
        _seconds(one.get("loss_seconds")),
        (*_texts(one.get("impossible")), *_texts(one.get("risk")), *_texts([one.get("because")])),
        one.get("recommended") is True,
        bool(name) and name == chosen,
    )


def _part(one: Mapping[str, Any]) -> str:
    said = (
        f"{component_in_words(_text(one.get('component')))} from {_text(one.get('repository')) or 'nowhere'}"
    )
    for name, words in (("label", "{}"), ("recovered_to", "to {}"), ("loss_seconds", "losing {}")):
        value = _seconds(one.get(name)) if name.endswith("_seconds") else _text(one.get(name))
        if value:
            said += f", {words.format(value)}"
    return said + (", proven" if one.get("proven") is True else "")


def _interval(one: Mapping[str, Any]) -> str:
    median, low, high = (_seconds(one.get(f"{name}_seconds")) for name in ("median", "low", "high"))
    return f"{median}, {low} to {high}" if median and low and high else median


def _seconds(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e9:
        return ""
    return duration_in_words(timedelta(seconds=value))


def _rows(found: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    rows = found.get(name)
    return [one for one in rows if isinstance(one, dict)] if isinstance(rows, list | tuple) else []


def _text(value: Any) -> str:
    return (
        value
        if isinstance(value, str)
        else ""
        if value is None or isinstance(value, dict | list)
        else str(value)
    )


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(filter(None, map(_text, value))) if isinstance(value, list | tuple) else ()
