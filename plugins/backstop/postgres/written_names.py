"""Names as SQL writes them: how pg_dump and pg_restore do, taken apart. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backstop.postgres.names import qualified_name

if TYPE_CHECKING:
    from backstop.model.table_patterns import TableName

#: Regular expressions without groups.
IDENTIFIER = r"""(?:"(?:[^"]|"")+"|[^\s".'(),;]+)"""
QUALIFIED = rf"{IDENTIFIER}\.{IDENTIFIER}"


def split_name(raw: str) -> TableName:
    """Schema and name of a qualified name as SQL writes it."""
    schema, name = re.fullmatch(rf"({IDENTIFIER})\.({IDENTIFIER})", raw, re.DOTALL).groups()  # type: ignore[union-attr]
    return unquote(schema), unquote(name)


def split_columns(raw: str) -> list[str]:
    """The names in a column list as SQL writes it, without its parentheses."""
    return [unquote(name) for name in re.findall(IDENTIFIER, raw)]


def written_forms(name: TableName) -> tuple[str, str]:
    """As expressions have it: in quotes where needed, or everywhere (quote_all_identifiers)."""
    quoted = ('"' + part.replace('"', '""') + '"' for part in name)
    return qualified_name(*name), ".".join(quoted)


def unquote(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier


def is_qualified(raw: str) -> bool:
    return re.fullmatch(QUALIFIED, raw, re.DOTALL) is not None
