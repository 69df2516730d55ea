"""Which definitions of a dump only a superuser may restore, and which are given to another role. Pure.

The rules are those of the CREATE commands in PostgreSQL's reference; where one has no choice but to read a
definition's text, it is as pg_dump writes it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backstop.postgres.toc_entries import EntryText

_NAME = r'(?:"(?:[^"]|"")*"|[^\s"]+)'
_ALWAYS = frozenset(
    {
        "ACCESS METHOD",
        "EVENT TRIGGER",
        "FOREIGN DATA WRAPPER",
        "OPERATOR CLASS",
        "OPERATOR FAMILY",
        "PUBLICATION TABLES IN SCHEMA",
        "SHELL TYPE",
        "TEXT SEARCH PARSER",
        "TEXT SEARCH TEMPLATE",
    }
)
_PUBLISHES_ALL = re.compile(rf"^CREATE PUBLICATION {_NAME} FOR ALL (?:TABLES|SEQUENCES)\b", re.MULTILINE)
_LANGUAGE_HANDLER = re.compile(rf"^CREATE (?:TRUSTED )?PROCEDURAL LANGUAGE {_NAME} HANDLER\b", re.MULTILINE)
_NO_FUNCTION = re.compile(r"^CREATE CAST \(.*\) WITHOUT FUNCTION\b", re.MULTILINE)
_BASE_TYPE = re.compile(r"^    INTERNALLENGTH = ", re.MULTILINE)
_INTERNAL_STATE = re.compile(r"^    (?:M?STYPE) = internal\b", re.MULTILINE)
# The line below the arguments; what a body says further down is no concern.
_FUNCTION_LINE = re.compile(rf"^    LANGUAGE (?P<language>{_NAME})(?P<rest>.*)$", re.MULTILINE)
_EXTENSION = re.compile(rf"^CREATE EXTENSION (?:IF NOT EXISTS )?(?P<name>{_NAME})", re.MULTILINE)
# Without a handler it is an extension under another name (docs, CREATE LANGUAGE).
_LANGUAGE = re.compile(rf"^CREATE OR REPLACE PROCEDURAL LANGUAGE (?P<name>{_NAME});", re.MULTILINE)
_OWNED = re.compile(r"^ALTER .* OWNER TO .*;$", re.MULTILINE)
_OTHER_GRANTOR = re.compile(rf"^SET SESSION AUTHORIZATION (?P<name>{_NAME});$", re.MULTILINE)


def needs_superuser(entry: EntryText) -> bool:
    """Whether its definition is refused to everybody else, whatever they were granted."""
    kind, sql = entry.kind, entry.sql
    if kind in ("FUNCTION", "PROCEDURE"):
        return _is_privileged_function(sql)
    patterns = {
        "PUBLICATION": _PUBLISHES_ALL,
        "PROCEDURAL LANGUAGE": _LANGUAGE_HANDLER,
        "CAST": _NO_FUNCTION,
        "TYPE": _BASE_TYPE,
        "AGGREGATE": _INTERNAL_STATE,
    }
    return kind in _ALWAYS or (kind in patterns and patterns[kind].search(sql) is not None)


def extension_of(entry: EntryText) -> str | None:
    """The extension that the entry creates, if it does."""
    pattern = {"EXTENSION": _EXTENSION, "PROCEDURAL LANGUAGE": _LANGUAGE}.get(entry.kind)
    match = pattern.search(entry.sql) if pattern else None
    return _unquoted(match["name"]) if match else None


def given_to(entry: EntryText) -> str | None:
    """The role that one must be able to become in order to restore it: an owner, whose defaults they are."""
    if entry.kind == "DEFAULT ACL" or (
        entry.kind not in ("COMMENT", "SECURITY LABEL", "ACL") and _OWNED.search(entry.sql)
    ):
        return entry.owner
    return None


def granted_by(entry: EntryText) -> str | None:
    """Who granted something in the place of its owner: a restore does that in their name, as superuser."""
    match = _OTHER_GRANTOR.search(entry.sql) if entry.kind in ("ACL", "DEFAULT ACL") else None
    return _unquoted(match["name"]) if match else None


def _is_privileged_function(sql: str) -> bool:
    match = _FUNCTION_LINE.search(sql)
    return match is not None and (match["language"] in ("c", "internal") or " LEAKPROOF" in match["rest"])


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.rstrip(";")
