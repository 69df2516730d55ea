"""Statements that reach beyond the database a plain dump is restored into. Pure.

They would run as the restore role: on the live database, which is its neighbour, and on roles that all share.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backstop.errors import RestoreError

if TYPE_CHECKING:
    from backstop.postgres.plain_dump import Statement

# Without -C pg_dump writes none of them, in any version.
_BEYOND = re.compile(
    r"(?:create|alter|drop) (?:database|role|group|tablespace|subscription|user(?! mapping\b))\b"
    r"|alter system\b|(?:comment|security label) (?:for \w+ )?on (?:database|role|tablespace|subscription)\b"
    r"|(?:drop|reassign) owned\b|do\b|create schema\b.* (?:create|grant)\b"
)
_EVERYBODYS = ("database", "tablespace")


def refuse_beyond(statement: Statement) -> None:
    """Let pass what pg_dump writes about the database's own content.

    What a function of the dump does when it is called is not seen here.

    :raises RestoreError: it is about databases, roles, tablespaces or the server, or reads or writes files.
    """
    text = " ".join(statement.words)
    verb = statement.words[0] if statement.words else ""
    if (
        _BEYOND.match(text)
        or (verb in ("grant", "revoke") and not _is_on_content(text))
        or (verb == "copy" and statement.table is None)
    ):
        what = " ".join(statement.words[:2]).upper()
        raise RestoreError(
            f"line {statement.line} of the dump ({what} …) reaches beyond the database it is restored into",
            hint="pg_dump writes nothing of the kind: find out who wrote it, restore another backup",
        )


def _is_on_content(grant: str) -> bool:
    _, on, what = grant.partition(" on ")
    # Without ON a role is granted.
    return bool(on) and what.split(" ", 1)[0] not in _EVERYBODYS
