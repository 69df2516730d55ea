"""What an expiry is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.model.backup import BackupLabel
    from backstop.model.retention import RetentionPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpirySettings:
    """Of one repository.

    :param policies: what it keeps, by the kind of the backup.
    :param accepted: backups whose drop in rows or files somebody has looked at.
    :param holder: who expires, in words, for whoever is kept waiting.
    """

    policies: Callable[[BackupLabel], RetentionPolicy]
    accepted: frozenset[BackupLabel] = frozenset()
    holder: str = "expire"
