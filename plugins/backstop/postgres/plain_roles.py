"""Which roles the statements of a plain dump name: ``pg_dump`` does not bring them. Pure."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.postgres.plain_dump import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROLE = rb"(?P<role>" + NAME + rb")"
_GRANTED = rb"(?: WITH GRANT OPTION)?(?: GRANTED BY " + NAME + rb")?;"
_OWNER = re.compile(rb"ALTER .* OWNER TO " + _ROLE + rb";", re.DOTALL)
_PATTERNS = (
    re.compile(rb"(?:GRANT|ALTER DEFAULT PRIVILEGES) .* TO " + _ROLE + _GRANTED, re.DOTALL),
    re.compile(rb"(?:REVOKE|ALTER DEFAULT PRIVILEGES) .* FROM " + _ROLE + _GRANTED, re.DOTALL),
    re.compile(rb"ALTER DEFAULT PRIVILEGES FOR ROLE " + _ROLE + rb" .*", re.DOTALL),
    re.compile(rb"SET SESSION AUTHORIZATION " + _ROLE + rb";"),
    re.compile(rb"CREATE USER MAPPING FOR " + _ROLE + rb" SERVER .*", re.DOTALL),
)
_POLICY = re.compile(
    rb"CREATE POLICY %(n)s ON (?:%(n)s\.)?%(n)s(?: AS \w+)?(?: FOR \w+)? TO (?P<roles>%(n)s(?:, %(n)s)*)[ ;]"
    % {b"n": NAME}
)
_NOBODY = frozenset({"public", "current_user", "session_user", "current_role", "default"})


@dataclass(slots=True)
class RolesNamed:
    """Collects them over all statements of a dump."""

    owners: Counter[str] = field(default_factory=Counter)
    others: set[str] = field(default_factory=set)

    def look_at(self, statement: bytes) -> None:
        """Take notice of a statement with its semicolon."""
        owner = _OWNER.fullmatch(statement)
        if owner:
            # A role of that name cannot be.
            if (name := _unquoted(owner["role"])) != "public":
                self.owners[name] += 1
        else:
            self.others |= set(_named(statement))

    @property
    def all(self) -> frozenset[str]:
        """But for those that every server has: predefined roles."""
        names = {*self.owners, *self.others}
        return frozenset(name for name in names if not name.startswith("pg_"))

    @property
    def owner(self) -> str | None:
        """Who owns most of what is in the database."""
        return self.owners.most_common(1)[0][0] if self.owners else None


def _named(statement: bytes) -> Iterator[str]:
    for pattern in _PATTERNS:
        match = pattern.fullmatch(statement)
        if match and match["role"].lower().decode(errors="replace") not in _NOBODY:
            yield _unquoted(match["role"])
    policy = _POLICY.match(statement)
    if policy:
        names = re.findall(NAME, policy["roles"])
        yield from (_unquoted(name) for name in names if name.lower().decode(errors="replace") not in _NOBODY)


def _unquoted(name: bytes) -> str:
    text = name.decode("utf-8", "replace")
    return text[1:-1].replace('""', '"') if text.startswith('"') else text
