"""What ``python -m backstop`` ends with. Every code is one of these, or an error's own, which is one too."""

from __future__ import annotations

from backstop.errors import (
    BackstopError,
    ConfigurationError,
    IntegrityError,
    NotFoundError,
    StorageUnavailableError,
)

DONE = 0
FAILED = BackstopError.exit_code
DECLINED = FAILED
"""Somebody was asked, and did not say yes."""
DIFFERENT = FAILED
"""Something is otherwise than it should be, and no backup has suffered."""
MISCONFIGURED = ConfigurationError.exit_code
NOT_FOUND = NotFoundError.exit_code
DAMAGED = IntegrityError.exit_code
TRY_AGAIN = StorageUnavailableError.exit_code
PARTIAL = 6
"""Done, but not in every repository."""

EXIT_CODES = f"""\
exit codes:
  {DONE}  done
  {FAILED}  failed for a reason that time will not heal, not confirmed, or something differs or is left
  {MISCONFIGURED}  targets.yaml, credentials or arguments are wrong
  {NOT_FOUND}  no such backup, target or object
  {DAMAGED}  a backup is damaged, or differs from what was backed up; or somebody must look
  {TRY_AGAIN}  try again later: something is busy or does not answer
  {PARTIAL}  the backup is complete, or the hold placed or released, but not in every repository
"""
