"""What PostgreSQL's tools say on standard error, without what they quote: secrets, and rows of tables.

It ends up in logs, in error messages and in proofs, which lie in plain text beside the backups. The server's
DETAIL and CONTEXT quote rows (``Failing row contains (…)``, ``COPY t, line 7: "…"``), and a value may go on
over several lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Role verifiers, passwords in ALTER ROLE, in connection strings and in URIs.
_SECRETS = (
    (re.compile(r"SCRAM-SHA-256\$[^'\s]*"), "SCRAM-SHA-256$********"),
    (re.compile(r"\bmd5[0-9a-f]{32}\b"), "md5********"),
    (re.compile(r"(?i)(password\s*=\s*)(?!')[^\s';]+"), r"\1********"),
    (re.compile(r"(?i)(password\s*=?\s*)('(?:[^']|'')*'?|[^\s';]{4,}(?=\s*$))"), r"\1'********'"),
    (re.compile(r"(?i)(postgres(?:ql)?://[^:/@\s]+:)[^@\s]+@"), r"\1********@"),
)
_DETAIL = re.compile(r"(?P<known>.*?\bDETAIL:\s+(?:Key \(.*?\)(?==))?).*")
_CONTEXT = re.compile(r"(?P<known>.*?\bCONTEXT:\s+[^\"']*?(?:\"[^\"]*\"[^\"':]*)?)(?::\s.*|\s[\"'].*)?")
# ERROR:  invalid input syntax for type integer: "4711"
_QUOTED_LAST = re.compile(r"(?P<known>.*\b(?:ERROR|FATAL|PANIC):\s.*?:\s)\".*")
_QUOTED_VALUE = re.compile(r"(?P<known>.*\bERROR:\s+value )\".*?\"(?P<rest> is out of range.*)")
# How a line begins that starts something new; any other goes on with what was before it.
_BEGINS = re.compile(
    r"(?:pg_\w+|psql|initdb|postgres): |Command was: "
    r"|(?:ERROR|FATAL|PANIC|WARNING|NOTICE|HINT|DETAIL|CONTEXT|LOCATION|QUERY):"
)

# PL/pgSQL's RAISE: the message and the hint are a function's own, made of whatever it was given.
_RAISED = re.compile(r".*\bCONTEXT:\s.*\bfunction\b.*\bat RAISE\b.*")
_OWN_WORDS = re.compile(r"(?P<known>.*?\b(?:ERROR|FATAL|PANIC|WARNING|NOTICE|HINT):\s+).+")
_SAID_BY_SERVER = re.compile(r".*?\b(?:ERROR|FATAL|PANIC):\s")


def without_raised_words(lines: Iterable[str]) -> list[str]:
    """The lines, without what functions of the database have said themselves: it may quote rows."""
    lines = list(lines)
    shown = list(lines)
    for index, line in enumerate(lines):
        if not _RAISED.fullmatch(line):
            continue
        # Back to where this error began; lines in between go on with its message.
        begins = next(
            (before for before in range(index, -1, -1) if _SAID_BY_SERVER.match(lines[before])), None
        )
        for before in range(0 if begins is None else begins, index):
            match = _OWN_WORDS.fullmatch(lines[before])
            if match:
                shown[before] = f"{match['known']}…"
            elif not _BEGINS.match(lines[before]):
                shown[before] = ""
    return [line for line in shown if line]


class Redactor:
    """Takes a tool's lines one after another; what it gives back may be shown to anybody who runs it."""

    def __init__(self) -> None:
        self._quoting = False

    def line(self, text: str) -> str:
        """The line without what it quotes; empty when it is nothing but the rest of a quoted value."""
        if self._quoting and not _BEGINS.match(text):
            return ""
        self._quoting = False
        for pattern in (_DETAIL, _CONTEXT, _QUOTED_VALUE, _QUOTED_LAST):
            match = pattern.fullmatch(text)
            if match is not None:
                known, rest = match["known"], match.groupdict().get("rest") or ""
                if len(known) + len(rest) < len(text):
                    text = f"{known.rstrip()} …{rest}"
                    self._quoting = True
                break
        for pattern, replacement in _SECRETS:
            text = pattern.sub(replacement, text)
        return text
