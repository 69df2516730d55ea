"""Opens what evidence takes: the key that signs it, the other repositories, the inventory, the reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.wiring.keys import open_evidence_signer
from backstop.wiring.servers import open_inventory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backstop.commands.evidence.book import EvidenceBook
    from backstop.credentials import CredentialSource
    from backstop.model.evidence import EvidenceRecord
    from backstop.repository.catalog import Repository
    from backstop.targets import Configuration


def evidence_book(
    configuration: Configuration,
    target_name: str,
    credentials: CredentialSource,
    *,
    witnesses: Callable[[], Sequence[Repository]],
) -> EvidenceBook:
    """What makes evidence of the target's proofs. Nothing is opened yet.

    :param witnesses: opens the target's repositories.
    """
    from backstop.commands.evidence.book import EvidenceBook

    return EvidenceBook(
        signer=lambda: open_evidence_signer(configuration, target_name, credentials),
        witnesses=witnesses,
        inventory=lambda: open_inventory(configuration, credentials),
        render=draw_report,
    )


def draw_report(record: EvidenceRecord) -> str:
    """The page of one record. Templates are loaded when the first is drawn."""
    from backstop.reports import render_report

    return render_report(record)
