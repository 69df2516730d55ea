"""How tables and sequences are written in fingerprints: the same on every server version."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")

# Keywords of PostgreSQL 18 that are not "unreserved" (PostgreSQL docs, appendix C). Quoting one too many
# is harmless; asking the server would make one table's name depend on its version.
_KEYWORDS = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean
    both case cast char character check coalesce collate collation column concurrently constraint create
    cross current_catalog current_date current_role current_schema current_time current_timestamp
    current_user dec decimal default deferrable desc distinct do else end except exists extract false
    fetch float for foreign freeze from full grant greatest group grouping having ilike in initially
    inner inout int integer intersect interval into is isnull join json json_array json_arrayagg
    json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value
    lateral leading least left like limit localtime localtimestamp merge_action national natural nchar
    none normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay
    placing position precision primary real references returning right row select session_user setof
    similar smallint some substring symmetric system_user table tablesample then time timestamp to
    trailing treat trim true union unique user using values varchar variadic verbose when where window
    with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
    xmlserialize xmltable
    """.split()  # noqa: SIM905
)

_IDENTIFIER = r'"(?:[^"]|"")+"|[^\s"."\']+'
_QUALIFIED = re.compile(rf"({_IDENTIFIER})\.({_IDENTIFIER})", re.DOTALL)


def quote_identifier(name: str) -> str:
    """The name as SQL reads it, in quotes unless it is plain and no keyword."""
    if _PLAIN.fullmatch(name) and name not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def qualified_name(schema: str, name: str) -> str:
    """``public."Table A"``."""
    return f"{quote_identifier(schema)}.{quote_identifier(name)}"


def normalize_qualified_name(text: str) -> str:
    """A qualified name as some tool quoted it, as :func:`qualified_name` writes it.

    :raises ValueError: when it is none.
    """
    match = _QUALIFIED.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a qualified name")
    return qualified_name(_unquote(match[1]), _unquote(match[2]))


def _unquote(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier
