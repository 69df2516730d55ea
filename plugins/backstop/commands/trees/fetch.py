"""Brings the packs that files need out of a repository, each once, and hands out pieces that were checked."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, cast

from backstop.commands.database.fetch import Watched, refuse_unless_present
from backstop.commands.trees.pack import MAX_PACK_BYTES, Pack
from backstop.errors import BackstopError, IntegrityError, ObjectMissingError
from backstop.model.file_tree import shown
from backstop.repository.stored import open_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import BinaryIO

    from backstop.commands.progress import Progress
    from backstop.commands.trees.needs import Need, Needs
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import Manifest, StoredObject
    from backstop.repository.catalog import Repository

_LAYOUT = "chunks"


class Receiver(Protocol):
    """One thread's hands: takes pieces that were checked."""

    def take(self, need: Need, content: memoryview) -> None:
        """Use the piece; it is gone when this returns."""

    def close(self) -> None:
        """No more pieces come."""


@dataclass(slots=True)
class ChunkFetcher:
    """The packs of one backup in one repository.

    :param folder: private; holds as many decrypted packs at a time as there are jobs.
    :param jobs: packs read at a time.
    :param hash_packs: False: the stored bytes of a pack are hashed, and every piece that a file gets, but not
        all of its plaintext once more.
    """

    repository: Repository
    manifest: Manifest
    keyring: Keyring
    folder: Path
    progress: Progress
    jobs: int = 2
    hash_packs: bool = True
    _packs: dict[str, StoredObject] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._packs = {one.name: one for one in self.manifest.objects if one.layout == _LAYOUT}

    def stored(self, names: Iterable[str]) -> list[StoredObject]:
        """The objects of these packs.

        :raises IntegrityError: the manifest lists no such pack, or one that is larger than any.
        """
        found = []
        for name in names:
            if name not in self._packs:
                raise IntegrityError(
                    f"the list of files of {self.manifest.label} names pack {name}; its manifest does not",
                    hint="choose another backup",
                )
            if self._packs[name].plain_bytes > MAX_PACK_BYTES:
                raise IntegrityError(
                    f"pack {name} holds {self._packs[name].plain_bytes} bytes, and none of ours is so large",
                    hint="choose another backup",
                )
            found.append(self._packs[name])
        return found

    def fetch(self, needs: Needs, receiver: Callable[[], Receiver]) -> None:
        """Every piece to every file that needs it, in no order. Progress counts stored bytes.

        :param receiver: makes one for each pack, used by one thread.
        :raises IntegrityError: a pack is damaged, lacks a piece, or has other content under its name: names
            the pack and the first file that needs it.
        :raises ObjectMissingError: the repository lacks packs.
        """
        names = needs.packs()
        wanted = self.stored(names)
        refuse_unless_present(self.repository, replace(self.manifest, objects=tuple(wanted)))
        self.progress.phase("fetch", total_bytes=sum(one.stored_bytes for one in wanted))
        with ThreadPoolExecutor(max_workers=max(1, self.jobs), thread_name_prefix="fetch") as pool:
            futures = [pool.submit(self._one, stored, needs, receiver) for stored in wanted]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _one(self, stored: StoredObject, needs: Needs, receiver: Callable[[], Receiver]) -> None:
        path = self.folder / f"{stored.name}.pack"
        hands = receiver()
        try:
            self._decrypt(stored, path, needs)
            with Pack(path, f"{stored.name} ({stored.key})") as pack:
                # Its blocks are freed when it is closed, whatever happens to us.
                path.unlink()
                for need in needs.of_pack(stored.name):
                    _hand_over(pack, need, hands)
        finally:
            hands.close()
            path.unlink(missing_ok=True)

    def _decrypt(self, stored: StoredObject, path: Path, needs: Needs) -> None:
        from backstop.crypto.envelope import decrypt_to_file, object_context

        context = object_context(self.manifest.target, stored.origin.text, stored.key)
        try:
            with open_stored(self.repository.storage, stored) as source:
                watched = cast("BinaryIO", Watched(source, self.progress, self._stop))
                decrypt_to_file(
                    watched,
                    path,
                    keyring=self.keyring,
                    context=context,
                    expected=stored,
                    hash_plain=self.hash_packs,
                )
        except (IntegrityError, ObjectMissingError) as error:
            raise _named(error, next(needs.of_pack(stored.name)), stored) from error


def _hand_over(pack: Pack, need: Need, hands: Receiver) -> None:
    try:
        content = pack.piece(need.sha256, need.size_bytes)
    except IntegrityError as error:
        raise IntegrityError(f"{shown(need.entry.path)}: {error.message}", hint=error.hint) from error
    with content:
        hands.take(need, content)


def _named(error: BackstopError, need: Need, stored: StoredObject) -> BackstopError:
    return type(error)(
        f"{shown(need.entry.path)}: pack {stored.name}: {error.message}",
        hint="read it from another repository, or choose another backup",
    )
