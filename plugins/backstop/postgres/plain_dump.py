"""Reads what ``pg_dump`` writes as plain SQL, statement by statement, and never gives it to psql.

In psql a line ``\\! …`` of a dump runs a program on the machine that restores. Here it is an error: the text
is split into statements by PostgreSQL's lexical rules (docs, 4.1) and psql's two further ones (parentheses,
``BEGIN ATOMIC``). Rows behind ``COPY … FROM stdin`` are passed on in blocks. Memory is bounded by the longest
statement and the longest row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from backstop.errors import IntegrityError
from backstop.postgres.dump_lines import LONGEST_BYTES, DumpLines

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = rb'(?:"(?:[^"]|"")+"|[A-Za-z_\x80-\xff][\w$\x80-\xff]*)'
"""An identifier as pg_dump writes it, quoted or not."""
# Exactly as pg_dump writes it: nothing else is fed with rows.
_COPY = re.compile(
    rb"COPY (?P<table>(?P<schema>%(n)s\.)?%(n)s) (?:\((?:%(n)s(?:, )?)*\))? ?FROM stdin"
    rb"(?: WITH FREEZE| WITH \(FREEZE\))?;" % {b"n": NAME}
)
_FROM_STDIN = re.compile(rb"COPY\b.*\bFROM\s+stdin\b", re.DOTALL | re.IGNORECASE)
# Until 2018 pg_dump did not qualify the names of tables.
_SEARCH_PATH = re.compile(rb"SET search_path = (?P<schema>%(n)s)(?:, pg_catalog)?;" % {b"n": NAME})
_BRACKET = re.compile(rb"\\(?:un)?restrict [A-Za-z0-9]+[ \t\r]*\n?")
_VERSION = re.compile(rb"-- Dumped (?P<what>from database|by pg_dump) version (?P<major>\d+)")
_COMPLETE = b"-- PostgreSQL database dump complete"
_TOKEN = re.compile(
    rb"(?P<space>\s+)|(?P<comment>--[^\n\r]*)|(?P<block>/\*)|(?P<escape>[eE]')|(?P<string>')|(?P<identifier>\")"
    rb"|(?P<dollar>\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$)|(?P<word>[A-Za-z_\x80-\xff][\w$\x80-\xff]*)"
    rb"|(?P<number>\d[\w.]*)|(?P<end>;)|(?P<parenthesis>[()])|(?P<backslash>\\)|(?P<symbol>.)",
    re.DOTALL,
)
_INSIDE = {
    "string": re.compile(rb"''|(?P<end>')|[^']+"),
    "escape": re.compile(rb"''|\\.|(?P<end>')|[^'\\]+|\\\Z", re.DOTALL),
    "identifier": re.compile(rb"(?P<end>\")|[^\"]+"),
    "block": re.compile(rb"(?P<open>/\*)|(?P<end>\*/)|[^/*]+|[/*]"),
}
# A GRANT on columns names them before it says on what.
_WORDS_KEPT = 64
_ROUTINE = re.compile(r"create (?:or replace )?(?:function|procedure)\b")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement with its semicolon.

    :param line: where it begins; :param table: of a ``COPY … FROM stdin``, whose rows follow.
    :param words: its first ones in lower case, without anything quoted and without comments.
    """

    text: bytes = field(repr=False)
    line: int
    table: bytes | None = None
    words: tuple[str, ...] = ()


@dataclass(slots=True)
class DumpFacts:
    """What reading a dump to its end has told.

    :param server_major: it was dumped from; :param pg_dump_major: it was dumped by; 0 until read.
    :param rows: by table as the dump names it, of those whose rows COPY brings.
    """

    server_major: int = 0
    pg_dump_major: int = 0
    statements: int = 0
    rows: dict[bytes, int] = field(default_factory=dict)


class PlainDump:
    """The statements of one dump; iterate once, to the end.

    :param stream: its text. :param name: what errors call it.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.facts = DumpFacts()
        self._name = name
        self._lines = DumpLines(stream, name)
        self._complete = False
        self._rows_left = False
        self._table = self._schema = b""
        self._standard_strings = True
        self._begin()

    def __iter__(self) -> Iterator[Statement]:
        """Rows that were not asked for are passed over.

        :raises IntegrityError: the dump is cut off, written by something else, or holds a command of psql.
        """
        while line := self._lines.next():
            if not self._started and not self._inside and self._is_ornament(line):
                continue
            yield from self._lex(line)
        if self._started or self._inside:
            raise self._cut_off(f"within the statement of line {self._first_line}")
        if not self._complete:
            raise self._cut_off(f"without pg_dump's last line ({_COMPLETE.decode()})")

    def rows(self) -> Iterator[bytes]:
        """The rows of the statement that came last, whole lines in blocks, without the mark at their end.

        :raises IntegrityError: the dump ends among them.
        """
        if self._rows_left:
            for block in self._lines.rows(self._table):
                self.facts.rows[self._table] += block.count(b"\n")
                yield block
            self._rows_left = False

    def _is_ornament(self, line: bytes) -> bool:
        """Comments that tell something, and psql's brackets, between statements."""
        version = _VERSION.match(line)
        if version and version["what"] == b"from database":
            self.facts.server_major = int(version["major"])
        elif version:
            self.facts.pg_dump_major = int(version["major"])
        elif line.rstrip() == _COMPLETE:
            self._complete = True
        return _BRACKET.fullmatch(line) is not None

    def _begin(self) -> None:
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._words: list[str] = []
        self._started = False
        self._inside = ""
        self._tag = b""
        self._depth = self._parentheses = self._begins = 0
        self._first_line = 0

    def _lex(self, line: bytes) -> Iterator[Statement]:
        position = 0
        start = 0
        while position < len(line):
            if self._inside:
                position = self._skip_inside(line, position)
                continue
            token = _TOKEN.match(line, position)
            if token is None:  # pragma: no cover - the last alternative matches any byte
                raise AssertionError("every byte is some token")
            position = token.end()
            kind = str(token.lastgroup)
            if kind == "backslash":
                raise self._command(line[token.start() :])
            if kind not in ("space", "comment", "block") and not self._started:
                self._start()
                start = token.start()
            if self._ends(kind, token[0]):
                self._keep(line[start:position])
                yield from self._finish(line[position:])
                start = position
        if self._started:
            self._keep(line[start:])

    def _start(self) -> None:
        if self._complete:
            raise self._odd("goes on behind pg_dump's last line")
        self._started = True
        self._first_line = self._lines.number

    def _keep(self, piece: bytes) -> None:
        self._parts.append(piece)
        self._size_bytes += len(piece)
        if self._size_bytes > 2 * LONGEST_BYTES:
            raise self._odd("has a statement longer than PostgreSQL takes")

    def _ends(self, kind: str, text: bytes) -> bool:
        """Take notice of a token: whether the statement ends with it."""
        if kind in ("escape", "string", "identifier", "block", "dollar"):
            self._inside = "escape" if kind == "string" and not self._standard_strings else kind
            self._tag = text
            self._depth = 1
        elif kind == "parenthesis":
            self._parentheses = max(0, self._parentheses + (1 if text == b"(" else -1))
        elif kind == "word":
            self._word(text.decode("latin-1").lower())
        return kind == "end" and not self._parentheses and not self._begins

    def _word(self, word: str) -> None:
        """As psql: a routine's body in SQL's own form has semicolons of its own."""
        if len(self._words) < _WORDS_KEPT:
            self._words.append(word)
        if self._parentheses or not _ROUTINE.match(" ".join(self._words[:4])):
            return
        if word == "begin" or (word == "case" and self._begins):
            self._begins += 1
        elif word == "end" and self._begins:
            self._begins -= 1

    def _skip_inside(self, line: bytes, position: int) -> int:
        if self._inside == "dollar":
            end = line.find(self._tag, position)
            if end < 0:
                return len(line)
            self._inside = ""
            return end + len(self._tag)
        pattern = _INSIDE[self._inside]
        while position < len(line):
            piece = pattern.match(line, position)
            if piece is None:  # pragma: no cover - each pattern matches any byte
                raise AssertionError("every byte is inside")
            position = piece.end()
            if self._inside == "block" and piece["open"]:
                self._depth += 1
            elif piece["end"]:
                self._depth -= 1
                if self._depth == 0:
                    self._inside = ""
                    break
        return position

    def _finish(self, rest: bytes) -> Iterator[Statement]:
        """:param rest: of the line."""
        text = b"".join(self._parts)
        line = self._first_line
        words = tuple(self._words)
        self._begin()
        if text == b";":
            return
        self.facts.statements += 1
        if text == b"SET standard_conforming_strings = off;":
            self._standard_strings = False
        search_path = _SEARCH_PATH.fullmatch(text)
        self._schema = search_path["schema"] if search_path else self._schema
        copy = _COPY.fullmatch(text)
        if _FROM_STDIN.match(text) and (not copy or rest.strip()):
            raise self._odd("has a COPY … FROM stdin that pg_dump does not write so")
        if copy:
            self._rows_left = True
            qualified = copy["schema"] or not self._schema
            self._table = copy["table"] if qualified else self._schema + b"." + copy["table"]
            self.facts.rows.setdefault(self._table, 0)
        yield Statement(text, line, self._table if copy else None, words)
        if self._rows_left:
            for _ in self.rows():
                pass

    def _command(self, rest: bytes) -> IntegrityError:
        word = rest.split(maxsplit=1)[0][:20].decode(errors="replace")
        return self._odd(f"has a command of psql, {word!r}, which pg_dump does not write")

    def _odd(self, what: str) -> IntegrityError:
        return IntegrityError(
            f"{self._name}, line {self._lines.number}, {what}",
            hint="find out who wrote it, and restore another backup; nothing of it was run on this machine",
        )

    def _cut_off(self, where: str) -> IntegrityError:
        return IntegrityError(
            f"{self._name} is not complete: it ends after line {self._lines.number} {where}",
            hint="choose another backup: pg_dump, or what it wrote to, was cut off",
        )
