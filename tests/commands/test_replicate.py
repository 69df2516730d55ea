"""What is staged reaches every repository, and a bad repository harms no other."""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from backstop.commands.replicate import Replication
from backstop.errors import StorageUnavailableError
from backstop.repository.catalog import Repository
from backstop.storage.memory import MemoryStorage

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.storage.base import ObjectInfo


class DeafStorage(MemoryStorage):
    """Answers nothing until it is told to give up."""

    def __init__(self) -> None:
        super().__init__()
        self.give_up = threading.Event()

    def upload(self, key: str, source: Path) -> ObjectInfo:
        self.give_up.wait(20)
        raise StorageUnavailableError("deaf storage did not answer")


def repository(name: str, storage: MemoryStorage) -> Repository:
    return Repository(name=name, storage=storage, catalog=None)  # type: ignore[arg-type]


def stage(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_every_object_reaches_every_repository_and_staging_is_empty_afterwards(tmp_path: Path):
    local, remote = MemoryStorage(), MemoryStorage()
    with Replication([repository("local", local), repository("s3", remote)], max_staged_bytes=10**6) as lanes:
        for number in range(20):
            lanes.add(f"calibrify/data/x/{number}", stage(tmp_path, str(number), b"%d" % number))
        failed = lanes.finish()

    assert failed == {}
    for storage in (local, remote):
        assert {info.key: storage.read(info.key) for info in storage.list("")} == {
            f"calibrify/data/x/{number}": b"%d" % number for number in range(20)
        }
    assert list(tmp_path.iterdir()) == []


def test_several_threads_may_add_and_the_bound_on_what_waits_holds(tmp_path: Path):
    """Readers of one backup, each at its own pace."""
    most = 0

    class Slow(MemoryStorage):
        def upload(self, key: str, source: Path) -> ObjectInfo:
            nonlocal most
            most = max(most, sum(1 for _ in tmp_path.glob("*.object")))
            time.sleep(0.001)
            return super().upload(key, source)

    local, remote = Slow(), MemoryStorage()
    lanes = Replication([repository("local", local), repository("s3", remote)], max_staged_bytes=500)

    def reader(one: int) -> None:
        for number in range(40):
            lanes.add(
                f"calibrify/data/x/{one}-{number}", stage(tmp_path, f"{one}-{number}.object", b"x" * 100)
            )

    with lanes:
        with ThreadPoolExecutor(max_workers=8) as pool:
            for done in [pool.submit(reader, one) for one in range(8)]:
                done.result()
        assert lanes.finish() == {}
    for storage in (local, remote):
        assert len(list(storage.list(""))) == 320
    assert list(tmp_path.iterdir()) == []
    # Five that wait, and what each thread is about to add.
    assert most <= 5 + 8


def test_a_repository_that_fails_is_named_and_the_other_gets_everything(tmp_path: Path):
    local, remote = MemoryStorage(), DeafStorage()
    remote.give_up.set()
    with Replication([repository("local", local), repository("s3", remote)], max_staged_bytes=10**6) as lanes:
        for number in range(5):
            lanes.add(f"k/{number}", stage(tmp_path, str(number), b"data"))
        failed = lanes.finish()

    assert list(failed) == ["s3"]
    assert len(list(local.list(""))) == 5
    assert list(tmp_path.iterdir()) == []


def test_a_deaf_repository_is_left_behind_before_staging_outgrows_its_bound(tmp_path: Path):
    local, remote = MemoryStorage(), DeafStorage()
    both = [repository("local", local), repository("s3", remote)]
    with Replication(both, max_staged_bytes=2500, patience_seconds=0.2) as lanes:
        for number in range(10):
            lanes.add(f"k/{number}", stage(tmp_path, str(number), b"x" * 1000))
        failed = lanes.finish()
        remote.give_up.set()

    assert "behind" in str(failed["s3"])
    assert len(list(local.list(""))) == 10


def test_when_every_repository_has_failed_the_first_error_comes_out(tmp_path: Path):
    remote = DeafStorage()
    remote.give_up.set()
    with Replication([repository("s3", remote)], max_staged_bytes=10**6) as lanes:
        lanes.add("k/1", stage(tmp_path, "1", b"data"))

        with pytest.raises(StorageUnavailableError, match="deaf"):
            lanes.finish()


def test_a_discarded_attempt_leaves_nothing_behind(tmp_path: Path):
    local = MemoryStorage()
    with Replication([repository("local", local)], max_staged_bytes=10**6) as lanes:
        lanes.add("k/1", stage(tmp_path, "1", b"data"))
        lanes.finish()
        lanes.discard()

    assert list(local.list("")) == []


class SlowStorage(MemoryStorage):
    """Goes on when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def upload(self, key: str, source: Path) -> ObjectInfo:
        self.begun.set()
        self.go_on.wait(20)
        return super().upload(key, source)


class HastyQueue(queue.SimpleQueue):  # type: ignore[type-arg]
    """Whoever waits for something has it before the next thing is put."""

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        time.sleep(0.1)


def test_a_busy_upload_ends_though_an_idle_one_took_the_word_to_end_first(tmp_path: Path):
    storage = SlowStorage()
    lanes = Replication([repository("local", storage)], max_staged_bytes=10**6)
    for lane in lanes._lanes.values():
        lane.work = HastyQueue()
    lanes.__enter__()
    lanes.add("k", stage(tmp_path, "one", b"data"))
    assert storage.begun.wait(5)

    ending = threading.Thread(target=lanes.discard, daemon=True)
    ending.start()
    time.sleep(0.5)
    storage.go_on.set()
    ending.join(5)

    assert not ending.is_alive()


class DyingStorage(MemoryStorage):
    """Ends whoever uploads to it, as a thread can end that is asked to."""

    def upload(self, key: str, source: Path) -> ObjectInfo:
        raise SystemExit(f"no room for {key}")


def test_uploads_that_end_their_thread_leave_nothing_waited_for(tmp_path: Path):
    good = MemoryStorage()
    repositories = [repository("bad", DyingStorage()), repository("good", good)]
    with Replication(repositories, max_staged_bytes=10**6) as lanes:
        for number in range(20):
            lanes.add(f"calibrify/data/x/{number}", stage(tmp_path, str(number), b"%d" % number))
        failed = lanes.finish()

    assert set(failed) == {"bad"}
    assert "SystemExit: no room" in str(failed["bad"])
    assert len(list(good.list(""))) == 20
