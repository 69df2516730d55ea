"""What targets.yaml says of credentials by role, of locks on what is stored, and of who starts what."""

# ruff: noqa: TC001 pydantic evaluates the annotations
from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import field_validator

from backstop.model.access import AccessRole
from backstop.targets.fields import ConnId, Duration, Text
from backstop.targets.section import Section


class RepositoryConnections(Section):
    """Airflow connections by role: a stolen one can do what its role can, and nothing else.

    A role without one takes `conn_id` of the repository.
    """

    writer: ConnId | None = None
    """Puts backups and WAL; reads no payload, deletes nothing."""
    sync: ConnId | None = None
    """Moves ciphertext between repositories."""
    restorer: ConnId | None = None
    """Reads backups to restore them."""
    verifier: ConnId | None = None
    """Reads backups, and puts proofs, evidence and holds."""
    expirer: ConnId | None = None
    """Deletes what retention lets go."""
    healer: ConnId | None = None
    """Replaces damaged objects."""
    auditor: ConnId | None = None
    """Reads what is said of backups, never what is in them."""
    preparer: ConnId | None = None
    """Sets up and checks the bucket itself."""

    def of(self, role: AccessRole | None) -> str | None:
        """The connection of that role, if it has one of its own."""
        found: str | None = getattr(self, role.value) if role is not None else None
        return found


class KeyConnections(Section):
    """Airflow connections for AWS KMS by what is asked of it; without one, `conn_id` of the keys."""

    encrypt: ConnId | None = None
    """Wraps data keys, opens none: for backups and WAL."""
    decrypt: ConnId | None = None
    """Opens data keys: for restores and verifications."""
    inspect: ConnId | None = None
    """Looks at the key, for the watch; uses and changes nothing."""
    administer: ConnId | None = None
    """Has the key rotated; uses it for nothing."""


class ObjectLock(Section):
    """S3 Object Lock: until a date, nobody deletes or overwrites what is stored."""

    mode: Literal["governance", "compliance"]
    """compliance: not even the account's owner, nor AWS, can undo it; governance: a special right can."""
    margin: Duration = timedelta(days=1)
    """How much longer than retention asks for: whole days, as expiry, which locks on, comes once a day."""

    @field_validator("margin")
    @classmethod
    def _in_whole_days(cls, margin: timedelta) -> timedelta:
        if margin % timedelta(days=1):
            raise ValueError("expected whole days, such as 1d: what is kept on is locked on once a day")
        return margin


class Access(Section):
    """Roles of Airflow that may start and approve what brings back, or takes away; others with the FAB auth
    manager may not, unless their role has rights over all DAGs.

    A role has to exist before it is named here: Airflow refuses to take up a DAG that names an unknown one.
    """

    restore: list[Text] | None = None
    """Restore, recover to a point in time, swap back."""
    expire: list[Text] | None = None
    """Expire backups, place and release holds."""
    disaster: list[Text] | None = None
    """Recover from a disaster."""
    keys: list[Text] | None = None
    """Rotate keys."""
