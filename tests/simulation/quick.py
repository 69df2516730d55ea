"""Makes the program's own code quick enough for a year, without changing what it does.

A thread a manifest pays where a manifest is a request to S3; here it costs more than reading it. And what
was read, and its signature checked, is the same as long as the bytes are.
"""

from __future__ import annotations

import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from backstop.repository.catalog import Catalog
from backstop.repository.proof_records import ProofRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backstop.crypto.signing import TrustedSigners
    from backstop.model.backup import BackupLabel
    from backstop.model.proof import Proof
    from backstop.repository.catalog import Published
    from backstop.storage.base import Storage


class OneThread:
    """An executor that has done the work when it is given it."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> OneThread:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work: Callable[..., Any], *given: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*given, **named))
        except Exception as error:
            future.set_exception(error)
        return future

    def map(self, work: Callable[..., Any], *given: Any) -> Iterator[Any]:
        return map(work, *given)

    def shutdown(self, **_: object) -> None:
        pass


@contextmanager
def one_thread() -> Iterator[None]:
    """In the engine's modules, as far as they have been imported."""
    changed = [
        module
        for name, module in sys.modules.items()
        if name.startswith("backstop.") and getattr(module, "ThreadPoolExecutor", None) is ThreadPoolExecutor
    ]
    for module in changed:
        module.ThreadPoolExecutor = OneThread  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in changed:
            module.ThreadPoolExecutor = ThreadPoolExecutor  # type: ignore[attr-defined]


class Remembering(Catalog):
    """Reads each manifest and each proof once: what comes of the same bytes under the same name is the same.

    :param memory: shared by all catalogues of a world.
    """

    def __init__(
        self, storage: Storage, target: str, *, trust: TrustedSigners, memory: dict[Any, Any]
    ) -> None:
        super().__init__(storage, target, trust=trust)
        self._memory = memory
        self._proofs = RememberingProofs(storage, target, trust=trust, memory=memory)

    def backup(self, label: BackupLabel) -> Published:
        key = self.manifest_key(label)
        if self._storage.stat(key) is None:
            return super().backup(label)
        known = (self._storage.location, key, self._storage.read(key))
        if known not in self._memory:
            self._memory[known] = super().backup(label)
        found: Published = self._memory[known]
        return found


class RememberingProofs(ProofRecords):
    """The same for proofs."""

    def __init__(
        self, storage: Storage, target: str, *, trust: TrustedSigners, memory: dict[Any, Any]
    ) -> None:
        super().__init__(storage, target, trust=trust)
        self._memory = memory

    def _believed(self, key: str) -> Proof:
        known = (key, self._storage.read(key))
        if known not in self._memory:
            self._memory[known] = super()._believed(key)
        found: Proof = self._memory[known]
        return found
