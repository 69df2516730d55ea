"""Who may do what in a repository (docs/format.md, "Who may do what")."""

from __future__ import annotations

from enum import Enum


class AccessRole(str, Enum):
    """What somebody comes to a repository for; each asks for the credentials of this role alone."""

    WRITER = "writer"
    """Puts backups and WAL, and signs manifests; reads no payload, deletes nothing."""
    SYNC = "sync"
    """Moves ciphertext from one repository to another; has no key that opens it."""
    RESTORER = "restorer"
    """Reads and opens backups; puts pins and incidents."""
    VERIFIER = "verifier"
    """As the restorer; also signs proofs, evidence and releases of holds."""
    EXPIRER = "expirer"
    """Deletes what retention lets go; reads no payload."""
    HEALER = "healer"
    """As the expirer; also replaces a damaged object by a good one."""
    AUDITOR = "auditor"
    """Reads what is said of backups, and checks signatures; reads no payload."""
    PREPARER = "preparer"
    """Sets up the bucket: its policy, its versions, its rules; reads no payload."""
