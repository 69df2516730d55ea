"""Roles from ``pg_dumpall --globals-only``: into a scratch server whole, into a real server by name only.

The text is never given to psql: a line ``\\! …`` in it would run a program. It is split into statements
here, by PostgreSQL's lexical rules (docs, 4.1), and each is sent as one query.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from psycopg import Connection, Error, errors, sql

from backstop.errors import RestoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TOKENS = r"""
  (?P<space>\s+)
| (?P<comment>--[^\n]*)
| (?P<escape>[eE]'(?:[^'\\]|\\.|'')*')
| (?P<identifier>"(?:[^"]|"")*")
| (?P<string>{string})
| (?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
| (?P<word>[^\W\d][\w$]*)
| (?P<number>\d[\w.]*)
| (?P<end>;)
| (?P<symbol>(?!/\*)[^\s\w'"$\\;])
"""
_STANDARD = re.compile(_TOKENS.format(string=r"'(?:[^']|'')*'"), re.VERBOSE | re.DOTALL)
_BACKSLASHES = re.compile(_TOKENS.format(string=r"'(?:[^'\\]|\\.|'')*'"), re.VERBOSE | re.DOTALL)
# pg_dumpall brackets its output with these (since 2025-08) so that psql refuses any other such command.
_RESTRICT = re.compile(r"\\(?:un)?restrict [A-Za-z0-9]+[ \t]*(?:\n|\Z)")


class StatementKind(Enum):
    """What a statement of the globals does."""

    CREATE_ROLE = "create"
    ATTRIBUTES = "attributes"
    SETTING = "setting"
    MEMBERSHIP = "membership"
    DESCRIPTION = "description"
    PARAMETER = "privilege on a parameter"
    TABLESPACE = "tablespace"
    SESSION = "session"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class RoleStatement:
    """One statement. ``text`` may hold a password verifier and does not print.

    :param role: the role it is about, or None; of a membership, the role that is granted.
    """

    kind: StatementKind
    role: str | None
    text: str = field(repr=False)


@dataclass(frozen=True)
class GlobalsReport:
    """What was done, for people.

    :param created: roles that were created.
    :param existing: roles that were there already and stayed untouched.
    :param create_first: roles that are needed and that this connection may not create.
    :param notes: what was left out or could not be applied, one sentence each.
    """

    created: tuple[str, ...] = ()
    existing: tuple[str, ...] = ()
    create_first: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def parse_globals(text: str) -> list[RoleStatement]:
    """The statements in order; comments and psql's restrict brackets are left out.

    :raises RestoreError: the text is not what pg_dumpall writes: another psql command, a quote left open.
    """
    return [_classify(statement, tokens) for statement, tokens in _split(text)]


def bootstrap_superuser(connection: Connection[Any]) -> str:
    """The role that initdb made there; grants without another grantor name it (oid 10, since ever)."""
    row = connection.execute("SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10").fetchone()
    if row is None:
        raise RestoreError(
            "the server has no role with oid 10", hint="name the superuser the scratch server shall have"
        )
    return str(row[0])


def apply_to_scratch(connection: Connection[Any], globals_text: str, bootstrap: str) -> GlobalsReport:
    """Create all roles, their attributes, settings and memberships, in one transaction.

    Left out are tablespaces, and everything about ``bootstrap``, the superuser that is already there and
    that we are: its settings or a NOLOGIN from the source would hit our own sessions.

    :raises RestoreError: a role or membership could not be created; what merely decorates is noted.
    """
    created, notes = [], []
    with connection.transaction():
        for statement in parse_globals(globals_text):
            if statement.kind in (StatementKind.TABLESPACE, StatementKind.SESSION):
                continue
            if statement.role == bootstrap and statement.kind is not StatementKind.MEMBERSHIP:
                continue
            notes += _apply(connection, statement)
            if statement.kind is StatementKind.CREATE_ROLE and statement.role is not None:
                created.append(statement.role)
    return GlobalsReport(created=tuple(created), existing=(bootstrap,), notes=tuple(notes))


def apply_to_server(
    connection: Connection[Any], needed_roles: Iterable[str], globals_text: str
) -> GlobalsReport:
    """Create the needed roles that are missing, NOLOGIN and without any right; alter nothing that exists.

    Nothing of ``globals_text`` is executed: it only tells which of the roles could log in. The connection
    becomes a member of what it creates, as it must be to give objects to it.
    """
    needed = sorted(set(needed_roles))
    found = connection.execute(
        "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = ANY(%s)", [needed]
    ).fetchall()
    existing = {str(name) for (name,) in found}
    missing = [name for name in needed if name not in existing]
    logins = {
        statement.role
        for statement in parse_globals(globals_text)
        if statement.kind is StatementKind.ATTRIBUTES and re.search(r"\sLOGIN\s", statement.text + " ")
    }
    created, refused, notes = [], [], []
    for name in missing:
        try:
            with connection.transaction():
                role = sql.Identifier(name)
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(role))
                connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
        except errors.InsufficientPrivilege:
            refused.append(name)
            continue
        except errors.ReservedName:
            notes.append(f"role {name} is reserved by the server's version and was not created")
            continue
        created.append(name)
        if name in logins:
            notes.append(f"role {name} could log in where the backup was taken; here it cannot yet")
    return GlobalsReport(
        created=tuple(created),
        existing=tuple(sorted(existing)),
        create_first=tuple(refused),
        notes=tuple(notes),
    )


_DECORATION = (StatementKind.SETTING, StatementKind.DESCRIPTION, StatementKind.PARAMETER)


def _apply(connection: Connection[Any], statement: RoleStatement) -> list[str]:
    """Run it in a savepoint; returns notes."""
    try:
        with connection.transaction():
            # As a string psycopg would look for placeholders in it.
            connection.execute(statement.text.encode(connection.info.encoding))
    except Error as error:
        # Neither the statement nor the excerpt that psycopg would print: it may hold a verifier.
        problem = f"{statement.kind.value} of role {statement.role}: {error.diag.message_primary}"
        if statement.kind in _DECORATION:
            return [f"not applied: {problem}"]
        raise RestoreError(
            f"roles could not be restored into scratch: {problem}",
            hint="compare with `pg_dumpall --globals-only` of the source",
        ) from None
    return []


_Token = tuple[str, str]


def _split(text: str) -> Iterator[tuple[str, list[_Token]]]:
    pattern = _STANDARD
    start = position = 0
    tokens: list[_Token] = []
    while position < len(text):
        bracket = _RESTRICT.match(text, position) if not tokens else None
        if bracket:
            position = start = bracket.end()
            continue
        match = pattern.match(text, position)
        if match is None:
            raise _not_understood(text, position)
        position = match.end()
        kind = str(match.lastgroup) if match.lastgroup != "tag" else "dollar"
        if kind == "end":
            if tokens:
                yield text[start:position].strip(), tokens
            if [value for _, value in tokens] == ["SET", "standard_conforming_strings", "=", "off"]:
                pattern = _BACKSLASHES
            tokens = []
        elif kind not in ("space", "comment"):
            tokens.append((kind, match[0]))
        if not tokens:
            start = position
    if tokens:
        raise _not_understood(text, start)


def _not_understood(text: str, position: int) -> RestoreError:
    line = text.count("\n", 0, position) + 1
    return RestoreError(
        f"the dump of roles is not understood from line {line} on",
        hint="it may be damaged or tampered with; choose another backup",
    )


def _classify(text: str, tokens: list[_Token]) -> RoleStatement:
    words = [value.upper() if kind == "word" else "" for kind, value in tokens]
    words += [""] * (2 - len(words))
    after_name = words[3] if len(words) > 3 else ""
    # ROLE, TABLESPACE and PARAMETER may be names of roles, even unquoted; ON may not.
    target = words[words.index("ON") + 1] if "ON" in words[:-1] else ""
    if (words[1] == "TABLESPACE" and words[0] in ("CREATE", "ALTER")) or target == "TABLESPACE":
        return RoleStatement(StatementKind.TABLESPACE, None, text)
    if words[:2] == ["CREATE", "ROLE"]:
        return RoleStatement(StatementKind.CREATE_ROLE, _name(tokens[2]), text)
    if words[:2] == ["ALTER", "ROLE"]:
        kind = StatementKind.ATTRIBUTES if after_name == "WITH" else StatementKind.SETTING
        return RoleStatement(kind, _name(tokens[2]), text)
    if words[0] in ("COMMENT", "SECURITY") and target == "ROLE":
        return RoleStatement(StatementKind.DESCRIPTION, _name(tokens[words.index("ON") + 2]), text)
    if words[0] == "GRANT" and words[2:3] == ["TO"]:
        return RoleStatement(StatementKind.MEMBERSHIP, _name(tokens[1]), text)
    if words[0] in ("GRANT", "REVOKE") and target == "PARAMETER":
        return RoleStatement(StatementKind.PARAMETER, None, text)
    return RoleStatement(StatementKind.SESSION if words[0] == "SET" else StatementKind.OTHER, None, text)


def _name(token: _Token) -> str:
    kind, value = token
    # pg_dumpall leaves only names unquoted that are lower case already.
    return value[1:-1].replace('""', '"') if kind == "identifier" else value.lower()
