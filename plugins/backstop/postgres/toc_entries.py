"""Reading what pg_restore prints about a dump: its list, and one entry's SQL after another. Pure.

pg_restore writes a comment above each entry's SQL. A function's body or a comment's text may hold the same
lines, so these comments alone prove nothing: :func:`split_entries` compares them with the list and says when
they do not tally, and the caller then asks again for fewer entries.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError
from backstop.model.fingerprint import SequenceValue
from backstop.postgres.names import normalize_qualified_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINE = re.compile(r"(\d+); (\d+) (\d+) (.*)", re.DOTALL)
_COMMENT = re.compile(r"^--\n-- Name: (.*)\n--\n\n", re.MULTILINE)
_FOOTER = "--\n-- PostgreSQL database dump complete\n--\n"
# pg_restore changes session settings between entries, before the comment of the entry that needs them.
_SETTING = re.compile(r"SET [a-z_]+ = [^\n]*;")
_ACCESS_METHOD = re.compile(r"^SET default_table_access_method = (.*);$", re.MULTILINE)
_SETVAL = re.compile(r"^SELECT pg_catalog\.setval\('((?:[^']|'')*)', (-?\d+), (true|false)\);$", re.MULTILINE)

_PG_LARGEOBJECT, _PG_SUBSCRIPTION, _PG_DATABASE, _PG_NAMESPACE = 2613, 6100, 1262, 2615
# An entry with a catalogue of its own (tableoid) is a definition; among those without, these are not. The
# number keeps a table in the schema "DATA" apart from TABLE DATA.
_TABLE_DATA = "TABLE DATA "
_SEQUENCE_SET = "SEQUENCE SET "
_NOT_SCHEMA = (
    _TABLE_DATA,
    _SEQUENCE_SET,
    "BLOBS ",
    "MATERIALIZED VIEW DATA ",
    "STATISTICS DATA ",
    *(
        f"{kind} - {what} "
        for kind in ("ACL", "COMMENT", "SECURITY LABEL")
        for what in ("LARGE OBJECT", "LARGE OBJECTS", "SUBSCRIPTION", "DATABASE")
    ),
)


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """A line of ``pg_restore --list``: ``215; 1259 16385 TABLE public equipment calibrify``."""

    dump_id: int
    catalog_oid: int
    oid: int
    description: str

    @property
    def is_table_data(self) -> bool:
        return self.catalog_oid == 0 and self.description.startswith(_TABLE_DATA)

    @property
    def is_sequence_set(self) -> bool:
        return self.catalog_oid == 0 and self.description.startswith(_SEQUENCE_SET)

    @property
    def is_schema_itself(self) -> bool:
        """Whether it creates a schema, or grants something on one."""
        if self.catalog_oid:
            return self.catalog_oid == _PG_NAMESPACE
        return self.description.startswith("ACL - SCHEMA ")

    @property
    def is_large_object_grant(self) -> bool:
        """PostgreSQL 17 and later list several large objects as one entry (LARGE OBJECTS)."""
        return not self.catalog_oid and self.description.startswith("ACL - LARGE OBJECT")

    @property
    def is_printed_late(self) -> bool:
        """Whether pg_restore prints it after all others: grants and event triggers."""
        return self.description.startswith(("ACL ", "DEFAULT ACL ", "EVENT TRIGGER ")) or (
            " - EVENT TRIGGER " in self.description
        )

    @property
    def is_schema(self) -> bool:
        """Whether it defines something that a restored copy must have.

        Not data; not large objects, whose owners are asked of the catalogue; not the database itself; and
        not subscriptions, which are never restored.
        """
        if self.catalog_oid:
            return self.catalog_oid not in (_PG_LARGEOBJECT, _PG_SUBSCRIPTION, _PG_DATABASE)
        return not self.description.startswith(_NOT_SCHEMA)


@dataclass(frozen=True, slots=True)
class _Header:
    """What looks like pg_restore's comment above an entry, and where it stands in the script."""

    start: int
    end: int
    kind: str
    schema: str
    tag: str
    owner: str

    @property
    def listed_as(self) -> str:
        """How the list would describe it."""
        owner = "" if self.owner == "-" else self.owner
        return f"{self.kind} {self.schema} {self.tag} {owner}".rstrip(" ")


@dataclass(frozen=True, slots=True)
class EntryText:
    """One entry's SQL, owner included."""

    kind: str
    schema: str
    tag: str
    owner: str
    sql: str

    @property
    def identity(self) -> str:
        """``TABLE public.equipment``; not always unique."""
        return f"{self.kind} {self.tag}" if self.schema == "-" else f"{self.kind} {self.schema}.{self.tag}"


def parse_list(text: str) -> list[ListedEntry]:
    """The entries of ``pg_restore --list``'s output, in order."""
    entries = []
    for line in text.split("\n"):
        match = _LINE.fullmatch(line)
        if match is not None:
            entries.append(ListedEntry(int(match[1]), int(match[2]), int(match[3]), match[4]))
    return entries


def split_entries(script: str, listed: Sequence[ListedEntry]) -> list[EntryText] | None:
    """The SQL of each listed entry out of a script that holds exactly those.

    None when the comments in the script are not the list's entries, one for one: some text then holds what
    looks like a comment of pg_restore's. A script of one entry can always be read.
    """
    end = script.rfind(_FOOTER)
    if end < 0:
        raise IntegrityError("pg_restore's output is cut", hint="choose another backup")
    headers = _headers(script, end)
    if len(listed) == 1:
        headers = headers[:1]
    if listed and not headers:
        raise IntegrityError(
            f"pg_restore prints nothing for entry {listed[0].dump_id} ({listed[0].description})",
            hint="report this with the versions of server and pg_restore",
        )
    found = Counter(header.listed_as for header in headers)
    # With a single entry there is nothing to confuse it with.
    if len(listed) > 1 and found != Counter(entry.description.rstrip(" ") for entry in listed):
        return None
    return _cut(script, headers, end)


def _headers(script: str, end: int) -> list[_Header]:
    headers = []
    for match in _COMMENT.finditer(script, 0, end):
        # From the right, because only names can imitate the separators. No regular expression: a long line
        # made for it would take one for ever.
        rest, owner_mark, owner = match[1].rpartition("; Owner: ")
        rest, schema_mark, schema = rest.rpartition("; Schema: ")
        tag, kind_mark, kind = rest.rpartition("; Type: ")
        if owner_mark and schema_mark and kind_mark:
            headers.append(_Header(match.start(), match.end(), kind, schema, tag, owner))
    return headers


def _cut(script: str, headers: Sequence[_Header], end: int) -> list[EntryText]:
    bounds = [header.start for header in headers] + [end]
    settings = script[: bounds[0]]
    texts, access_method = [], "heap"
    for header, following in zip(headers, bounds[1:], strict=True):
        access_method = (_ACCESS_METHOD.findall(settings) or [access_method])[-1]
        sql, settings = _without_settings(script[header.end : following])
        if access_method != "heap" and header.kind in ("TABLE", "MATERIALIZED VIEW"):
            sql = f"{sql}\n-- table access method {access_method}"
        texts.append(EntryText(header.kind, header.schema, header.tag, header.owner, sql))
    return texts


def _without_settings(body: str) -> tuple[str, str]:
    """An entry's SQL, and the session settings that follow it for the sake of the next one."""
    settings = ""
    while True:
        body = body.rstrip("\n")
        start = body.rfind("\n") + 1
        if not _SETTING.fullmatch(body, start):
            return body, settings
        settings = f"{body[start:]}\n{settings}"
        body = body[:start]


def name_entries(entries: Sequence[EntryText]) -> dict[str, str]:
    """The SQL by a name that is unique: where identities meet, the owner is added, then a number.

    Numbers follow the sorted SQL, so that the order in the dump does not matter.
    """
    groups: dict[str, list[EntryText]] = {}
    for entry in entries:
        groups.setdefault(entry.identity, []).append(entry)
    owned: dict[str, list[EntryText]] = {}
    for identity, group in groups.items():
        for entry in group:
            owned.setdefault(f"{identity} of {entry.owner}" if len(group) > 1 else identity, []).append(entry)
    named: dict[str, str] = {}
    for identity, group in owned.items():
        for number, entry in enumerate(sorted(group, key=lambda entry: entry.sql), start=1):
            name = f"{identity} #{number}" if len(group) > 1 else identity
            while name in named:
                name += "'"
            named[name] = entry.sql
    return dict(sorted(named.items()))


def parse_sequence_values(script: str, listed: Sequence[ListedEntry]) -> tuple[SequenceValue, ...]:
    """The values that the dump sets, sorted by name.

    :raises IntegrityError: the script does not set every listed sequence.
    """
    values = tuple(
        SequenceValue(
            name=normalize_qualified_name(match[1].replace("''", "'")),
            last_value=int(match[2]),
            is_called=match[3] == "true",
        )
        for match in _SETVAL.finditer(script)
    )
    if len(values) != len(listed):
        raise IntegrityError(
            f"the dump sets {len(listed)} sequences, but pg_restore prints {len(values)}",
            hint="report this with the versions of server and pg_restore",
        )
    return tuple(sorted(values, key=lambda value: value.name))
