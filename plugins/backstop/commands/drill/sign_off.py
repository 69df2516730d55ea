"""Keeps what somebody said of a drill: in the evidence of every repository, and in the inventory."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from backstop.commands.evidence.record import record_evidence
from backstop.errors import BackstopError
from backstop.model.drill_document import sign_off_document
from backstop.model.evidence import EvidenceKind
from backstop.repository.drills import store_sign_off

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from backstop.crypto.signing import DocumentSigner
    from backstop.model.drill import SignOff
    from backstop.model.evidence import EvidenceRecord
    from backstop.repository.catalog import Repository
    from backstop.repository.inventory import Inventory


def sign_off_drill(
    drill_id: str,
    said: SignOff,
    *,
    target: str,
    repositories: Sequence[Repository],
    signer: Callable[[], DocumentSigner],
    render: Callable[[EvidenceRecord], str],
    inventory: Inventory | None,
    now: datetime,
    unopened: Mapping[str, BackstopError] = MappingProxyType({}),
) -> list[str]:
    """Evidence first: the inventory can be made again from it.

    :param render: makes the report of an evidence record.
    :param unopened: by name, repositories that should have taken it too, and why they could not be opened.
    :returns: what could not be written, a sentence each; the next watch or rebuild makes up for it.
    :raises BackstopError: no repository took it, so that nobody has signed anything off.
    """
    recorded = record_evidence(
        EvidenceKind.SIGN_OFF,
        drill_id,
        sign_off_document(said),
        repositories=repositories,
        signer=signer,
        happened_at=said.at,
        now=now,
        render=render,
        inventory=inventory,
        unopened=unopened,
    )
    missing = recorded.sentences()
    if inventory is not None:
        try:
            if not store_sign_off(inventory, target, drill_id, said):
                missing.append(f"the inventory knows no drill {drill_id} of {target}: rebuild it")
        except BackstopError as error:
            missing.append(f"the inventory did not take it: {error}")
    return missing
