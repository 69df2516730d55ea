"""Key rings: a file with generations of AES keys, and several rings as one."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from backstop.crypto.key_encryption import LOCAL_PROVIDER, KeyEncryptionKey, Keyring
from backstop.crypto.key_files import create_file, read_key_file, replace_file
from backstop.crypto.sdk import load_sdk
from backstop.errors import KeyUnavailableError
from backstop.model.canonical import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_FORMAT = 1
_KEY_BYTES = 32


class CombinedKeyring:
    """A primary ring and further ones: wraps with the wrapping keys of all, opens with any.

    :param further_required: False writes without a further key that is out of reach; it is then missing
        from the object's and the manifest's ``keys``, which is what alerts read.
    """

    def __init__(self, primary: Keyring, *further: Keyring, further_required: bool = True) -> None:
        self._primary = primary
        self._further = further
        self._further_required = further_required

    @property
    def key_ids(self) -> tuple[str, ...]:
        return tuple(key_id for ring in (self._primary, *self._further) for key_id in ring.key_ids)

    def encryption_keys(self) -> tuple[KeyEncryptionKey, ...]:
        further = (key for ring in self._further for key in ring.encryption_keys())
        return (
            *self._primary.encryption_keys(),
            *(replace(key, required=key.required and self._further_required) for key in further),
        )

    def check(self, *, opening: bool = True) -> tuple[str, ...]:
        return check_keys(self, opening=opening)


@dataclass(frozen=True, slots=True)
class KeyGeneration:
    """One raw AES-256 key of a local ring.

    :param id: the second it was made and the start of its SHA-256: a ring that was edited shows.
    """

    id: str
    created_at: datetime
    key: bytes = field(repr=False)

    @classmethod
    def generate(cls, now: datetime) -> KeyGeneration:
        key = os.urandom(_KEY_BYTES)
        return cls(_generation_id(now, key), now, key)

    def to_dict(self) -> dict[str, str]:
        return {
            "created_at": format_time(self.created_at),
            "id": self.id,
            "key": base64.b64encode(self.key).decode(),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, str]) -> KeyGeneration:
        """:raises ValueError: malformed, or the key is not the one its id was made for."""
        key = base64.b64decode(raw["key"], validate=True)
        created_at = parse_time(raw["created_at"])
        if len(key) != _KEY_BYTES or raw["id"] != _generation_id(created_at, key):
            raise ValueError(f"key {raw['id']!r} is not the one that was written")
        return cls(raw["id"], created_at, key)


class LocalKeyring:
    """Raw AES-256 keys in a file of mode 0600: several generations, the last wraps, all open.

    The file is ``{"format": 1, "keys": [{"id", "created_at", "key"}, …]}``, the key in base64, the
    oldest first. It never leaves the machine by our doing: an escrow copy is the operator's to make.
    """

    def __init__(self, path: Path, generations: Sequence[KeyGeneration]) -> None:
        self.path = path
        self.generations = tuple(generations)

    @classmethod
    def load(cls, path: Path) -> LocalKeyring:
        """:raises KeyUnavailableError: missing, malformed, of another owner, or open to others."""
        data = read_key_file(path, what="key ring")
        try:
            document = json.loads(data)
            if document["format"] != _FORMAT:
                raise ValueError(f"format {document['format']!r}; this program reads {_FORMAT}")
            generations = [KeyGeneration.from_dict(raw) for raw in document["keys"]]
            if not generations:
                raise ValueError("it holds no key")
            if len({generation.id for generation in generations}) < len(generations):
                raise ValueError("two keys have the same id")
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            # JSON errors quote positions, never content; still, no cause: its `doc` holds the keys.
            reason = f"{error}" if type(error) is ValueError else type(error).__name__
            raise KeyUnavailableError(
                f"key ring {path} is malformed: {reason}",
                hint="bring its escrow copy back; never edit it by hand",
            ) from None
        return cls(path, generations)

    @classmethod
    def create(cls, path: Path, now: datetime) -> LocalKeyring:
        """A new ring of one generation.

        :raises KeyUnavailableError: a file is there already; it is left as it is.
        """
        ring = cls(path, [KeyGeneration.generate(now)])
        create_file(path, ring._document(), what="key ring")
        return ring

    def add_generation(self, now: datetime) -> LocalKeyring:
        """The ring with a new key that wraps from now on, durable before it is returned.

        What is in the file counts, not what was loaded: two callers add two generations.
        """
        with _locked_directory(self.path.parent):
            current = LocalKeyring.load(self.path)
            ring = LocalKeyring(self.path, [*current.generations, KeyGeneration.generate(now)])
            replace_file(self.path, ring._document(), what="key ring")
        return ring

    def remove_generation(self, generation: str) -> LocalKeyring:
        """The ring without that key, durable before it is returned. Whether something needs it, ask before
        (commands/keys/removal.py).

        What is in the file counts, not what was loaded; the newest key stays whatever is asked.

        :raises KeyUnavailableError: the file cannot be read, or written.
        """
        with _locked_directory(self.path.parent):
            current = LocalKeyring.load(self.path).generations
            left = [one for one in current[:-1] if one.id != generation]
            ring = LocalKeyring(self.path, [*left, current[-1]])
            replace_file(self.path, ring._document(), what="key ring")
        return ring

    @property
    def key_ids(self) -> tuple[str, ...]:
        return (f"{LOCAL_PROVIDER}/{self.generations[-1].id}",)

    def encryption_keys(self) -> tuple[KeyEncryptionKey, ...]:
        from backstop.crypto.raw_keys import aes_master_key

        newest = self.generations[-1]
        return tuple(
            KeyEncryptionKey(
                id=f"{LOCAL_PROVIDER}/{generation.id}",
                master_key=aes_master_key(generation.id, generation.key),
                wraps=generation is newest,
            )
            for generation in reversed(self.generations)
        )

    def check(self, *, opening: bool = True) -> tuple[str, ...]:
        return check_keys(self, opening=opening)

    def _document(self) -> bytes:
        keys = [generation.to_dict() for generation in self.generations]
        return json.dumps({"format": _FORMAT, "keys": keys}, indent=2).encode() + b"\n"


def check_keys(keyring: Keyring, *, opening: bool) -> tuple[str, ...]:
    """:meth:`Keyring.check` for any ring."""
    load_sdk()
    from backstop.crypto.materials import check_materials

    return check_materials(keyring, opening=opening)


def _generation_id(created_at: datetime, key: bytes) -> str:
    # 32 bits of the hash of a random 256-bit key give nothing away.
    return f"{created_at.astimezone(timezone.utc):%Y%m%dT%H%M%SZ}-{hashlib.sha256(key).hexdigest()[:8]}"


@contextmanager
def _locked_directory(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
