"""What a server's refusal means to a base backup or a WAL receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import SourceBusyError, SourceError, SourceUnavailableError, WalLostError
from backstop.postgres.connection import source_error

if TYPE_CHECKING:
    import psycopg

# PostgreSQL docs, appendix A.
_SLOT_IN_USE = "55006"
_NO_SUCH_OBJECT = "42704"
_NOT_IN_STATE = "55000"
_NO_SUCH_FILE = "58P01"
_DUPLICATE = "42710"
_TOO_MANY = "53300"
_NO_FREE_SLOT = "53400"
_NO_PRIVILEGE = "42501"

# Before a session exists libpq passes on the server's words but not its SQLSTATE.
_REFUSED_WORDS = ("to start WAL sender", "to start walsender", "no pg_hba.conf entry for replication")
_PRIVILEGE_HINT = "the role needs the REPLICATION attribute, and pg_hba.conf a line for `replication`"


def replication_error(
    error: psycopg.Error, location: str, *, secret: str | None = None, slot: str | None = None
) -> SourceError:
    """As :func:`~backstop.postgres.connection.source_error`, with the next step of replication.

    :param slot: the slot that the command was about.
    """
    general = source_error(error, location, secret=secret)
    message, code = general.message, error.sqlstate
    if code == _SLOT_IN_USE:
        return SourceBusyError(
            message,
            hint="stop the other receiver; the server lets go of a dead one after its wal_sender_timeout",
        )
    if code == _NO_SUCH_FILE or "has already been removed" in message:
        return WalLostError(message)
    if slot is not None and code in (_NO_SUCH_OBJECT, _NOT_IN_STATE):
        return WalLostError(
            message, hint=f"drop and create slot {slot} anew, then take a new base backup: WAL is missing"
        )
    if code == _DUPLICATE:
        return SourceError(message, hint="use the slot that exists, or drop it first")
    if code == _TOO_MANY:
        return SourceUnavailableError(message, hint="raise max_wal_senders on the server")
    if code == _NO_FREE_SLOT:
        return SourceError(message, hint="drop a slot nobody uses, or raise max_replication_slots")
    if code == _NO_PRIVILEGE or any(words in message for words in _REFUSED_WORDS):
        return SourceError(message, hint=_PRIVILEGE_HINT)
    return general
