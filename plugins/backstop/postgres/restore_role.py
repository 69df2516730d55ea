"""May this role restore here, and what should whoever approves it know about the server?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.errors import RestoreError
from backstop.sql import load_sql

if TYPE_CHECKING:
    import psycopg

_HINT = "grant this role what include/sql/roles/restore_role.sql lists"


@dataclass(frozen=True, slots=True)
class RestoreFacts:
    """The server as the restore role sees it.

    :param role: the restore role's name.
    :param slots: replication slots by name, with the WAL bytes that may still be written before each is lost.
    """

    role: str
    is_superuser: bool
    may_create_roles: bool
    server_major: int
    slots: tuple[tuple[str, int], ...]

    def warnings(self, plain_bytes: int) -> tuple[str, ...]:
        """:param plain_bytes: size of the dump; loading it writes at least as much WAL."""
        return tuple(
            f"the restore writes some {plain_bytes} bytes of WAL, and replication slot {name} is lost after "
            f"{safe_bytes} (max_slot_wal_keep_size)"
            for name, safe_bytes in self.slots
            if safe_bytes < plain_bytes
        )


def check_restore_role(
    session: psycopg.Connection[Any], *, owner: str, allow_superuser: bool
) -> RestoreFacts:
    """Look, change nothing.

    :param owner: of the database to restore; it need not exist yet.
    :raises RestoreError: the role is a superuser and that is not allowed, or it lacks a right.
    """
    row = session.execute(load_sql("restore/role"), {"owner": owner}).fetchone()
    if row is None:  # pragma: no cover - a SELECT without FROM returns a row
        raise AssertionError("the role question returned nothing")
    role, is_superuser, may_create_databases, may_create_roles, owner_exists, is_member = row
    if is_superuser and not allow_superuser:
        raise RestoreError(
            f"role {role} is a superuser, and what a dump contains is code",
            hint="restore as a role made by include/sql/roles/restore_role.sql, "
            "or set restore.allow_superuser in targets.yaml",
        )
    if not may_create_databases:
        raise RestoreError(f"role {role} may not create databases", hint=_HINT)
    if owner_exists and not is_member:
        raise RestoreError(f"role {role} is no member of {owner}, the database's owner", hint=_HINT)
    return RestoreFacts(
        role=role,
        is_superuser=is_superuser,
        may_create_roles=may_create_roles,
        server_major=session.info.server_version // 10000,
        slots=tuple(session.execute(load_sql("restore/slots")).fetchall()),
    )
