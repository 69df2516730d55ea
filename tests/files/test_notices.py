"""inotify as it is: what is noticed, and what is not."""

from __future__ import annotations

import os
import threading

import pytest

from backstop.files.notices import Notices

STOP = threading.Event()
QUIET = 0.05


@pytest.fixture
def host(tmp_path):
    """Folders ``conf`` and ``units``, the second watched by a glob; ``site`` is not there yet."""
    (tmp_path / "conf" / "deep").mkdir(parents=True)
    (tmp_path / "conf" / "app.conf").write_text("a")
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / "app-1.service").write_text("a")
    return tmp_path


@pytest.fixture
def notices(host):
    def left_out(path):
        return path.endswith(b".tmp") or path.endswith(b"/cache")

    patterns = [f"{host}/conf", f"{host}/units/app*.service", f"{host}/site"]
    notices = Notices(patterns, left_out=left_out)
    yield notices
    notices.close()


def noticed(notices, seconds=2.0):
    """Whether there was a notice; what belongs to it is taken away."""
    found = notices.wait(seconds, STOP)
    while notices.wait(QUIET, STOP):
        pass
    return found


def test_nothing_is_noticed_where_nothing_happens_and_where_files_are_only_read(host, notices):
    (host / "conf" / "app.conf").read_bytes()
    list((host / "conf").iterdir())

    assert not noticed(notices, QUIET)


@pytest.mark.parametrize(
    "change",
    [
        lambda conf: (conf / "app.conf").write_text("b"),
        lambda conf: os.utime(conf / "app.conf"),
        lambda conf: (conf / "app.conf").chmod(0o600),
        lambda conf: (conf / "app.conf").unlink(),
        lambda conf: (conf / "app.conf").rename(conf / "other"),
        lambda conf: (conf / "deep" / "new").write_text("a"),
        lambda conf: (conf / "link").symlink_to("nowhere"),
        lambda conf: os.setxattr(conf / "app.conf", "user.a", b"b"),
        lambda conf: (conf / os.fsdecode(b"\xff")).write_text("a"),
    ],
)
def test_a_change_of_any_kind_is_noticed(host, notices, change):
    change(host / "conf")

    assert noticed(notices)


def test_what_happens_in_a_folder_that_came_later_is_noticed(host, notices):
    for folder in (host / "conf" / "new" / "newer", host / "conf" / os.fsdecode(b"\xffolder")):
        folder.mkdir(parents=True)
        assert noticed(notices)

        (folder / "file").write_text("a")
        assert noticed(notices)


def test_a_folder_that_was_moved_is_followed_after_a_refresh(host, notices):
    (host / "conf" / "deep").rename(host / "conf" / "moved")
    assert noticed(notices)
    notices.refresh()

    (host / "conf" / "moved" / "file").write_text("a")
    assert noticed(notices)


def test_a_file_that_is_saved_by_renaming_a_new_one_over_it_is_noticed_every_time(host, notices):
    for _ in range(3):
        (host / ".new").write_text("b")
        (host / ".new").rename(host / "site")
        assert noticed(notices)


def test_what_a_glob_begins_to_match_is_noticed_and_what_it_does_not_match_is_not(host, notices):
    (host / "units" / "app-2.service").write_text("a")
    assert noticed(notices)

    (host / "units" / "other.service").write_text("a")
    (host / "other").write_text("a")
    assert not noticed(notices, QUIET)


def test_what_is_left_out_is_not_noticed_and_not_even_watched(host, notices):
    (host / "conf" / "a.tmp").write_text("a")
    (host / "conf" / "cache").mkdir()
    folders = notices.folders
    (host / "conf" / "cache" / "file").write_text("a")

    assert not noticed(notices, QUIET)
    assert notices.folders == folders


def test_a_folder_that_was_put_in_the_place_of_another_is_watched_after_a_refresh(host, notices):
    (host / "conf").rename(host / "former")
    (host / "conf").mkdir()
    assert noticed(notices)
    notices.refresh()

    (host / "conf" / "file").write_text("a")
    assert noticed(notices)
    (host / "former" / "app.conf").write_text("b")
    assert not noticed(notices, QUIET)


def test_a_path_whose_folder_does_not_exist_yet_is_noticed_when_it_comes(tmp_path):
    notices = Notices([f"{tmp_path}/a/b/c"])
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert noticed(notices)
    notices.refresh()

    (tmp_path / "a" / "b" / "c").write_text("a")
    assert noticed(notices)
    notices.close()


def test_more_than_the_kernel_can_queue_is_one_notice_and_nothing_is_missed_afterwards(host, notices):
    for number in range(9_000):  # fs.inotify.max_queued_events is 16384; each makes two or three
        (host / "conf" / f"{number}").touch()
    assert noticed(notices)
    notices.refresh()

    (host / "conf" / "deep" / "file").write_text("a")
    assert noticed(notices)


def test_whoever_waits_is_let_go_soon_after_the_stop(notices):
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()

    assert not notices.wait(30, stop)
