"""Cases that live inside a database, each in a schema of its own name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

SQL = Path(__file__).parent / "sql"
_NOT_CASES = {"roles", "drop_roles"}


@dataclass(frozen=True, slots=True)
class ObjectCase:
    """One SQL file. Its first line is its question; "Since PostgreSQL 17." there skips older servers."""

    name: str

    @property
    def text(self) -> str:
        return (SQL / f"{self.name}.sql").read_text(encoding="utf-8")

    @property
    def since(self) -> int:
        found = re.search(r"Since PostgreSQL (\d+)\.", self.text.partition("\n")[0])
        return int(found[1]) if found else 0

    def build(self, session: psycopg.Connection[Any]) -> None:
        """Create schema and objects in one transaction, as the session's superuser."""
        with session.transaction():
            schema = sql.Identifier(self.name)
            session.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
            session.execute(sql.SQL("SET LOCAL search_path = {}").format(schema))
            session.execute("SET LOCAL TimeZone = 'UTC'")
            # The text comes from our own files.
            session.execute(self.text.encode())


OBJECT_CASES = tuple(
    ObjectCase(path.stem) for path in sorted(SQL.glob("*.sql")) if path.stem not in _NOT_CASES
)
