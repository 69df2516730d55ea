"""Which keys wrapped the data key of a stored message, from its header alone; nothing is opened."""

from __future__ import annotations

from typing import BinaryIO

from backstop.crypto.sdk import load_sdk
from backstop.errors import IntegrityError

_MOST_WRAPPED_KEYS = 20


def wrapping_keys(source: BinaryIO, *, name: str) -> tuple[str, ...]:
    """Ids as manifests write them, sorted.

    Not authenticated: who can change the object can make it say what they like; then it does not open either.

    :raises IntegrityError: it is no message of ours.
    """
    load_sdk()
    from aws_encryption_sdk.internal.formatting.deserialize import deserialize_header

    from backstop.crypto.materials import key_id_of

    try:
        header, _ = deserialize_header(source, _MOST_WRAPPED_KEYS)
        return tuple(sorted(key_id_of(wrapped) for wrapped in header.encrypted_data_keys))
    except Exception as error:  # damaged bytes reach parsers that raise whatever they meet
        raise IntegrityError(
            f"object {name} has no readable header ({type(error).__name__})",
            hint="check it: `python -m backstop check-objects`",
        ) from error
