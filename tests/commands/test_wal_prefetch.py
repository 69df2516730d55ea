"""The prefetcher: ahead of the reader, bounded, healing; absent is only what the plan does not need."""

from __future__ import annotations

import concurrent.futures
import fcntl
import subprocess
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import pytest

import backstop.postgres.recovery as recovery_module
from backstop.commands.wal.prefetch import Prefetcher, PrefetchSettings
from backstop.commands.wal.route import Leg, WalRoute
from backstop.commands.wal.sources import DirectoryWal
from backstop.errors import IntegrityError, ObjectMissingError, RestoreError, StorageUnavailableError
from backstop.model.lsn import Lsn, WalSegment

SIZE = 1024 * 1024
SCRIPT = Path(recovery_module.__file__).with_name("restore_wal.sh")


def segment(number: int, timeline: int = 1) -> WalSegment:
    return WalSegment(timeline, number, SIZE)


def content(number: int, timeline: int = 1) -> bytes:
    return segment(number, timeline).name.encode() * (SIZE // 24) + bytes(SIZE % 24)


@pytest.fixture
def wal(tmp_path):
    folder = tmp_path / "wal"
    folder.mkdir()
    for number in range(2, 12):
        (folder / segment(number).name).write_bytes(content(number))
    return folder


def route(first: int = 2, end: int = 12 * SIZE) -> WalRoute:
    return WalRoute.on_one_timeline(1, segment(first).start, Lsn(end), segment_bytes=SIZE)


def prefetcher(tmp_path, *sources, on=None, ahead=4 * SIZE, patience=timedelta(seconds=3)) -> Prefetcher:
    return Prefetcher(
        tmp_path / "spool",
        sources=[DirectoryWal(one) if isinstance(one, Path) else one for one in sources],
        route=on or route(),
        settings=PrefetchSettings(jobs=2, ahead_bytes=ahead, patience=patience),
    )


def ask(tmp_path, name: str, into: Path | None = None) -> int:
    """What PostgreSQL does."""
    destination = (into or tmp_path) / "RECOVERYXLOG"
    argv = ["/bin/sh", str(SCRIPT), str(tmp_path / "spool"), name, str(destination)]
    return subprocess.run(argv, check=False, timeout=20).returncode


def test_every_segment_arrives_in_order_and_the_spool_stays_bounded(tmp_path, wal):
    with prefetcher(tmp_path, wal):
        for number in range(2, 12):
            assert ask(tmp_path, segment(number).name) == 0
            assert (tmp_path / "RECOVERYXLOG").read_bytes() == content(number)
            assert len(list((tmp_path / "spool/ready").glob("0*"))) <= 4 + 2


def test_a_server_that_goes_back_gets_again_what_was_consumed(tmp_path, wal):
    with prefetcher(tmp_path, wal):
        assert ask(tmp_path, segment(9).name) == 0
        time.sleep(0.2)
        assert ask(tmp_path, segment(2).name) == 0
        assert (tmp_path / "RECOVERYXLOG").read_bytes() == content(2)


def test_what_was_given_stays_when_the_spool_lets_go_of_it(tmp_path, wal):
    with prefetcher(tmp_path, wal):
        assert ask(tmp_path, segment(2).name) == 0
        given, handed = tmp_path / "RECOVERYXLOG", tmp_path / segment(2).name
        given.rename(handed)
        assert handed.samefile(tmp_path / "spool/ready" / segment(2).name)
        give_up = time.monotonic() + 60
        while (tmp_path / "spool/ready" / segment(2).name).exists():
            assert time.monotonic() < give_up
            # More than once: the request for the earlier one may be seen after this one's.
            assert ask(tmp_path, segment(4).name) == 0

    assert handed.read_bytes() == content(2)


def test_a_data_directory_on_another_file_system_gets_a_copy(tmp_path, wal):
    elsewhere = Path("/dev/shm")  # noqa: S108
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("memory is no file system of its own here")
    with tempfile.TemporaryDirectory(dir=elsewhere) as folder, prefetcher(tmp_path, wal):
        assert ask(tmp_path, segment(2).name, Path(folder)) == 0
        assert (Path(folder) / "RECOVERYXLOG").read_bytes() == content(2)


def test_a_request_that_a_later_one_overtook_is_made_again(tmp_path):
    spool, name = tmp_path / "spool", segment(2).name
    for folder in ("ready", "wanted"):
        (spool / folder).mkdir(parents=True)
    request = spool / "wanted" / name
    with (spool / "prefetcher.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asking = pool.submit(ask, tmp_path, name)
            for _ in range(2):
                give_up = time.monotonic() + 5
                while not request.exists():
                    assert time.monotonic() < give_up, "nobody asks any more"
                    time.sleep(0.01)
                # Seen by the worker, which then brought what another request wanted and removed this.
                request.unlink()
            (spool / "ready" / name).write_bytes(content(2))
            assert asking.result() == 0


def test_what_lies_beyond_the_planned_end_is_absent_even_if_it_exists(tmp_path, wal):
    with prefetcher(tmp_path, wal, on=route(end=5 * SIZE)):
        assert ask(tmp_path, segment(4).name) == 0
        assert ask(tmp_path, segment(5).name) == 1
        assert ask(tmp_path, segment(3, timeline=2).name) == 1
        assert ask(tmp_path, "00000002.history") == 1


@pytest.mark.parametrize("whole", [True, False])
def test_what_an_archive_got_since_the_plan_is_not_there_for_the_recovery(tmp_path, wal, whole):
    planned, name = 5 * SIZE + 700, segment(5).name
    if not whole:
        (wal / name).rename(wal / f"{name}.partial")

    with prefetcher(tmp_path, wal, on=route(end=planned)):
        assert ask(tmp_path, name) == 0

    assert (tmp_path / "RECOVERYXLOG").read_bytes() == content(5)[:700] + bytes(SIZE - 700)


def test_a_missing_segment_is_never_called_absent(tmp_path, wal):
    (wal / segment(3).name).unlink()

    with prefetcher(tmp_path, wal) as running:
        assert ask(tmp_path, segment(3).name) == 255
        with pytest.raises(ObjectMissingError, match=segment(3).name):
            running.check()


def test_a_missing_or_damaged_copy_is_healed_from_another_archive(tmp_path, wal):
    other = tmp_path / "other"
    other.mkdir()
    for number in (3, 4):
        (wal / segment(number).name).rename(other / segment(number).name)
    (wal / segment(4).name).write_bytes(b"cut")

    with prefetcher(tmp_path, wal, other) as running:
        for number in range(2, 6):
            assert ask(tmp_path, segment(number).name) == 0
            assert (tmp_path / "RECOVERYXLOG").read_bytes() == content(number)

    assert len(running.report.healed) == 2


def test_a_damaged_segment_without_a_second_copy_stops_recovery(tmp_path, wal):
    (wal / segment(4).name).write_bytes(b"cut")

    with prefetcher(tmp_path, wal) as running:
        assert ask(tmp_path, segment(4).name) == 255
        with pytest.raises(IntegrityError, match=segment(4).name):
            running.check()


def test_the_last_segment_may_be_a_tail_and_is_padded(tmp_path, wal):
    (wal / segment(11).name).unlink()
    (wal / f"{segment(11).name}.partial").write_bytes(content(11)[:1000])

    with prefetcher(tmp_path, wal, on=route(end=11 * SIZE + 1000)):
        assert ask(tmp_path, segment(11).name) == 0
        assert (tmp_path / "RECOVERYXLOG").read_bytes() == content(11)[:1000] + bytes(SIZE - 1000)


@pytest.mark.parametrize(("number", "end"), [(11, 11 * SIZE + 1001), (5, 12 * SIZE)])
def test_a_tail_that_does_not_reach_stops_recovery(tmp_path, wal, number, end):
    (wal / segment(number).name).unlink()
    (wal / f"{segment(number).name}.partial").write_bytes(content(number)[:1000])

    with prefetcher(tmp_path, wal, on=route(end=end)):
        assert ask(tmp_path, segment(number).name) == 255


def test_a_whole_segment_wins_over_a_tail(tmp_path, wal):
    (wal / f"{segment(11).name}.partial").write_bytes(b"x" * 1000)

    with prefetcher(tmp_path, wal, on=route(end=11 * SIZE + 1000)):
        assert ask(tmp_path, segment(11).name) == 0
        assert (tmp_path / "RECOVERYXLOG").read_bytes() == content(11)[:1000] + bytes(SIZE - 1000)


@pytest.mark.parametrize("failing", ["empty", "gone"])
def test_a_segment_that_becomes_whole_while_its_tail_is_looked_at_is_fetched(tmp_path, wal, failing):
    whole, away = wal / segment(11).name, tmp_path / "not yet"
    whole.rename(away)

    class Growing(DirectoryWal):
        def read_tail(self, wanted):
            if away.exists():
                away.rename(whole)
            if failing == "gone":
                raise ObjectMissingError("a piece was removed after it was listed")
            return b""

    with prefetcher(tmp_path, Growing(wal), on=route(end=11 * SIZE + 1000)):
        assert ask(tmp_path, segment(11).name) == 0


def test_where_timelines_part_only_the_file_of_the_new_one_is_given(tmp_path, wal):
    branch = Lsn(5 * SIZE + 100)
    for number in range(5, 8):
        (wal / segment(number, 2).name).write_bytes(content(number, 2))
    way = WalRoute((Leg(1, segment(2).start), Leg(2, branch)), Lsn(8 * SIZE), SIZE)
    (wal / "00000002.history").write_bytes(b"1\t0/500064\tno reason\n")

    with prefetcher(tmp_path, wal, on=way):
        assert ask(tmp_path, "00000002.history") == 0
        assert ask(tmp_path, segment(4).name) == 0
        assert ask(tmp_path, segment(5, 2).name) == 0
        assert ask(tmp_path, segment(5).name) == 1

    (wal / "00000002.history").unlink()
    (tmp_path / "spool").rename(tmp_path / "spent")
    with pytest.raises(RestoreError, match=r"00000002\.history"), prefetcher(tmp_path, wal, on=way):
        pass


def test_an_archive_that_does_not_answer_is_waited_for(tmp_path, wal):
    class Busy(DirectoryWal):
        answers_at = time.monotonic() + 1.5

        def fetch_segment(self, wanted, destination):
            if time.monotonic() < self.answers_at:
                raise StorageUnavailableError("busy")
            super().fetch_segment(wanted, destination)

    with prefetcher(tmp_path, Busy(wal)):
        assert ask(tmp_path, segment(2).name) == 0


def test_without_anybody_who_fills_the_spool_recovery_stops(tmp_path, wal):
    with prefetcher(tmp_path, wal) as running:
        assert ask(tmp_path, segment(2).name) == 0
    running.check()

    assert ask(tmp_path, segment(10).name) == 255
    with (tmp_path / "spool/prefetcher.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
