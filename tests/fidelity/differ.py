"""An independent differ: what two databases hold, compared without any of Backstop's own comparing code.

Rows are COPY text, sorted and hashed here; the schema is pg_dump's plain script cut into its entries; owners,
grants and settings come from the catalogue. ``differences`` of two images is empty when they are equal.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backstop.postgres.connection import ClusterConnection

_PINNED = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "search_path": "pg_catalog",
    "row_security": "off",
    "statement_timeout": "0",
    # Bytes as the server has them: SQL_ASCII holds what no client encoding can express.
    "client_encoding": "SQL_ASCII",
}

_TABLES = b"""
SELECT n.nspname, c.relname, c.relkind,
       coalesce((SELECT root.relid::text FROM pg_partition_ancestors(c.oid) AS root
                 JOIN pg_partitioned_table p ON p.partrelid = root.relid AND p.partstrat = 'h'
                 ORDER BY root.relid LIMIT 1), '') AS hash_root
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND (c.relkind = 'r' OR c.relispopulated)
"""
_HASH_ROOTS = b"""
SELECT n.nspname, c.relname, 'p' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_partitioned_table p ON p.partrelid = c.oid AND p.partstrat = 'h'
"""
# By name: a restored child of an inherited table may have its columns in another order.
_COLUMNS = b"""
SELECT n.nspname, c.relname, array_agg(a.attname ORDER BY a.attname)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'm', 'p')
GROUP BY 1, 2
"""
_SEQUENCES = b"""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S'
"""
_LARGE_OBJECTS = b"""
SELECT m.oid, pg_get_userbyid(m.lomowner),
       (SELECT string_agg(a::text, ' ' ORDER BY a::text)
        FROM unnest(coalesce(m.lomacl, acldefault('L', m.lomowner))) AS a),
       obj_description(m.oid, 'pg_largeobject')
FROM pg_largeobject_metadata m
"""
# As JSON, because the columns differ between versions.
_DATABASE = b"""
SELECT key, value FROM pg_database d, LATERAL jsonb_each_text(to_jsonb(d) || jsonb_build_object(
    'owner', pg_get_userbyid(d.datdba), 'encoding', pg_encoding_to_char(d.encoding),
    'acl', (SELECT string_agg(a::text, ' ' ORDER BY a::text)
            FROM unnest(coalesce(d.datacl, acldefault('d', d.datdba))) AS a),
    'comment', shobj_description(d.oid, 'pg_database'),
    'settings', (SELECT string_agg(coalesce(setrole::regrole::text, '') || ': ' || entry, E'\\n'
                             ORDER BY setrole::regrole::text, entry)
                 FROM (SELECT nullif(setrole, 0) AS setrole, unnest(setconfig) AS entry
                       FROM pg_db_role_setting WHERE setdatabase = d.oid) AS s),
    'extensions', (SELECT string_agg(extname || ' ' || extversion, ', ' ORDER BY extname) FROM pg_extension)))
WHERE d.datname = current_database()
  AND key NOT IN ('oid', 'datname', 'datdba', 'datacl', 'datfrozenxid', 'datminmxid', 'datlastsysoid',
                  'datcollversion', 'dattablespace')
"""
_ROLES = b"""
SELECT r.rolname, to_jsonb(r) - 'oid' || jsonb_build_object(
    'config', (SELECT setconfig FROM pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = 0),
    'comment', shobj_description(r.oid, 'pg_authid'),
    'member_of', (SELECT jsonb_object_agg(pg_get_userbyid(m.roleid),
                         to_jsonb(m) - 'oid' - 'roleid' - 'member' - 'grantor')
                  FROM pg_auth_members m WHERE m.member = r.oid))
FROM pg_authid r WHERE r.rolname !~ '^pg_'
"""


@dataclass(frozen=True)
class Image:
    """One database as the differ sees it. Keys are for people; values are only ever compared."""

    rows: Mapping[str, tuple[int, str]]
    schema: tuple[str, ...] = field(repr=False)
    sequences: Mapping[str, str]
    large_objects: Mapping[str, str]
    database: Mapping[str, str]
    roles: Mapping[str, str] = field(repr=False)


def capture(connection: ClusterConnection, *, pg_dump: Path) -> Image:
    """Read everything, as a superuser, in the connection's database.

    :param pg_dump: the program; one and the same for both sides of a comparison.
    """
    with psycopg.connect(
        host=connection.host,
        port=connection.port,
        user=connection.user,
        password=connection.password or "",
        dbname=connection.dbname,
        options=" ".join(f"-c {name}={value.replace(' ', '')}" for name, value in _PINNED.items()),
        autocommit=False,
    ) as session:
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return Image(
            rows=_rows(session),
            schema=tuple(_entries(_schema_script(connection, pg_dump))),
            sequences={
                _text(schema) + "." + _text(name): _one_line(session, schema, name)
                for schema, name in session.execute(_SEQUENCES)
            },
            large_objects={
                str(oid): repr((_large_object_hash(session, oid), *facts))
                for oid, *facts in session.execute(_LARGE_OBJECTS).fetchall()
            },
            database={_text(key): _text(value) for key, value in session.execute(_DATABASE)},
            roles={_text(name): repr(facts) for name, facts in session.execute(_ROLES)},
        )


def differences(expected: Image, found: Image, *, roles: bool = True) -> list[str]:
    """One sentence for each difference; empty when the two are equal.

    :param roles: also every role of ``expected`` (``found`` may have more: its own superuser).
    """
    sentences = [
        *_compare("rows of", expected.rows, found.rows),
        *_compare("sequence", expected.sequences, found.sequences),
        *_compare("large object", expected.large_objects, found.large_objects),
        *_compare("database property", expected.database, found.database),
    ]
    if roles:
        theirs = {name: facts for name, facts in found.roles.items() if name in expected.roles}
        sentences += _compare("role", expected.roles, theirs)
    missing, extra = _schema_difference(expected.schema, found.schema)
    sentences += [f"schema entry missing or changed: {entry!r}" for entry in missing]
    sentences += [f"schema entry new or changed: {entry!r}" for entry in extra]
    return sentences


def _rows(session: psycopg.Connection[Any]) -> dict[str, tuple[int, str]]:
    # The rows of a hash-partitioned table count as the whole table's: an enum's hash follows its oid, so
    # after a restore a row may rightly live in another partition.
    tables = [row[:3] for row in session.execute(_TABLES).fetchall() if not _text(row[3])]
    tables += session.execute(_HASH_ROOTS).fetchall()
    columns = {(schema, name): names for schema, name, names in session.execute(_COLUMNS)}
    found = {}
    for schema, name, kind in tables:
        chosen = b", ".join(_quoted(column) for column in columns.get((schema, name), ()))
        source = _quoted(schema) + b"." + _quoted(name)
        only = b"" if _text(kind) == "p" else b"ONLY "
        with session.cursor().copy(
            b"COPY (SELECT " + chosen + b" FROM " + only + source + b") TO STDOUT"
        ) as copy:
            # A row may span several buffers, never two rows one: libpq hands over whole rows.
            lines = [bytes(line) for line in copy]
        digest = hashlib.sha256()
        for line in sorted(lines):
            digest.update(line)
        found[f"{_text(schema)}.{_text(name)}"] = (len(lines), digest.hexdigest())
    return found


def _one_line(session: psycopg.Connection[Any], schema: Any, name: Any) -> str:
    source = _quoted(schema) + b"." + _quoted(name)
    return repr(session.execute(b"SELECT last_value, is_called FROM " + source).fetchone())


def _large_object_hash(session: psycopg.Connection[Any], oid: int) -> str:
    row = session.execute("SELECT lo_get(%s::oid)", (oid,), binary=True).fetchone()
    assert row is not None
    return hashlib.sha256(row[0]).hexdigest()


def _schema_script(connection: ClusterConnection, pg_dump: Path) -> bytes:
    with tempfile.TemporaryDirectory() as directory, connection.child_environment(Path(directory)) as env:
        argv = [os.fspath(pg_dump), "--schema-only", "--no-password"]
        # Read as bytes, in the database's own encoding.
        env |= {"PGCLIENTENCODING": "SQL_ASCII", "PGOPTIONS": "-c quote_all_identifiers=off"}
        return subprocess.run(argv, env=env, check=True, capture_output=True).stdout


def _entries(script: bytes) -> Iterable[str]:
    """The script cut at pg_dump's entry headers, in no order. A forged header in a body cuts one more time,
    in both scripts alike, so it does no harm."""
    text = script.decode("latin-1")
    text = re.sub(r"^\\(un)?restrict .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^-- Dumped (from|by) .*\n", "", text, flags=re.MULTILINE)
    for entry in re.split(r"\n--\n(?=-- Name: )", text):
        body = entry.strip()
        if "; Type: ACL;" in body or "; Type: DEFAULT ACL;" in body:
            # Grants are a set; the order within an ACL changes when it is granted anew.
            body = "\n".join(sorted(body.splitlines()))
        elif "; Type: POLICY;" in body:
            # pg_dump lists the roles in the order in which pg_authid happens to hold them.
            body = re.sub(r"(?<= TO )(.+?)(?=( USING \(| WITH CHECK \(|;\n|;$))", _sorted_list, body, count=1)
        elif "\nINHERITS (" in body:
            body = "\n".join(sorted(line.rstrip(",") for line in body.splitlines()))
        yield body


def _sorted_list(found: re.Match[str]) -> str:
    return ", ".join(sorted(found[1].split(", ")))


def _schema_difference(expected: Iterable[str], found: Iterable[str]) -> tuple[list[str], list[str]]:
    missing = Counter(expected) - Counter(found)
    extra = Counter(found) - Counter(expected)
    # Of what is not equal to the letter, the server may have rewritten casts between text and varchar
    # (`(ARRAY['a'::varchar])::text[]` comes back as `ARRAY[('a'::varchar)::text]`): only those are forgiven.
    loose_missing = Counter(_without_text_casts(entry) for entry in missing.elements())
    loose_extra = Counter(_without_text_casts(entry) for entry in extra.elements())
    return list((loose_missing - loose_extra).elements()), list((loose_extra - loose_missing).elements())


def _without_text_casts(entry: str) -> str:
    without = re.sub(r"::(character varying|text|bpchar|character)\b(\(\d+\))?(\[\])?", "", entry)
    return re.sub(r"[()]", "", without)


def _compare(what: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    return [
        f"{what} {name!r}: {expected.get(name)} became {found.get(name)}"
        for name in sorted({*expected, *found})
        if expected.get(name) != found.get(name)
    ]


def _quoted(name: Any) -> bytes:
    """In the bytes the server gave: a name in an SQL_ASCII database need not be valid UTF-8."""
    raw = name if isinstance(name, bytes) else str(name).encode()
    return b'"' + raw.replace(b'"', b'""') + b'"'


def _text(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
