"""What the verbs about legacy backups begin with: their places, and what is recorded of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.output import say
from backstop.cli.session import Session
from backstop.commands.legacy.known import LegacyStock, look_at
from backstop.settings.legacy import legacy_places, legacy_records

if TYPE_CHECKING:
    import argparse

    from backstop.model.access import AccessRole


class LegacySession(Session):
    """One run of such a verb on one target.

    :raises ConfigurationError: the target has no legacy backups.
    """

    def __init__(self, arguments: argparse.Namespace, role: AccessRole) -> None:
        super().__init__(arguments, role)
        self.places = legacy_places(
            self.configuration, self.target_name, self.credentials, only=arguments.repository
        )
        self.records = legacy_records(self.configuration, self.target_name, self.places, self.credentials)

    def stock(self) -> LegacyStock:
        """Everything there is; what cannot be read is named on stderr."""
        stock = look_at(self.places, self.records)
        for where, error in stock.failed.items():
            say(f"backstop: {where} cannot be read: {error.message}")
        for unreadable in stock.unreadable:
            say(f"backstop: a proof is not to be trusted: {unreadable.message}")
        return stock
