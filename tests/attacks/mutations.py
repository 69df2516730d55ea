"""A repository whose stored bytes somebody changes, and readers that must hand on the truth or nothing."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from backstop.crypto.envelope import decrypt_stream, object_context
from backstop.errors import BackstopError
from backstop.model.lsn import WalSegment
from backstop.repository.wal_archive import WalArchive
from backstop.repository.wal_sealing import seal_delta, seal_history, seal_segment
from backstop.storage.memory import MemoryStorage
from tests.making import STARTED, Maker

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.crypto.keyring import LocalKeyring
    from backstop.crypto.signing import Signer, TrustedSigners

SYSTEM = "7000000000000000001"
SEGMENT_BYTES = 1024 * 1024


@dataclass
class Stock:
    """Dumps, their proofs and WAL in one storage; what each reader found while nothing was changed.

    :param readers: by key, what reads it: returns what it would hand on.
    """

    storage: MemoryStorage
    readers: dict[str, Callable[[], Any]] = field(default_factory=dict)
    truth: dict[str, Any] = field(default_factory=dict)

    def changed(self, key: str, body: bytes) -> bool:
        """Whether a reader takes other bytes for the truth.

        :raises Exception: a reader failed by other than one of our errors.
        """
        good, info = self.storage._objects[key]
        self.storage._objects[key] = (body, info)
        try:
            found = self.readers[key]()
        except BackstopError:
            return False
        finally:
            self.storage._objects[key] = (good, info)
        if isinstance(found, frozenset):  # proofs: fewer may be believed, never others
            return not found <= self.truth[key]
        return bool(found != self.truth[key])

    def bytes_of(self, key: str) -> bytes:
        return self.storage._objects[key][0]


def make_stock(keyring: LocalKeyring, writer: Signer, verifier: Signer, trust: TrustedSigners) -> Stock:
    """Three dumps of a day each, all proven; two segments, a tail and a history."""
    storage = MemoryStorage()
    maker, stock = Maker(storage, keyring, writer, trust), Stock(storage)
    for day in range(3):
        table = Random(day).randbytes(20_000)
        published = maker.publish(
            started_at=STARTED + timedelta(days=day), files={"7.dat": table}, packed={"8.dat": b"small"}
        )
        maker.prove(published, signer=verifier)
        label = published.manifest.label
        stock.readers[maker.catalog.manifest_key(label)] = lambda label=label: maker.catalog.backup(label)
        for info in list(storage.list(f"calibrify/meta/proofs/{label}/")):
            stock.readers[info.key] = lambda one=published: frozenset(
                proof.finished_at for proof in maker.catalog.verifications(one).proofs
            )
        for stored in published.manifest.objects:
            stock.readers[stored.key] = lambda stored=stored, label=label: b"".join(
                decrypt_stream(
                    io.BytesIO(storage.read(stored.key)),
                    keyring=keyring,
                    context=object_context("calibrify", label.text, stored.key),
                    expected=stored,
                )
            )
    _add_wal(stock, keyring)
    stock.truth = {key: read() for key, read in stock.readers.items()}
    return stock


def _add_wal(stock: Stock, keyring: LocalKeyring) -> None:
    archive = WalArchive(stock.storage, "calibrify", SYSTEM)
    names = archive.names
    for number in (1, 2):
        segment = WalSegment(1, number, SEGMENT_BYTES)
        body = io.BytesIO(Random(number).randbytes(SEGMENT_BYTES))
        sealed = seal_segment(names, segment, body, None, keyring=keyring)
        archive.put(sealed)
        stock.readers[sealed.key] = lambda segment=segment: _segment(archive, segment, keyring)
    growing = WalSegment(1, 3, SEGMENT_BYTES)
    for offset in (0, 8192):
        piece = Random(offset).randbytes(8192)
        sealed = seal_delta(names, growing, offset_bytes=offset, data=piece, keyring=keyring)
        archive.put(sealed)
        stock.readers[sealed.key] = lambda: archive.read_tail(growing, keyring=keyring)
    sealed = seal_history(names, 2, b"1\t0/3000000\tno recovery target specified\n", keyring=keyring)
    archive.put(sealed)
    stock.readers[sealed.key] = lambda: archive.read_history(2, keyring=keyring)


def _segment(archive: WalArchive, segment: WalSegment, keyring: LocalKeyring) -> bytes:
    stored = archive.find(segment)
    assert stored is not None
    body = io.BytesIO(archive.storage.read(stored.key))
    plain = b"".join(decrypt_stream(body, keyring=keyring, context=archive.names.segment_context(segment)))
    archive._check(stored.key, stored.sha, _sha256(plain))
    return plain


def _sha256(data: bytes) -> str:
    from backstop.model.canonical import sha256_hex

    return sha256_hex(data)


@dataclass(frozen=True)
class Mutation:
    """What was done to one object, for whoever looks at one that was accepted."""

    kind: str
    key: str
    body: bytes = field(repr=False)


def mutate(stock: Stock, random: Random) -> Mutation:
    """One object, changed in one of seven ways; never into what it was."""
    keys = sorted(stock.readers)
    while True:
        key, other = random.choice(keys), random.choice(keys)
        good, foreign = stock.bytes_of(key), stock.bytes_of(other)
        at = random.randrange(len(good))
        kind = random.choice(["flip", "cut", "grow", "splice", "swap", "replay", "repeat"])
        match kind:
            case "flip":
                changed = bytearray(good)
                for _ in range(random.randint(1, 8)):
                    changed[random.randrange(len(good))] ^= 1 << random.randrange(8)
                body = bytes(changed)
            case "cut":
                body = good[:at]
            case "grow":
                body = good + random.choice([b"\0", foreign, random.randbytes(random.randint(1, 64))])
            case "splice":
                body = good[:at] + foreign[min(at, len(foreign)) :]
            case "repeat":
                body = good[:at] + good[random.randrange(len(good)) :]
            case _:  # another valid object, of the same kind (an older one under a newer name) or of any
                alike = [one for one in keys if one.split("/")[1:3] == key.split("/")[1:3]]
                body = stock.bytes_of(random.choice(alike if kind == "replay" else keys))
        if body != good:
            return Mutation(kind, key, body)
