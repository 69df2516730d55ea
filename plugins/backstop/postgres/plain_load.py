"""Loads a plain dump into an empty database, statement by statement, in one transaction.

Each statement goes to the server by itself (the extended protocol takes no two in one), so what the text says
and what the server runs cannot come apart; and nothing of it runs outside of the transaction, in which
PostgreSQL refuses to create, drop or move other databases.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq

from backstop.errors import BackstopError, RestoreError, ScratchError, StorageFullError, ToolError
from backstop.postgres.plain_refusals import refuse_beyond
from backstop.postgres.restore_failures import explain_restore_failure

if TYPE_CHECKING:
    from backstop.postgres.plain_dump import PlainDump, Statement

# pg_dump brackets large objects with these; everything is one transaction here.
_BRACKETS = (b"BEGIN;", b"COMMIT;")
# A copy has neither the source's disks nor its publishers, nor its name.
_LEFT_OUT = re.compile(
    rb"SET default_tablespace = .*;|(?:CREATE|ALTER|COMMENT ON) SUBSCRIPTION .*"
    # Until version 10 pg_dump wrote what the source's database was called, and said of it, into every dump.
    rb"|(?:COMMENT|SECURITY LABEL(?: FOR \S+)?) ON DATABASE .*",
    re.DOTALL,
)
_DECORATION = re.compile(rb"COMMENT ON EXTENSION .*", re.DOTALL)
# PostgreSQL docs, appendix A.
_CUT_OFF = ("08", "57P", "53200", "53300", "58")
_DISK_FULL = "53100"
# The one that nobody can create.
_NO_ROLE_EVER = 'role "public" does not exist'
_ABOUT_VALUES = ("22", "23")


def load_plain_dump(session: psycopg.Connection[Any], dump: PlainDump) -> list[str]:
    """Run it all in the session's transaction, which the caller has begun and ends.

    :returns: notes on what was left out.
    :raises IntegrityError: the dump is not whole; :raises RestoreError: it does not restore here.
    :raises BackstopError: nothing is said against the dump: the server went away, is full, …
    """
    notes: list[str] = []
    with session.cursor() as cursor:
        for statement in dump:
            if statement.text in _BRACKETS:
                continue
            if _LEFT_OUT.fullmatch(statement.text):
                if b"CREATE SUBSCRIPTION" in statement.text[:19]:
                    notes.append(f"line {statement.line}: a subscription was left out")
                continue
            refuse_beyond(statement)
            try:
                _run(session, cursor, statement, dump, notes)
            except psycopg.Error as error:
                raise _explained(error, statement, session) from None
            if session.info.transaction_status != pq.TransactionStatus.INTRANS:
                raise RestoreError(
                    f"line {statement.line} of the dump ends the transaction it is restored in",
                    hint="pg_dump writes nothing of the kind: find out who wrote it, restore another backup",
                )
    return notes


def _run(
    session: psycopg.Connection[Any],
    cursor: psycopg.Cursor[Any],
    statement: Statement,
    dump: PlainDump,
    notes: list[str],
) -> None:
    if statement.table is not None:
        with cursor.copy(statement.text) as copy:
            for block in dump.rows():
                copy.write(block)
    elif _DECORATION.fullmatch(statement.text):
        # The extension is the server administrator's, and so is its comment.
        try:
            with session.transaction():
                cursor.execute(statement.text, binary=True, prepare=False)
        except psycopg.errors.InsufficientPrivilege:
            notes.append(f"line {statement.line}: the comment of an extension was left as it is")
    else:
        # binary: the extended protocol, even without parameters.
        cursor.execute(statement.text, binary=True, prepare=False)


def _explained(error: psycopg.Error, statement: Statement, session: psycopg.Connection[Any]) -> BackstopError:
    code = error.sqlstate or ("08" if session.broken else "")
    message = error.diag.message_primary or str(error)
    where = f"line {statement.line} of the dump"
    if code == _DISK_FULL:
        return StorageFullError(f"{where}: {message}", hint="free space where the server keeps its data")
    if code.startswith(_CUT_OFF):
        return ToolError(
            f"the restore was cut off at {where}: {message}",
            hint="nothing is said against the backup: see the server's log, then try again (out of shared "
            "memory: raise max_locks_per_transaction)",
        )
    missing = (
        None if session.closed else explain_restore_failure(message, session.info.server_version // 10000)
    )
    if missing is not None and message != _NO_ROLE_EVER:
        return ScratchError(missing, hint="install it on this server, then try again")
    if code.startswith(_ABOUT_VALUES):
        message = f"the server does not accept what stands there (SQLSTATE {code})"
    return RestoreError(
        f"the dump does not restore: {where}: {message}", hint="see why; other backups may restore"
    )
