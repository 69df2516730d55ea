"""Incidents as JSON: in evidence and in the inventory. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backstop.model.documents import Codec
from backstop.model.incident_record import IncidentRecord

if TYPE_CHECKING:
    from collections.abc import Mapping


def incident_document(record: IncidentRecord) -> dict[str, Any]:
    """Of JSON's types alone: times as ``2026-11-26T12:00:00.000000Z``, durations in seconds."""
    return _incidents().document(record)


def incident_from(document: Mapping[str, Any]) -> IncidentRecord:
    """The inverse; what it does not know is left out.

    :raises IntegrityError: it is malformed.
    """
    return _incidents().read(document, name=f"incident {document.get('incident_id')!r}")


@lru_cache(1)
def _incidents() -> Codec[IncidentRecord]:
    return Codec(IncidentRecord)
