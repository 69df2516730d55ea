"""What a dump needs that this server or the restore role does not have, named before anything is loaded.

A proof is made by a superuser in a server of our own; a restore is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.commands.database.objects import GLOBALS
from backstop.commands.database.roles import large_object_owners, roles_named
from backstop.errors import RestoreError
from backstop.postgres.encodings import decode_script
from backstop.postgres.names import quote_identifier
from backstop.postgres.restore_failures import extension_package
from backstop.postgres.superuser_kinds import extension_of, given_to, granted_by, needs_superuser
from backstop.postgres.toc import read_definitions
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import psycopg

    from backstop.model.fingerprint import Fingerprint
    from backstop.postgres.restore_role import RestoreFacts
    from backstop.postgres.toc_entries import EntryText
    from backstop.postgres.tools import PostgresTools

_NAMED = 3
# In every database it means the database's owner, whose member the restore role is.
_WHOEVER_OWNS_THE_DATABASE = "pg_database_owner"


def refuse_obstacles(
    session: psycopg.Connection[Any],
    dump: Path,
    expected: Fingerprint,
    *,
    facts: RestoreFacts,
    tools: PostgresTools,
) -> None:
    """Look, change nothing.

    :param dump: a directory with at least ``toc.dat`` and the roles.
    :raises RestoreError: this role cannot restore the dump here: one sentence for each reason and next step.
    """
    obstacles = _find_obstacles(session, dump, expected, facts, tools)
    if obstacles:
        raise RestoreError(
            f"role {facts.role} cannot restore this backup: " + "; ".join(obstacles),
            hint="do what each sentence says, then plan again; nothing has been changed",
        )


def _find_obstacles(
    session: psycopg.Connection[Any],
    dump: Path,
    expected: Fingerprint,
    facts: RestoreFacts,
    tools: PostgresTools,
) -> list[str]:
    definitions = read_definitions(dump, tools)
    sentences = list(_extensions(session, definitions, facts))
    if facts.is_superuser:
        return sentences
    globals_text = decode_script((dump / GLOBALS).read_bytes())
    needed = roles_named(dump, expected, tools, globals_text)
    owned = _owned(definitions, expected)
    rows = session.execute(load_sql("restore/memberships"), {"roles": sorted(needed | owned.keys())})
    may_become = {str(name): bool(may) for name, may in rows}
    if not facts.may_create_roles:
        sentences += [
            f"role {name} does not exist on the server, and {facts.role} may not create roles: create it "
            f"(CREATE ROLE {quote_identifier(name)} NOLOGIN), and GRANT it TO {quote_identifier(facts.role)} "
            "if it owns something"
            for name in sorted(needed - may_become.keys())
        ]
    for owner in sorted(owned):
        if may_become.get(owner) is False and owner != _WHOEVER_OWNS_THE_DATABASE:
            sentences.append(
                f"{_some(owned[owner])}: given to {owner}, which {facts.role} may not become: "
                f"GRANT {quote_identifier(owner)} TO {quote_identifier(facts.role)}"
            )
    return sentences + list(_superusers_own(definitions, facts))


def _owned(definitions: Sequence[EntryText], expected: Fingerprint) -> dict[str, list[str]]:
    owned: dict[str, list[str]] = {}
    for entry in definitions:
        owner = given_to(entry)
        # What needs a superuser anyway is named as that.
        if owner is not None and not needs_superuser(entry):
            owned.setdefault(owner, []).append(entry.identity)
    for owner in large_object_owners(expected):
        owned.setdefault(owner, []).append("large objects")
    return owned


def _superusers_own(definitions: Sequence[EntryText], facts: RestoreFacts) -> Iterator[str]:
    step = "drop it at the source and back up anew, or restore as a superuser (restore.allow_superuser)"
    for entry in definitions:
        if needs_superuser(entry):
            yield f"{entry.identity}: only a superuser may create it, and {facts.role} is none: {step}"
        elif grantor := granted_by(entry):
            yield (
                f"{entry.identity}: granted by {grantor}, not by the owner, which only a superuser repeats: "
                "let the owner grant it at the source and back up anew, or restore as a superuser "
                "(restore.allow_superuser)"
            )


def _extensions(
    session: psycopg.Connection[Any], definitions: Sequence[EntryText], facts: RestoreFacts
) -> Iterator[str]:
    names = sorted({name for entry in definitions if (name := extension_of(entry))})
    rows = session.execute(load_sql("restore/extensions"), {"names": names})
    for_anyone: Mapping[str, bool] = {str(name): bool(trusted) for name, trusted in rows}
    for name in names:
        if name not in for_anyone:
            package = extension_package(name, facts.server_major)
            yield f"extension {name} is not installed on the server: install {package}"
        elif not for_anyone[name] and not facts.is_superuser:
            yield (
                f"extension {name}: only a superuser may create it (it is not trusted), and {facts.role} is "
                "none: drop it at the source and back up anew, or restore as a superuser "
                "(restore.allow_superuser)"
            )


def _some(identities: Sequence[str]) -> str:
    further = len(identities) - _NAMED
    named = ", ".join(identities[:_NAMED])
    return f"{named} and {further} more" if further > 0 else named
