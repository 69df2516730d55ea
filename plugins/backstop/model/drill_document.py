"""Drills and their sign-offs as JSON: in evidence, in the inventory, between tasks. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backstop.model.documents import Codec
from backstop.model.drill import DrillRecord, SignOff

if TYPE_CHECKING:
    from collections.abc import Mapping


def drill_document(record: DrillRecord) -> dict[str, Any]:
    """Of JSON's types alone: times as ``2026-11-26T12:00:00.000000Z``, durations in seconds."""
    return _drills().document(record)


def drill_from(document: Mapping[str, Any]) -> DrillRecord:
    """The inverse; what it does not know is left out.

    :raises IntegrityError: it is malformed.
    """
    return _drills().read(document, name=f"drill {document.get('drill_id')!r}")


def sign_off_document(sign_off: SignOff) -> dict[str, Any]:
    """What somebody said of a drill whose own record was written before."""
    return _sign_offs().document(sign_off)


def sign_off_from(document: Mapping[str, Any], *, drill_id: str) -> SignOff:
    """The inverse. :param drill_id: which drill it is of.

    :raises IntegrityError: it is malformed.
    """
    return _sign_offs().read(document, name=f"sign-off of {drill_id!r}")


@lru_cache(1)
def _drills() -> Codec[DrillRecord]:
    return Codec(DrillRecord)


@lru_cache(1)
def _sign_offs() -> Codec[SignOff]:
    return Codec(SignOff)
