"""Which tables somebody means by ``lab.readings_*``: by psql's rules (docs, psql, Patterns). Pure."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

#: Schema and table, as the catalogue has them.
TableName = tuple[str, str]

_QUOTED = re.compile(r'"((?:[^"]|"")*)"')


@dataclass(frozen=True, slots=True)
class TablePattern:
    """``*`` is any text and ``?`` any character; in double quotes nothing is special and case counts."""

    text: str
    schema: re.Pattern[str] | None
    table: re.Pattern[str]
    is_glob: bool

    @classmethod
    def parse(cls, text: str) -> TablePattern:
        """:raises ConfigurationError: a quote is left open, a part is empty, or there are more than two."""
        parts, is_glob = _parts(text)
        if not 1 <= len(parts) <= 2 or not all(parts):
            raise ConfigurationError(
                f"{text!r} does not name a table",
                hint='write schema.table; in SQL\'s quotes: public."Table A"',
            )
        compiled = [re.compile(part, re.DOTALL) for part in parts]
        return cls(text, compiled[0] if len(compiled) == 2 else None, compiled[-1], is_glob)

    def matches(self, name: TableName) -> bool:
        return (self.schema is None or self.schema.fullmatch(name[0]) is not None) and (
            self.table.fullmatch(name[1]) is not None
        )


def find_tables(
    texts: Iterable[str], known: Collection[TableName], *, shown: Callable[[TableName], str]
) -> list[TableName]:
    """The tables that these names and patterns mean, sorted, each once.

    :param shown: how a name is written for people.
    :raises NotFoundError: one matches nothing; says which was meant.
    :raises ConfigurationError: a name without a schema is there in several; or nothing was asked for.
    """
    found: set[TableName] = set()
    for text in texts:
        pattern = TablePattern.parse(text)
        matching = sorted(name for name in known if pattern.matches(name))
        if not matching:
            raise NotFoundError(f"the backup has no table {text}", hint=_meant(text, known, shown))
        if len(matching) > 1 and not pattern.is_glob:
            raise ConfigurationError(
                f"there are several tables {text}: {', '.join(map(shown, matching))}",
                hint="name the schema too",
            )
        found.update(matching)
    if not found:
        raise ConfigurationError("no table was asked for", hint="name one or more tables")
    return sorted(found)


def _parts(text: str) -> tuple[list[str], bool]:
    """Regular expressions for schema and table, and whether anything in them is a wildcard."""
    parts, position, is_glob = [""], 0, False
    while position < len(text):
        character = text[position]
        quoted = _QUOTED.match(text, position)
        if quoted:
            parts[-1] += re.escape(quoted[1].replace('""', '"'))
            position = quoted.end()
            continue
        if character == '"':
            raise ConfigurationError(f"a quote is left open in {text!r}", hint="close it, or double it")
        if character == ".":
            parts.append("")
        elif character in "*?":
            parts[-1] += ".*" if character == "*" else "."
            is_glob = True
        else:
            # As in SQL: what is not quoted is lower case.
            parts[-1] += re.escape(character.lower())
        position += 1
    return parts, is_glob


def _meant(text: str, known: Collection[TableName], shown: Callable[[TableName], str]) -> str:
    spelt: dict[str, str] = {}
    for name in sorted(known):
        for form in (f"{name[0]}.{name[1]}", name[1]):
            spelt.setdefault(form.lower(), shown(name))
    plain = text.replace('"', "").lower()
    close = [plain] if plain in spelt else difflib.get_close_matches(plain, spelt, n=1, cutoff=0.6)
    if close:
        return f"did you mean {spelt[close[0]]}?"
    few = ", ".join(shown(name) for name in sorted(known)[:10])
    return f"it has: {few}{', …' if len(known) > 10 else ''}" if known else "it has no tables at all"
