"""Which ids of keys are of the same material: what one opens, the other opens too. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def material_of(key: str) -> str:
    """Replicas of a multi-Region key of AWS KMS have one id, and open what their siblings wrapped.

    https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html
    """
    last = key.rpartition("/")[2]
    return last if key.startswith("arn:") and last.startswith("mrk-") else key


def is_among(key: str, keys: Iterable[str]) -> bool:
    """Whether one of these is of the same material: that very key, or a replica of it."""
    wanted = material_of(key)
    return any(material_of(one) == wanted for one in keys)
