"""Every error Backstop raises on purpose: it names the object and the next step.

``retryable`` says whether time alone may heal it; shells (operators, CLI) decide by it whether to try
again. ``exit_code`` is what ``python -m backstop`` ends with (documented in docs/cli.md).
"""

from __future__ import annotations


class BackstopError(Exception):
    """Base of all expected failures.

    :param message: what happened, naming the object it happened to.
    :param hint: the next step for whoever reads it; by default the one that its kind always has.
    """

    next_step = ""
    retryable = False
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.next_step

    def __str__(self) -> str:
        return f"{self.message} — {self.hint}" if self.hint else self.message


class ConfigurationError(BackstopError):
    """targets.yaml, credentials or arguments are wrong."""

    exit_code = 2


class NotFoundError(BackstopError):
    """A named backup, target or object does not exist."""

    exit_code = 3


class IntegrityError(BackstopError):
    """Stored bytes are not what was written: damaged, cut, swapped, or signed by nobody we trust."""

    exit_code = 4


class VerificationError(BackstopError):
    """A restored copy differs from the fingerprint taken in the backup's own snapshot."""

    exit_code = 4


class StorageError(BackstopError):
    """A repository refused an operation for a reason that time will not heal."""


class StorageUnavailableError(StorageError):
    """A repository did not answer, or answered that it is busy, until patience ran out."""

    next_step = "run again later"
    retryable = True
    exit_code = 5


class ObjectMissingError(StorageError, NotFoundError):
    """No object under that key."""

    next_step = "read it from another repository, or choose another backup"
    exit_code = 3


class ObjectTooLargeError(StorageError, IntegrityError):
    """An object larger than anything that is written under such a name: it is not read, nor believed."""

    next_step = "nothing Backstop wrote there is so large: find out who did, and remove it"
    exit_code = 4


class FormatTooNewError(StorageError, IntegrityError):
    """Written by a newer Backstop in a form that this one might misread: nothing of it is used or changed."""

    next_step = "upgrade Backstop: docs/upgrading.md"
    exit_code = 4


class ObjectConflictError(StorageError):
    """Another object with other content already has this name; it is never overwritten."""


class StorageFullError(StorageError):
    """No space left where the repository or the spool lives."""


class KeyUnavailableError(BackstopError):
    """The key ring is missing, unreadable, or holds no key that opens the object."""


class KeyServiceUnavailableError(KeyUnavailableError):
    """The key service (AWS KMS) did not answer, or answered that it is busy."""

    retryable = True
    exit_code = 5


class KeyInUseError(BackstopError):
    """Something that is stored needs the key, or may need it: it stays."""

    exit_code = 4


class LeaseHeldError(BackstopError):
    """Someone else is writing this kind of backup of this target now."""

    retryable = True
    exit_code = 5


class LeaseLostError(BackstopError):
    """Our lease expired or was taken over; nothing may be published under it any more."""

    retryable = True
    exit_code = 5


class BackupExpiringError(BackstopError):
    """The backup is being expired at this moment: it either stays, or is gone soon."""

    next_step = "run it again once that expiry has ended"
    retryable = True
    exit_code = 5


class ExpiryRefusedError(BackstopError):
    """Nothing was removed: there is no plan that was shown and, where policy asks for it, approved."""


class InventoryTooNewError(BackstopError):
    """A newer Backstop has migrated the inventory: this one neither reads nor writes it. Backups go on."""

    next_step = "upgrade this Backstop, too: docs/upgrading.md"


class SourceError(BackstopError):
    """The protected PostgreSQL server cannot be backed up as it is."""


class SourceBusyError(SourceError):
    """A session of the application had to wait for us, so the backup yielded; try again later."""

    retryable = True
    exit_code = 5


class SourceUnavailableError(SourceError):
    """The protected PostgreSQL server did not answer."""

    retryable = True
    exit_code = 5


class WalLostError(SourceError):
    """The protected server no longer has WAL that the archive still needs; nothing brings it back."""

    next_step = "take a new base backup; recovery cannot pass the gap"


class SlotMissingError(WalLostError):
    """The slot is not there: dropped, or not made yet on a server that has just taken another's place."""


class RecoveryPointError(BackstopError):
    """A disaster now would cost more than the recovery point objective allows, or WAL is missing."""

    next_step = "see that archive-wal runs, and what its log waits for"


class ToolError(BackstopError):
    """A PostgreSQL tool is missing, too old, was killed, or exited non-zero."""


class ScratchError(BackstopError):
    """The scratch server could not be set up, isolated or removed."""


class RestoreError(BackstopError):
    """A restore stopped before anything live was touched."""


class RecoveryImpossibleError(RestoreError):
    """What is stored does not lead to the recovery target; the hint says what the nearest possible is.

    :param nearest: a ``RecoveryTarget`` that can be recovered to; None when there is none.
    """

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "", nearest: object | None = None) -> None:
        super().__init__(message, hint=hint)
        self.nearest = nearest


class DrillFailedError(BackstopError):
    """A rehearsed disaster showed that something would not come back, or not as it should."""


class SwapBlockedError(RestoreError):
    """Something in the live database forbids renaming it; each reason is named."""


class CommandError(BackstopError):
    """A command of the target (stop, start, probe) failed or ran out of time."""
