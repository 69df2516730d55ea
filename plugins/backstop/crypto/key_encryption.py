"""Key encryption keys: what wraps and opens the data key of every payload object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCAL_PROVIDER = "backstop-local"
ESCROW_PROVIDER = "backstop-escrow"


@dataclass(frozen=True, slots=True)
class KeyEncryptionKey:
    """One key of a ring.

    :param id: as manifests write it: ``backstop-local/<id>``, ``backstop-escrow/<id>``, a KMS key ARN.
    :param master_key: the AWS Encryption SDK's ``MasterKey`` for it.
    :param wraps: new data keys are wrapped by it.
    :param opens: it can open what it wrapped (a public half cannot).
    :param required: an object is not written without it.
    """

    id: str
    master_key: Any = field(repr=False)
    wraps: bool = True
    opens: bool = True
    required: bool = True


class Keyring(Protocol):
    """Keys that wrap new data keys, and keys that open old ones."""

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of the keys that wrap new objects, the generator first."""
        ...

    def encryption_keys(self) -> Sequence[KeyEncryptionKey]:
        """All keys: to wrap, the first that wraps generates; to open, each is tried in this order."""
        ...

    def check(self, *, opening: bool = True) -> tuple[str, ...]:
        """Wrap and open a throw-away data key with every key that wraps.

        :param opening: False where this role may encrypt but not decrypt.
        :returns: ids of optional keys that did not work: an alert, not a reason to stop.
        :raises KeyUnavailableError: a required key did not work, or none did.
        """
        ...
