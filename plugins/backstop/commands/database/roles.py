"""Roles that a dump needs, on a server that has roles of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.commands.database.objects import GLOBALS
from backstop.errors import RestoreError
from backstop.postgres.encodings import decode_script
from backstop.postgres.globals import StatementKind, apply_to_server, parse_globals
from backstop.postgres.names import quote_identifier
from backstop.postgres.toc import large_object_grants, read_toc

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from backstop.model.fingerprint import Fingerprint
    from backstop.postgres.tools import PostgresTools

# How `large_object_owners` in postgres/toc.py calls them.
_LARGE_OBJECTS_OF = "LARGE OBJECTS of "


def ensure_roles(
    session: psycopg.Connection[Any], dump: Path, expected: Fingerprint, tools: PostgresTools
) -> tuple[str, ...]:
    """Create the roles that the dump's owners and grants name and the server lacks, unable to log in.

    :returns: those that were created; existing ones are never altered.
    :raises RestoreError: some are missing and this role may not create them.
    """
    globals_text = decode_script((dump / GLOBALS).read_bytes())
    report = apply_to_server(session, roles_named(dump, expected, tools, globals_text), globals_text)
    if report.create_first:
        raise RestoreError(
            f"the server lacks roles that the backup needs: {', '.join(report.create_first)}",
            hint="create them (their definitions are in the backup's globals.sql), then try again",
        )
    return report.created


def roles_named(dump: Path, expected: Fingerprint, tools: PostgresTools, globals_text: str) -> set[str]:
    """Roles of the source that the dump mentions; one too many does no harm, it could not log in."""
    text = "\n".join([*read_toc(dump, tools).texts.values(), large_object_grants(dump, tools)])
    acl = "\n".join(str(line) for line in expected.database["acl"])
    owner = str(expected.database["owner"])
    # Named nowhere in the dump's text: who has settings of their own here, and who owns large objects.
    others = {str(entry["role"]) for entry in expected.database["settings"] if entry["role"]}
    others |= large_object_owners(expected)
    known = {
        statement.role
        for statement in parse_globals(globals_text)
        if statement.kind is StatementKind.CREATE_ROLE and statement.role
    }
    named = {role for role in known if quote_identifier(role) in text or f"{role}=" in acl}
    return named | (known & others) | {owner}


def large_object_owners(expected: Fingerprint) -> set[str]:
    """Roles that own large objects in the backup."""
    return {
        entry.identity.removeprefix(_LARGE_OBJECTS_OF)
        for entry in expected.schema
        if entry.identity.startswith(_LARGE_OBJECTS_OF)
    }
