"""Which entries of a dump make up a table: what is its own, what it needs, what leads elsewhere. Pure.

The list of a dump does not say what belongs to what; the entries' SQL does, in the few forms in which pg_dump
writes it. It is only ever read: what is restored is what pg_restore makes of the entry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError
from backstop.postgres.names import qualified_name
from backstop.postgres.written_names import (
    IDENTIFIER as _ID,
)
from backstop.postgres.written_names import (
    QUALIFIED as _NAME,
)
from backstop.postgres.written_names import (
    is_qualified,
    split_name,
    unquote,
    written_forms,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from backstop.model.table_patterns import TableName
    from backstop.postgres.toc_entries import EntryText, ListedEntry

_OTHERS = r'(?:[^"]|"(?:[^"]|"")*")*?'
_ALTER = rf"ALTER (?:FOREIGN )?TABLE (?:ONLY )?(?P<table>{_NAME})\s"

_FORMS = {
    "TABLE": rf"CREATE (?:UNLOGGED )?TABLE (?P<table>{_NAME})\s",
    "DEFAULT": rf"{_ALTER}ALTER COLUMN ",
    "CONSTRAINT": rf"{_ALTER}\s*ADD CONSTRAINT (?P<index>{_ID})\s",
    "CHECK CONSTRAINT": rf"ALTER (?:TABLE (?:ONLY )?(?P<table>{_NAME})|DOMAIN {_NAME})\s",
    "FK CONSTRAINT": rf"{_ALTER}\s*ADD CONSTRAINT (?P<name>{_ID}) FOREIGN KEY {_OTHERS}"
    rf" REFERENCES (?P<other>{_NAME})\(",
    "INDEX": rf"CREATE (?:UNIQUE )?INDEX (?P<index>{_ID}) ON (?:ONLY )?(?P<table>{_NAME}) ",
    "INDEX ATTACH": rf"ALTER INDEX (?P<other>{_NAME}) ATTACH PARTITION (?P<table>{_NAME});",
    "TABLE ATTACH": rf"ALTER TABLE ONLY (?P<other>{_NAME}) ATTACH PARTITION (?P<table>{_NAME}) ",
    "STATISTICS": rf"CREATE STATISTICS (?P<index>{_NAME}) {_OTHERS}\sFROM (?P<table>{_NAME});",
    "SEQUENCE": rf"(?:CREATE (?:UNLOGGED )?SEQUENCE (?P<index>{_NAME})\s"
    rf"|{_ALTER}ALTER COLUMN {_ID} ADD GENERATED {_OTHERS}SEQUENCE NAME (?P<identity>{_NAME})\s)",
    "SEQUENCE OWNED BY": rf"ALTER SEQUENCE (?P<index>{_NAME}) OWNED BY (?P<table>{_NAME})\.{_ID};",
    "COMMENT": rf"COMMENT ON (?:(?P<kind>TABLE|INDEX|SEQUENCE|STATISTICS) (?P<what>{_NAME})"
    rf"|COLUMN (?P<column>{_NAME})\.{_ID}|CONSTRAINT (?P<name>{_ID}) ON (?!DOMAIN )(?P<table>{_NAME})) IS ",
    "TRIGGER": rf"CREATE (?:CONSTRAINT )?TRIGGER (?P<name>{_ID}) {_OTHERS} ON (?P<table>{_NAME})\s",
    "RULE": rf"CREATE RULE (?P<name>{_ID}) AS\s+ON [A-Z]+ TO (?P<table>{_NAME})\s",
}  # fmt: skip
_COMPILED = {kind: re.compile(form, re.DOTALL) for kind, form in _FORMS.items()}
_INHERITS = re.compile(rf"^INHERITS \((?P<parents>{_NAME}(?:, {_NAME})*)\)", re.MULTILINE)

# What tables may need: types, functions, and what these are made of. Views, foreign tables, publications and
# everything else that merely uses tables stays out; so do event triggers.
_SURROUNDINGS = frozenset(
    {
        "ACCESS METHOD", "AGGREGATE", "CAST", "COLLATION", "CONVERSION", "DOMAIN", "EXTENSION", "FUNCTION",
        "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY", "PROCEDURAL LANGUAGE", "PROCEDURE", "SCHEMA",
        "SHELL TYPE", "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TEXT SEARCH PARSER",
        "TEXT SEARCH TEMPLATE", "TRANSFORM", "TYPE",
    }
)  # fmt: skip
_ALWAYS_UNDERSTOOD = frozenset(
    {"TABLE", "DEFAULT", "CONSTRAINT", "FK CONSTRAINT", "INDEX", "STATISTICS", "SEQUENCE"}
)
_OF_A_TABLE = ("DEFAULT", "CONSTRAINT", "CHECK CONSTRAINT", "INDEX", "STATISTICS")


@dataclass(frozen=True, slots=True)
class TableChoice:
    """Dump ids, in the dump's order, and what is said about them.

    :param tables: those asked for, and those that belong to them.
    :param surroundings: what tables may need, all of it; much is of no concern, and may fail.
    :param own: the tables' own definitions.
    :param data: dump id of the rows by table; a partitioned table has none.
    :param left_out: one sentence for each thing that is not rescued with its table.
    :param notes: what else came along, and why.
    """

    tables: tuple[TableName, ...]
    surroundings: tuple[int, ...]
    own: tuple[int, ...]
    data: dict[TableName, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    dump_id: int
    oid: int
    text: EntryText
    found: dict[str, str]

    @property
    def kind(self) -> str:
        return self.text.kind

    def name(self, group: str) -> TableName | None:
        raw = self.found.get(group)
        return split_name(raw) if raw else None


class TableEntries:
    """The tables of a dump, and the entries that go with each."""

    def __init__(
        self, entries: Iterable[tuple[ListedEntry, EntryText]], listed: Iterable[ListedEntry]
    ) -> None:
        self._entries = [_read(entry, text) for entry, text in entries]
        # By the name in the SQL: in lists and comments pg_dump writes line breaks as spaces.
        self._tables = {
            name: entry
            for entry in self._entries
            if entry.kind == "TABLE" and (name := entry.name("table")) is not None
        }
        self._data = {entry.oid: entry.dump_id for entry in listed if entry.is_table_data}
        self._partitions: dict[TableName, list[TableName]] = {}
        for entry in self._entries:
            parent, child = entry.name("other"), entry.name("table")
            if entry.kind == "TABLE ATTACH" and parent and child:
                self._partitions.setdefault(parent, []).append(child)

    @property
    def names(self) -> Collection[TableName]:
        """Every table, partitioned ones and partitions too."""
        return self._tables.keys()

    def choose(self, asked: Sequence[TableName], *, triggers: bool = False) -> TableChoice:
        """What to restore for these tables: with their partitions, and the tables that they inherit from.

        :param triggers: with triggers and rules, which are code that runs whenever somebody writes.
        """
        notes: list[str] = []
        tables = self._with_relatives(asked, notes)
        own = _Own(tables, triggers=triggers)
        left_out = [
            f"{qualified_name(*partition)}, a partition of {qualified_name(*name)}: its rows are elsewhere"
            for name in sorted(tables)
            for partition in self._partitions.get(name, [])
            if partition not in self._tables
        ]
        for entry in self._entries:
            own.consider(entry)
        # Comments come last: whether one belongs depends on what it is about.
        for entry in self._entries:
            own.consider_comment(entry)
        left_out += own.left_out
        chosen = set(own.ids)
        text = "\n".join(entry.text.sql for entry in self._entries if entry.dump_id in chosen)
        return TableChoice(
            tables=tuple(sorted(tables)),
            surroundings=tuple(
                entry.dump_id
                for entry in self._entries
                if entry.dump_id not in chosen and _surrounds(entry, text)
            ),
            own=tuple(entry.dump_id for entry in self._entries if entry.dump_id in chosen),
            data={
                name: self._data[self._tables[name].oid]
                for name in sorted(tables)
                if self._tables[name].oid in self._data
            },
            left_out=tuple(left_out),
            notes=tuple(notes),
        )

    def _with_relatives(self, asked: Sequence[TableName], notes: list[str]) -> set[TableName]:
        tables: set[TableName] = set()
        waiting = list(asked)
        while waiting:
            name = waiting.pop()
            if name in tables:
                continue
            if name not in self._tables:
                raise IntegrityError(
                    f"the dump refers to table {qualified_name(*name)}, but does not hold it",
                    hint="choose another backup",
                )
            tables.add(name)
            waiting += [one for one in self._partitions.get(name, []) if one in self._tables]
            inherits = _INHERITS.search(self._tables[name].text.sql)
            for parent in map(split_name, re.findall(_NAME, inherits["parents"]) if inherits else []):
                if parent not in asked:
                    notes.append(
                        f"{qualified_name(*parent)} comes along: {qualified_name(*name)} inherits from it"
                    )
                waiting.append(parent)
        return tables


class _Own:
    """Gathers the entries of chosen tables."""

    def __init__(self, tables: set[TableName], *, triggers: bool) -> None:
        self._tables = tables
        self._kinds = (*_OF_A_TABLE, *(("TRIGGER", "RULE") if triggers else ()))
        self._triggers = triggers
        self._named: set[TableName] = set()  # indexes, sequences, statistics and constraints
        self._constraints: set[tuple[TableName, str]] = set()
        self._owned_by: dict[TableName, TableName] = {}
        self.ids: list[int] = []
        self.left_out: list[str] = []

    def consider(self, entry: _Entry) -> None:
        table = entry.name("table")
        if entry.kind == "TABLE":
            if table in self._tables:
                self._take(entry)
        elif table is None:
            return
        elif entry.kind == "INDEX ATTACH":
            if table in self._named and entry.name("other") in self._named:
                self._take(entry)
        elif table not in self._tables:
            return
        elif entry.kind in self._kinds or entry.kind in ("SEQUENCE", "SEQUENCE OWNED BY"):
            self._take(entry)
            self._remember(entry, table)
        else:
            self._consider_link(entry, table)

    def consider_comment(self, entry: _Entry) -> None:
        if entry.kind == "SEQUENCE" and entry.name("index") in self._named:
            self._take(entry)  # its owner is said by a later entry
            return
        if entry.kind != "COMMENT":
            return
        what, table = entry.name("what"), entry.name("column") or entry.name("table")
        known = self._tables if entry.found.get("kind") == "TABLE" else self._named
        constraint = entry.found.get("name")
        if (what in known) or (
            table in self._tables and (constraint is None or (table, constraint) in self._constraints)
        ):
            self._take(entry)

    def _consider_link(self, entry: _Entry, table: TableName) -> None:
        other, shown = entry.name("other"), qualified_name(*table)
        linked = f"{qualified_name(*other)}, which is not rescued" if other else ""
        if entry.kind in ("FK CONSTRAINT", "TABLE ATTACH") and other in self._tables:
            self._take(entry)
            self._remember(entry, table)
        elif entry.kind == "FK CONSTRAINT":
            self.left_out.append(f"foreign key {entry.found['name']} of {shown}: it refers to {linked}")
        elif entry.kind == "TABLE ATTACH":
            self.left_out.append(f"{shown} is a table of its own: it was a partition of {linked}")
        elif entry.kind in ("TRIGGER", "RULE"):
            self.left_out.append(
                f"{entry.kind.lower()} {entry.found['name']} of {shown}: it was not asked for"
            )

    def _remember(self, entry: _Entry, table: TableName) -> None:
        for group in ("index", "identity"):
            raw = entry.found.get(group)
            if raw:
                # An index lives in the schema of its table, and is written without it.
                self._named.add(split_name(raw) if is_qualified(raw) else (table[0], unquote(raw)))
        constraint = entry.found.get("name") or (
            entry.found.get("index") if entry.kind == "CONSTRAINT" else None
        )
        if constraint:
            self._constraints.add((table, constraint))

    def _take(self, entry: _Entry) -> None:
        self.ids.append(entry.dump_id)


def _read(entry: ListedEntry, text: EntryText) -> _Entry:
    found: dict[str, str] = {}
    form = _COMPILED.get(text.kind)
    if form is not None:
        match = form.match(text.sql)
        if match is not None:
            found = {group: value for group, value in match.groupdict().items() if value is not None}
        elif text.kind in _ALWAYS_UNDERSTOOD:
            # To pass over an index or a constraint would make a copy that lacks it, and says nothing.
            raise IntegrityError(
                f"{text.kind} {text.tag} of the dump is not understood: {text.sql[:80]!r}",
                hint="report this with the version of pg_dump; restore the whole database meanwhile",
            )
    return _Entry(entry.dump_id, entry.oid, text, found)


def _surrounds(entry: _Entry, text: str) -> bool:
    if entry.kind == "SEQUENCE":
        name = entry.name("index")  # one of a table that is not rescued has no business here
        return name is not None and any(form.replace("'", "''") in text for form in written_forms(name))
    if entry.kind == "CHECK CONSTRAINT":
        return "table" not in entry.found  # of a domain
    return entry.kind in _SURROUNDINGS
