"""A line of a checklist as JSON: between tasks, and in the journal of an incident. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backstop.model.documents import Codec
from backstop.model.measured import CheckedItem

if TYPE_CHECKING:
    from collections.abc import Mapping


def checked_document(one: CheckedItem) -> dict[str, Any]:
    """Of JSON's types alone."""
    return _codec().document(one)


def checked_from(document: Mapping[str, Any]) -> CheckedItem:
    """The inverse. :raises IntegrityError: it is malformed."""
    return _codec().read(document, name=f"checked item {document.get('item')!r}")


@lru_cache(1)
def _codec() -> Codec[CheckedItem]:
    return Codec(CheckedItem)
