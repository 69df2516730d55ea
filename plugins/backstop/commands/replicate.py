"""One read, several repositories: staged ciphertext is uploaded to each, at each one's own pace."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.errors import BackstopError, StorageUnavailableError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path
    from types import TracebackType

    from backstop.repository.catalog import Repository

_UPLOADERS_PER_REPOSITORY = 2
MAX_STAGED_BYTES = 16 * 1024**3
"""How much ciphertext may wait for a slow repository, unless told otherwise."""


@dataclass(slots=True, eq=False)
class _Staged:
    """A finished object waiting for its repositories; the file goes when the last one is through."""

    key: str
    path: Path
    size_bytes: int
    waiting_for: set[str]


@dataclass(slots=True)
class _Lane:
    """What one repository has received so far."""

    repository: Repository
    work: queue.SimpleQueue[_Staged | None] = field(default_factory=queue.SimpleQueue)
    version_ids: dict[str, str | None] = field(default_factory=dict)
    error: BackstopError | None = None


class Replication:
    """Uploads every staged object to every repository, concurrently.

    A repository that fails is left behind with its error, as long as another one still works: it never slows
    the others, nor the snapshot. Staged bytes are bounded: when a slow repository makes them pile up beyond
    ``max_staged_bytes`` for ``patience_seconds`` it is left behind for this run; when it is the last one,
    :meth:`add` waits for it.
    """

    def __init__(
        self, repositories: Sequence[Repository], *, max_staged_bytes: int, patience_seconds: float = 10.0
    ) -> None:
        self._lanes = {repository.name: _Lane(repository) for repository in repositories}
        self._max_staged_bytes = max_staged_bytes
        self._patience_seconds = patience_seconds
        self._staged: list[_Staged] = []
        self._staged_bytes = 0
        self._condition = threading.Condition()
        self._stopped = False
        self._threads = [
            (threading.Thread(target=self._upload, args=(lane,), name=f"upload-{name}", daemon=True), lane)
            for name, lane in self._lanes.items()
            for _ in range(_UPLOADERS_PER_REPOSITORY)
        ]

    def __enter__(self) -> Replication:
        for thread, _ in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def add(self, key: str, path: Path) -> None:
        """Send one finished object on its way. The file belongs to the replication from now on.

        :raises BackstopError: every repository has failed; the first one's error.
        """
        size_bytes = path.stat().st_size
        with self._condition:
            self._make_room(size_bytes)
            working = [lane for lane in self._lanes.values() if lane.error is None]
            if not working:
                raise self._first_error()
            staged = _Staged(key, path, size_bytes, {lane.repository.name for lane in working})
            self._staged.append(staged)
            self._staged_bytes += size_bytes
        for lane in working:
            lane.work.put(staged)

    def _make_room(self, size_bytes: int) -> None:
        def has_room() -> bool:
            return not self._staged or self._staged_bytes + size_bytes <= self._max_staged_bytes

        while not self._condition.wait_for(has_room, timeout=self._patience_seconds):
            working = [lane for lane in self._lanes.values() if lane.error is None]
            if not working:
                raise self._first_error()
            slowest = max(working, key=self._bytes_behind)
            quickest = min(working, key=self._bytes_behind)
            # Only a repository that is behind the others is left; when all are slow, we wait for them.
            if self._bytes_behind(slowest) > self._bytes_behind(quickest):
                self._leave_behind(slowest)

    def _bytes_behind(self, lane: _Lane) -> int:
        return sum(staged.size_bytes for staged in self._staged if lane.repository.name in staged.waiting_for)

    def _leave_behind(self, lane: _Lane) -> None:
        name = lane.repository.name
        lane.error = StorageUnavailableError(
            f"repository {name} fell more than {self._max_staged_bytes} bytes behind",
            hint="the backup goes on without it; it is topped up once it is quick again",
        )
        for staged in list(self._staged):
            self._done_with(staged, name)

    def finish(self) -> dict[str, BackstopError]:
        """Wait until every object has arrived everywhere.

        :returns: the repositories that did not get everything, and why.
        :raises BackstopError: when that is all of them.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._staged_bytes == 0)
            failed = self.failures()
            if len(failed) == len(self._lanes):
                raise self._first_error()
            return failed

    def failures(self) -> dict[str, BackstopError]:
        return {name: lane.error for name, lane in self._lanes.items() if lane.error is not None}

    def version_ids(self, repository_name: str) -> dict[str, str | None]:
        """Object key to version id, of what has arrived there."""
        return dict(self._lanes[repository_name].version_ids)

    def discard(self, *, keep: Collection[str] = ()) -> None:
        """Take back what was uploaded, where the role allows it: an attempt that failed leaves no garbage.

        A writer without the right to delete leaves orphans, which no manifest names.

        :param keep: names of repositories where a manifest names the objects, or may.
        """
        # First: what is still on its way would arrive after we have gone.
        self._end()
        for name, lane in self._lanes.items():
            if name in keep:
                continue
            for key, version_id in lane.version_ids.items():
                try:
                    lane.repository.storage.delete(key, version_id=version_id)
                except BackstopError:
                    break  # not allowed or not reachable: the same for all that follow

    def _end(self) -> None:
        """Send nothing more, and wait until what is being sent has arrived or failed."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
        # One for each thread, whether or not it still runs: those of a lane take from the same queue, and one
        # that is dead by now may have taken what was meant for another.
        for _, lane in self._threads:
            lane.work.put(None)
        for thread, _ in self._threads:
            thread.join()

    def _upload(self, lane: _Lane) -> None:
        while (staged := lane.work.get()) is not None:
            try:
                if lane.error is None and not self._stopped:
                    info = lane.repository.storage.upload(staged.key, staged.path)
                    lane.version_ids[staged.key] = info.version_id
            except BackstopError as error:
                lane.error = lane.error or error
            except BaseException as error:
                # A repository's own fault must not end the others, nor be lost; and whatever it was, a thread
                # that ended would leave what is still queued here waited for without end.
                what = f"upload of {staged.key} to {lane.repository.name}"
                lane.error = lane.error or BackstopError(
                    f"{what} failed: {type(error).__name__}: {error}", hint="this is a defect: report it"
                )
            finally:
                self._arrived(staged, lane.repository.name)

    def _arrived(self, staged: _Staged, name: str) -> None:
        with self._condition:
            self._done_with(staged, name)
            self._condition.notify_all()

    def _done_with(self, staged: _Staged, name: str) -> None:
        staged.waiting_for.discard(name)
        if not staged.waiting_for and staged in self._staged:
            self._staged.remove(staged)
            self._staged_bytes -= staged.size_bytes
            staged.path.unlink(missing_ok=True)

    def _first_error(self) -> BackstopError:
        return next(lane.error for lane in self._lanes.values() if lane.error is not None)
