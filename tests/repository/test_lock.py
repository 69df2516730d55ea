"""Two Airflows, or a command line beside an Airflow, never write the same kind of backup at once."""

from __future__ import annotations

import multiprocessing
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from backstop.errors import (
    ConfigurationError,
    IntegrityError,
    LeaseHeldError,
    LeaseLostError,
    StorageError,
    StorageUnavailableError,
)
from backstop.repository.lock import CLOCK_SKEW, EXPIRY, LEASE_TTL, SYNC, Lease, acquire_in
from backstop.storage.memory import MemoryStorage
from backstop.storage.posix import PosixStorage

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.storage.base import ObjectInfo, Storage
    from embedded.seaweedfs import EmbeddedSeaweedFS

START = datetime(2026, 11, 23, 1, tzinfo=timezone.utc)


@dataclass
class Clock:
    """A clock that stands still until told."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, duration: timedelta) -> None:
        self.now += duration


class FailingStorage(MemoryStorage):
    """A repository that can be taken down and brought back."""

    def __init__(self, name: str = "failing", error: StorageError | None = None) -> None:
        super().__init__(name)
        self.error = error

    def put_once(self, key: str, data: bytes) -> ObjectInfo:
        if self.error:
            raise self.error
        return super().put_once(key, data)

    def list(self, prefix: str) -> Any:
        if self.error:
            raise self.error
        return super().list(prefix)


DOWN = StorageUnavailableError("s3://b is down", hint="bring it up")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


def acquire(storage: Storage, clock: Any, holder: str = "first", **more: Any) -> Lease:
    return Lease.acquire(storage, "calibrify", "dump", holder=holder, clock=clock, **more)


def test_the_first_lease_has_epoch_one_and_the_documented_name(storage, clock):
    lease = acquire(storage, clock)

    assert lease.epoch == 1
    assert [info.key for info in storage.list("")] == ["calibrify/meta/lease/dump/000000000001-000000.json"]
    lease.ensure_held()


def test_a_held_lease_is_refused_with_who_holds_it_and_until_when(storage, clock):
    acquire(storage, clock, "Airflow on db1")

    with pytest.raises(
        LeaseHeldError, match=r"being written by Airflow on db1 on .* \(process \d+\)"
    ) as caught:
        acquire(storage, clock, "second")

    assert "2026-11-23T01:03:30" in caught.value.hint
    assert caught.value.retryable


def test_other_kinds_and_other_targets_do_not_wait(storage, clock):
    acquire(storage, clock)

    Lease.acquire(storage, "calibrify", "full", holder="x", clock=clock)
    Lease.acquire(storage, "other", "dump", holder="x", clock=clock)


def test_a_released_lease_lets_the_next_in_at_once(storage, clock):
    with acquire(storage, clock):
        pass

    assert acquire(storage, clock, "second").epoch == 2


def test_a_lease_is_released_when_its_block_fails(storage, clock):
    with pytest.raises(RuntimeError), acquire(storage, clock):
        raise RuntimeError

    assert acquire(storage, clock, "second").epoch == 2


def test_a_released_lease_is_not_held(storage, clock):
    with acquire(storage, clock) as lease:
        pass

    with pytest.raises(LeaseLostError, match="it was released"):
        lease.ensure_held()


def test_the_lease_of_a_dead_holder_is_free_after_its_time_and_the_skew_of_clocks(storage, clock):
    acquire(storage, clock, "dead")  # never released, and the clock stands: never renewed

    clock.advance(LEASE_TTL + CLOCK_SKEW - timedelta(microseconds=1))
    with pytest.raises(LeaseHeldError):
        acquire(storage, clock, "second")
    clock.advance(timedelta(microseconds=1))

    assert acquire(storage, clock, "second").epoch == 2


def test_who_was_taken_over_may_not_publish(storage, clock):
    others_clock = Clock(START + LEASE_TTL + CLOCK_SKEW)  # ahead of ours by more than is assumed
    ours = acquire(storage, clock, "slept")
    theirs = acquire(storage, others_clock, "successor")

    with pytest.raises(LeaseLostError, match=r"epoch 1\) is lost: epoch 2 took over"):
        ours.ensure_held()
    theirs.ensure_held()


def test_who_slept_through_the_expiry_may_not_publish_even_when_nobody_took_over(storage, clock):
    lease = acquire(storage, clock)

    clock.advance(LEASE_TTL)

    with pytest.raises(LeaseLostError, match=r"ran out at 2026-11-23T01:03:00"):
        lease.ensure_held()


def test_a_lease_that_ran_out_is_never_renewed(storage, clock):
    lease = acquire(storage, clock)
    clock.advance(LEASE_TTL)

    lease.renew()
    clock.now = START  # not even when the clock is set back

    with pytest.raises(LeaseLostError, match="ran out"):
        lease.ensure_held()
    assert len(list(storage.list(""))) == 1


def test_renewing_extends_the_lease_for_everybody(storage, clock):
    lease = acquire(storage, clock)

    clock.advance(LEASE_TTL * 0.9)
    lease.renew()
    clock.advance(LEASE_TTL * 0.9)

    lease.ensure_held()
    with pytest.raises(LeaseHeldError):
        acquire(storage, clock, "second")


def test_a_forged_lease_with_the_last_number_is_told_of_and_not_counted_on_from(storage, clock):
    acquire(storage, clock).release()
    claim = storage.read(next(info.key for info in storage.list("calibrify/meta/lease/dump/")))
    storage.put_once("calibrify/meta/lease/dump/999999999999-000001.json", claim)
    clock.advance(timedelta(days=1))

    with pytest.raises(IntegrityError, match=r"999999999999-000001\.json leaves no number for a next lease"):
        acquire(storage, clock)

    assert len(list(storage.list("calibrify/meta/lease/dump/"))) <= 3, "nothing was put"


def test_a_taken_over_holder_releases_nothing(storage, clock):
    ours = acquire(storage, clock)
    clock.advance(LEASE_TTL + CLOCK_SKEW)
    theirs = acquire(storage, clock, "successor")

    ours.release()

    theirs.ensure_held()
    with pytest.raises(LeaseHeldError):
        acquire(storage, clock, "third")


def test_no_renewal_follows_a_release(storage, clock):
    lease = acquire(storage, clock)
    lease.release()

    lease.renew()

    assert acquire(storage, clock, "second").epoch == 2


def test_renewal_runs_by_itself(storage):
    lease = acquire(storage, lambda: datetime.now(timezone.utc), ttl=timedelta(seconds=2))

    time.sleep(3)

    lease.ensure_held()
    lease.release()
    assert len(list(storage.list(""))) >= 5


def test_a_lease_that_cannot_be_renewed_is_lost_when_it_runs_out_and_says_why():
    storage = FailingStorage()
    lease = acquire(storage, lambda: datetime.now(timezone.utc), ttl=timedelta(seconds=0.5))
    storage.error = DOWN
    time.sleep(0.7)
    storage.error = None

    with pytest.raises(LeaseLostError, match="was not renewed because s3://b is down"):
        lease.ensure_held()


def test_a_short_outage_between_renewals_costs_nothing():
    storage = FailingStorage()
    lease = acquire(storage, lambda: datetime.now(timezone.utc), ttl=timedelta(seconds=3))
    storage.error = DOWN
    time.sleep(1.6)
    storage.error = None
    time.sleep(2.4)

    lease.ensure_held()
    lease.release()


def test_a_repository_that_cannot_be_asked_means_not_held(clock):
    storage = FailingStorage()
    lease = acquire(storage, clock)
    storage.error = DOWN

    with pytest.raises(StorageUnavailableError):
        lease.ensure_held()


def test_a_lease_that_cannot_be_released_does_not_undo_what_was_done(clock, caplog):
    storage = FailingStorage()

    with acquire(storage, clock):
        storage.error = DOWN

    assert "could not be released and ends by itself at 2026-11-23 01:03" in caplog.text


def test_leases_that_somebody_removed_are_lost(storage, clock):
    lease = acquire(storage, clock)
    for info in list(storage.list("")):
        storage.delete(info.key)

    with pytest.raises(LeaseLostError, match="removed from the repository"):
        lease.ensure_held()


# -- Races ---------------------------------------------------------------------------------------------------


def race(storage: Storage, contenders: int) -> list[int | str]:
    """Everybody at once: the epoch of who won, the reason of who did not."""
    start = threading.Barrier(contenders)
    outcomes: list[int | str] = []

    def contend(number: int) -> None:
        start.wait()
        try:
            outcomes.append(acquire(storage, Clock(), "Airflow").epoch)
        except LeaseHeldError as error:
            outcomes.append(error.message)

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(contenders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def assert_one_won(outcomes: list[int | str], contenders: int) -> None:
    assert len(outcomes) == contenders
    assert [outcome for outcome in outcomes if isinstance(outcome, int)] == [1], outcomes
    assert all("being written by Airflow" in outcome for outcome in outcomes if isinstance(outcome, str))


@pytest.mark.parametrize("round_", range(5))
def test_of_eight_threads_on_one_directory_exactly_one_wins(tmp_path, round_):
    assert_one_won(race(PosixStorage(tmp_path / "repository"), 8), 8)


def _contend(root: Path, number: int, start: Any, outcomes: Any) -> None:
    start.wait()
    try:
        outcomes.put(acquire(PosixStorage(root), Clock(), "Airflow").epoch)
    except LeaseHeldError as error:
        outcomes.put(error.message)


def test_of_eight_processes_on_one_directory_exactly_one_wins(tmp_path):
    context = multiprocessing.get_context("fork")
    start, outcomes = context.Barrier(8), context.Queue()
    processes = [
        context.Process(target=_contend, args=(tmp_path / "repository", number, start, outcomes))
        for number in range(8)
    ]
    for process in processes:
        process.start()
    said = [outcomes.get(timeout=30) for _ in processes]
    for process in processes:
        process.join()

    assert_one_won(said, 8)


@dataclass(frozen=True)
class Key:
    login: str | None
    password: str | None = field(repr=False)
    conn_id: str = "tests_s3"
    extra: dict[str, Any] = field(default_factory=dict)


@pytest.mark.integration
def test_of_eight_threads_on_one_bucket_exactly_one_wins(seaweedfs: EmbeddedSeaweedFS):
    from backstop.storage.s3 import S3Storage
    from backstop.storage.s3_client import s3_client

    client = s3_client(Key(seaweedfs.access_key, seaweedfs.secret_key), endpoint_url=seaweedfs.endpoint_url)
    for _ in range(5):
        storage = S3Storage(client, bucket="backstop-tests", prefix=f"lock/{uuid.uuid4().hex}")
        assert_one_won(race(storage, 8), 8)


def test_of_many_who_wait_for_a_dead_holder_exactly_one_takes_over(tmp_path):
    storage = PosixStorage(tmp_path / "repository")
    acquire(storage, Clock(START - timedelta(hours=1)), "dead")

    outcomes = race(storage, 8)

    assert [outcome for outcome in outcomes if isinstance(outcome, int)] == [2]


# -- Several repositories ------------------------------------------------------------------------------------


def acquire_all(storages: dict[str, Storage], clock: Clock, holder: str = "first") -> Any:
    return acquire_in(storages, target="calibrify", kind="dump", holder=holder, clock=clock)


def test_the_lease_is_taken_in_every_repository(clock):
    storages = {"local": MemoryStorage("l"), "s3": MemoryStorage("s")}
    with Lease.acquire(storages["s3"], "calibrify", "dump", holder="earlier", clock=clock):
        pass

    with acquire_all(storages, clock) as lease:
        assert lease.epochs == {"local": 1, "s3": 2}
        assert lease.failed == {}
        lease.ensure_held()
        lease.ensure_held("s3")

    with acquire_all(storages, clock, "second") as lease:
        assert lease.epochs == {"local": 2, "s3": 3}


@pytest.mark.parametrize(
    ("kind", "doing"),
    [
        (EXPIRY, "backups of calibrify in memory://s are being expired, or healed, by"),
        (SYNC, "backups of calibrify are being copied into memory://s by"),
    ],
)
def test_whoever_has_to_wait_is_told_what_is_being_done(clock, kind, doing):
    storage = MemoryStorage("s")
    Lease.acquire(storage, "calibrify", kind, holder="the other site", clock=clock)

    with pytest.raises(LeaseHeldError, match=doing):
        Lease.acquire(storage, "calibrify", kind, holder="second", clock=clock)


def test_held_in_one_repository_refuses_all_and_leaves_none_taken(clock):
    storages = {"local": MemoryStorage("l"), "s3": MemoryStorage("s")}
    theirs = acquire(storages["s3"], clock, "the other site")

    with pytest.raises(LeaseHeldError, match=r"in memory://s are being written by the other site"):
        acquire_all(storages, clock)

    assert acquire(storages["local"], clock, "third").epoch == 2
    theirs.ensure_held()


@pytest.mark.parametrize("error", [DOWN, StorageError("no such bucket", hint="create it")])
def test_a_repository_that_fails_goes_without(clock, error):
    storages = {"local": MemoryStorage("l"), "s3": FailingStorage(error=error)}

    with acquire_all(storages, clock) as lease:
        assert lease.epochs == {"local": 1}
        assert lease.failed == {"s3": error}
        lease.ensure_held()


def test_a_damaged_lease_in_one_repository_does_not_stop_the_others(clock):
    damaged = MemoryStorage("d")
    damaged.put_once("calibrify/meta/lease/dump/000000000007-000000.json", b"{}")

    with acquire_all({"local": MemoryStorage("l"), "s3": damaged}, clock) as lease:
        assert lease.epochs == {"local": 1}
        assert "000000000007-000000.json is damaged" in lease.failed["s3"].message


def test_when_no_repository_answers_each_is_named_and_time_may_heal_it(clock):
    storages = {
        "local": FailingStorage(error=StorageError("/backups does not exist", hint="mount it")),
        "s3": FailingStorage(error=DOWN),
    }

    with pytest.raises(StorageUnavailableError, match=r"local: /backups does not exist; s3: s3://b is down"):
        acquire_all(storages, clock)


def test_when_no_repository_can_ever_answer_trying_again_is_not_suggested(clock):
    storages = {"local": FailingStorage(error=StorageError("/backups does not exist", hint="mount it"))}

    with pytest.raises(StorageError, match="mount it") as caught:
        acquire_all(storages, clock)

    assert not caught.value.retryable


def test_a_target_without_repositories_is_a_mistake(clock):
    with pytest.raises(ConfigurationError, match="calibrify has no repository"):
        acquire_all({}, clock)
