"""The WAL of one cluster in one repository: put, listed, read back and checked.

WAL needs no lease: names are by content, so that any number of writers can only agree or visibly differ.
Nothing here trusts a name further than its hash: what is read is compared with it before it is handed on.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from backstop.crypto.envelope import decrypt_stream, decrypt_to_file
from backstop.errors import (
    IntegrityError,
    ObjectConflictError,
    ObjectMissingError,
    StorageError,
    StorageUnavailableError,
)
from backstop.model.canonical import sha256_hex
from backstop.model.lsn import WalSegment
from backstop.repository.description import refuse_newer
from backstop.repository.wal_names import WalNames, by_segment, conflicting, covering

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from backstop.crypto.key_encryption import Keyring
    from backstop.model.lsn import Lsn
    from backstop.repository.wal_names import StoredDelta, StoredHistory, StoredSegment
    from backstop.repository.wal_sealing import SealedWal
    from backstop.storage.base import ObjectInfo, Storage

_MOST_ABSENT_TIMELINES = 64
_LISTINGS_AT_ONCE = 16
_CONFLICT_HINT = (
    "two servers have written WAL under this target: find out which one is the real one, and take a new "
    "base backup of it"
)
_DAMAGED_HINT = "read it from another repository, or recover to a point before it"


class WalArchive:
    """One cluster's WAL below ``<target>/data/wal/<system id>/`` and ``<target>/tail/<system id>/``."""

    def __init__(self, storage: Storage, target: str, system_id: str) -> None:
        self.storage = storage
        self.names = WalNames(target, system_id)
        self._refused_newer = False

    # -- Writing ---------------------------------------------------------------------------------------------

    def put(self, sealed: SealedWal) -> ObjectInfo | None:
        """Store it durably; None when its name is there already, which is success: names are by content.

        Ciphertext is randomised, so an earlier one of the same plaintext has other bytes; a role that may not
        read them cannot compare, but may list the name.

        :raises StorageError: it could not be stored; :raises FormatTooNewError: the repository is too new.
        """
        if not self._refused_newer:
            refuse_newer(self.storage)
            # Asked once: a receiver has thousands of these, and asks again by itself from time to time.
            self._refused_newer = True
        try:
            if isinstance(sealed.body, bytes) and not sealed.whole:
                return self.storage.put_once(sealed.key, sealed.body)
            return self.storage.upload(sealed.key, sealed.body)
        except ObjectConflictError:
            return None
        except StorageUnavailableError:
            raise
        except StorageError:
            if self.has(sealed.key):
                return None
            raise

    def has(self, key: str) -> bool:
        """Whether an object has exactly this key; needs the right to list only."""
        return any(info.key == key for info in self.storage.list(key))

    # -- Listing ---------------------------------------------------------------------------------------------

    def other_system(self) -> str | None:
        """The system identifier of another cluster whose WAL is here while ours has none; else None.

        Two names are looked at, whatever the size of the archive.
        """
        if next(iter(self.storage.list(self.names.whole)), None) is not None:
            return None
        first = next(iter(self.storage.list(self.names.all_systems)), None)
        return first.key.removeprefix(self.names.all_systems).partition("/")[0] if first else None

    def has_timeline(self, timeline: int) -> bool:
        """Whether anything of the timeline's WAL is here, whole or growing."""
        prefixes = (self.names.timeline(timeline), self.names.tails_of_timeline(timeline))
        return any(next(iter(self.storage.list(prefix)), None) is not None for prefix in prefixes)

    def segments(self, timeline: int, *, beginning: str = "") -> Iterator[StoredSegment]:
        """Whole segments of a timeline in order, conflicting ones included.

        :param beginning: only names that begin so: ``<timeline><log>``, 16 digits, is 4 GiB of WAL.
        """
        for info in self.storage.list(self.names.timeline(timeline) + beginning):
            if stored := self.names.parse_segment(info):
                yield stored

    def segments_from(self, first: WalSegment) -> Iterator[tuple[WalSegment, list[StoredSegment]]]:
        """Segments from ``first`` on as far as each one is there, with everything that has its name.

        Lists 4 GiB of WAL at a time, and stops at the first gap.
        """
        segment, log = first, ""
        found: Mapping[str, list[StoredSegment]] = {}
        while True:
            if segment.name[:16] != log:
                log = segment.name[:16]
                found = by_segment(self.segments(segment.timeline, beginning=log))
            if segment.name not in found:
                return
            yield segment, found[segment.name]
            segment = segment.next()

    def find(self, segment: WalSegment) -> StoredSegment | None:
        """The whole segment, or None.

        :raises IntegrityError: it is here with two hashes.
        """
        prefix = f"{self.names.timeline(segment.timeline)}{segment.name}-"
        found = [stored for info in self.storage.list(prefix) if (stored := self.names.parse_segment(info))]
        self.refuse_conflict(segment, found)
        return found[0] if found else None

    def refuse_conflict(self, segment: WalSegment, found: Sequence[StoredSegment]) -> None:
        """:raises IntegrityError: more than one object has the segment's name."""
        if len(found) > 1:
            raise self._two(f"WAL segment {segment}", [one.key for one in found])

    def deltas(self, segment: WalSegment) -> tuple[StoredDelta, ...]:
        """All pieces of a segment that was growing, in order of their offsets.

        :raises IntegrityError: two pieces hold the same bytes with other hashes.
        """
        listed = self.storage.list(self.names.tail(segment))
        found = tuple(delta for info in listed if (delta := self.names.parse_delta(info)))
        if pair := conflicting(found):
            raise IntegrityError(
                f"the tail of WAL segment {segment} is in {self.storage.location} with two contents "
                f"({pair[0].key} and {pair[1].key})",
                hint=_CONFLICT_HINT,
            )
        return found

    def tails(self, timeline: int) -> Iterator[StoredDelta]:
        """All pieces of all growing segments of a timeline."""
        for info in self.storage.list(self.names.tails_of_timeline(timeline)):
            if delta := self.names.parse_delta(info):
                yield delta

    def histories(self) -> tuple[StoredHistory, ...]:
        """Every timeline's history file, by timeline; conflicting ones included.

        Asked timeline by timeline, because a listing of everything may be long: ends where 64 timelines in a
        row, or a few more, have none.
        """
        found: list[StoredHistory] = []
        timeline, absent = 1, 0
        # Together: one after the other, they would be most of the time that a recovery plan takes.
        with ThreadPoolExecutor(_LISTINGS_AT_ONCE, thread_name_prefix="histories") as pool:
            while absent < _MOST_ABSENT_TIMELINES:
                first, timeline = timeline + 1, timeline + _LISTINGS_AT_ONCE
                for here in pool.map(self._histories_of, range(first, timeline + 1)):
                    absent = 0 if here else absent + 1
                    found += here
        return tuple(found)

    # -- Reading ---------------------------------------------------------------------------------------------

    def fetch_segment(
        self, segment: WalSegment, destination: Path, *, keyring: Keyring, stored: StoredSegment | None = None
    ) -> None:
        """Decrypt a whole segment into ``destination``, which appears only once all has been checked.

        :param stored: where it is, for who knows that already.
        :raises ObjectMissingError: it is not here. :raises IntegrityError: damaged, cut, another's, or in
            conflict with a second one. :raises KeyUnavailableError: no key opens it.
        """
        stored = stored or self.find(segment)
        if stored is None:
            raise ObjectMissingError(f"WAL segment {segment} is not in {self.storage.location}")
        checking = destination.with_name(f".checking-{destination.name}")
        try:
            with self.storage.open(stored.key) as source:
                # No manifest knows what is stored; the plaintext's hash is in the name.
                opened = decrypt_to_file(
                    source,
                    checking,
                    keyring=keyring,
                    context=self.names.segment_context(segment),
                    hash_stored=False,
                )
            self._check(stored.key, stored.sha, opened.plain_sha256)
            if opened.plain_bytes != segment.size_bytes:
                raise IntegrityError(
                    f"{self.storage.location}/{stored.key} holds {opened.plain_bytes} bytes; a segment of "
                    f"this cluster has {segment.size_bytes}",
                    hint=_DAMAGED_HINT,
                )
            checking.replace(destination)
        finally:
            checking.unlink(missing_ok=True)

    def read_history(self, timeline: int, *, keyring: Keyring) -> bytes:
        """A timeline's history file.

        :raises ObjectMissingError: it is not here. :raises IntegrityError: as :meth:`fetch_segment`.
        """
        found = self._histories_of(timeline)
        if not found:
            raise ObjectMissingError(f"{timeline:08X}.history is not in {self.storage.location}")
        if len(found) > 1:
            raise self._two(f"{timeline:08X}.history", [one.key for one in found])
        return self._read_small(found[0].key, found[0].sha, self.names.history_context(timeline), keyring)

    def read_tail(self, segment: WalSegment, *, keyring: Keyring) -> bytes:
        """What is here of a growing segment, from its first byte as far as there is no gap; may be empty.

        :raises IntegrityError: a piece is damaged, or two pieces differ where they overlap.
        """
        tail = bytearray()
        for delta in covering(self.deltas(segment)):
            context = self.names.delta_context(segment, delta.offset_bytes)
            data = self._read_small(delta.key, delta.sha, context, keyring)
            overlap = len(tail) - delta.offset_bytes
            if len(data) != delta.length_bytes or tail[delta.offset_bytes :] != data[:overlap]:
                raise IntegrityError(
                    f"{self.storage.location}/{delta.key} differs from the pieces of the tail before it",
                    hint=_CONFLICT_HINT,
                )
            tail += data[overlap:]
        return bytes(tail)

    def read_delta(self, segment: WalSegment, delta: StoredDelta, *, keyring: Keyring) -> bytes:
        """One piece of a growing segment, for readers that fetch several at a time.

        :raises IntegrityError: damaged, or another's.
        """
        context = self.names.delta_context(segment, delta.offset_bytes)
        return self._read_small(delta.key, delta.sha, context, keyring)

    # -- Inside ----------------------------------------------------------------------------------------------

    def _histories_of(self, timeline: int) -> list[StoredHistory]:
        listed = self.storage.list(self.names.histories_of(timeline))
        return [history for info in listed if (history := self.names.parse_history(info))]

    def _read_small(self, key: str, sha: str, context: Mapping[str, str], keyring: Keyring) -> bytes:
        stored = io.BytesIO(self.storage.read(key))
        data = b"".join(decrypt_stream(stored, keyring=keyring, context=context))
        self._check(key, sha, sha256_hex(data))
        return data

    def _check(self, key: str, sha: str, plain_sha256: str) -> None:
        if not plain_sha256.startswith(sha):
            raise IntegrityError(
                f"{self.storage.location}/{key} has other content than its name says", hint=_DAMAGED_HINT
            )

    def _two(self, what: str, keys: Sequence[str]) -> IntegrityError:
        return IntegrityError(
            f"{what} is in {self.storage.location} with two contents ({' and '.join(keys)})",
            hint=_CONFLICT_HINT,
        )


def archived_position(archive: WalArchive, *, timeline: int, segment_bytes: int, start: Lsn) -> Lsn:
    """How far the archive holds the timeline's WAL from ``start`` without a gap, tail included.

    ``start`` itself when nothing of what follows it is there. Nothing is read but names.

    :raises IntegrityError: a segment or a piece of the tail is there with two contents.
    """
    segment = WalSegment.containing(start, timeline=timeline, size_bytes=segment_bytes)
    for found, stored in archive.segments_from(segment):
        archive.refuse_conflict(found, stored)
        segment = found.next()
    pieces = covering(archive.deltas(segment))
    reached = segment.start + pieces[-1].end_bytes if pieces else segment.start
    return max(start, reached)
