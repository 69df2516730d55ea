"""Waiting for changes: one event for each burst that leaves something to back up."""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from backstop.commands.trees.comparison import Comparison, changes_since_newest
from backstop.errors import StorageUnavailableError
from backstop.files import notices
from tests.protected_tree import QUICK, ProtectedTree


@pytest.fixture
def tree(tmp_path):
    """A tree with a backup of it."""
    tree = ProtectedTree(tmp_path)
    tree.write("app.conf")
    tree.write("deep/er/file")
    (tree.units / "app-1.service").write_text("unit")
    tree.back_up()
    return tree


LOOKED = threading.Event()


@pytest.fixture(autouse=True)
def looks(monkeypatch):
    """How often a tree was compared."""
    compare, count = Comparison.compare, []

    def counted(self):
        try:
            return compare(self)
        finally:
            count.append(1)
            LOOKED.set()

    monkeypatch.setattr(Comparison, "compare", counted)
    return count


@contextmanager
def events_of(watch):
    """The changes that a watch tells of, in a thread of its own, while the block runs; it has looked once."""
    told, stop = [], threading.Event()
    LOOKED.clear()

    def run():
        while (changes := watch.wait(stop)) is not None:
            told.append(changes)

    with watch:
        thread = threading.Thread(target=run)
        thread.start()
        assert LOOKED.wait(10)
        try:
            yield told
        finally:
            stop.set()
            thread.join(10)
    assert not thread.is_alive()


def wait_for(told, count, seconds=10.0):
    deadline = time.monotonic() + seconds
    while len(told) < count:
        assert time.monotonic() < deadline, f"told of {told}"
        time.sleep(0.02)
    time.sleep(2 * QUICK.settle.total_seconds())
    assert len(told) == count


def test_an_edit_and_an_added_unit_are_one_event_each(tree):
    with events_of(tree.watch()) as told:
        tree.write("app.conf", "edited")
        wait_for(told, 1)
        tree.back_up()
        (tree.units / "app-2.service").write_text("unit")
        wait_for(told, 2)

    assert told[0].sample == (f"changed {tree.root}/app.conf",)
    assert told[1].sample == (f"added {tree.units}/app-2.service",)


def test_touching_saving_the_same_and_unrelated_files_are_no_event(tree):
    with events_of(tree.watch()) as told:
        os.utime(tree.root / "app.conf")
        tree.write("deep/er/file")
        (tree.units / "other.service").write_text("unit")
        time.sleep(1.0)

        assert told == []


def test_two_hundred_edits_within_a_second_are_one_event(tree):
    # A stall of this machine must not look like the end of the burst.
    patient = replace(QUICK, settle=timedelta(seconds=1), at_most=timedelta(seconds=20))
    with events_of(tree.watch(patient)) as told:
        for number in range(200):
            tree.write("app.conf", f"edit {number}")
            time.sleep(0.004)
        wait_for(told, 1)


def test_an_edit_while_nobody_watched_is_the_first_event(tree):
    tree.write("app.conf", "edited")

    with events_of(tree.watch()) as told:
        wait_for(told, 1)
    assert told[0].sample == (f"changed {tree.root}/app.conf",)


def test_what_was_backed_up_by_somebody_else_meanwhile_is_no_event(tree, looks):
    rhythm = replace(QUICK, settle=timedelta(seconds=3), at_most=timedelta(seconds=20))
    with events_of(tree.watch(rhythm)) as told:
        before, deadline = len(looks), time.monotonic() + 30
        tree.write("app.conf", "edited")
        tree.back_up()
        while len(looks) == before:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.3)

        assert told == []


def test_a_change_that_is_known_is_not_told_again_and_a_further_one_is(tree):
    with events_of(tree.watch()) as told:
        tree.write("app.conf", "edited")
        wait_for(told, 1)
        os.utime(tree.root / "deep" / "er" / "file")
        (tree.root / "passing").touch()
        (tree.root / "passing").unlink()
        wait_for(told, 1)
        tree.write("app.conf", "edited again")
        wait_for(told, 2)


def test_a_burst_that_does_not_end_is_told_of_after_some_time(tree):
    rhythm = replace(QUICK, settle=timedelta(seconds=1), at_most=timedelta(seconds=2))
    with events_of(tree.watch(rhythm)) as told:
        began = time.monotonic()
        while not told and time.monotonic() - began < 8:
            tree.write("app.conf", f"{time.monotonic()}")
            time.sleep(0.02)
        took = time.monotonic() - began
    assert told
    assert 1.8 < took < 6


def test_a_tree_without_a_backup_is_an_event_at_once(tmp_path):
    tree = ProtectedTree(tmp_path)
    tree.write("app.conf")

    with events_of(tree.watch()) as told:
        wait_for(told, 1)
        assert told[0].sample == ("there is no backup yet",)
        tree.back_up()
        tree.write("app.conf", "edited")
        wait_for(told, 2)
    assert told[1].sample == (f"changed {tree.root}/app.conf",)


def test_a_folder_that_was_exchanged_for_another_is_followed(tree):
    patient = replace(QUICK, settle=timedelta(seconds=1), at_most=timedelta(seconds=20))
    with events_of(tree.watch(patient)) as told:
        tree.root.rename(tree.folder / "former")
        shutil.copytree(tree.folder / "former", tree.root)
        time.sleep(2.5)
        assert told == []
        tree.write("deep/er/file", "edited")
        wait_for(told, 1)

    assert told[0].sample == (f"changed {tree.root}/deep/er/file",)


def test_a_tree_that_was_never_there_is_an_event_and_its_coming_another(tmp_path):
    tree = ProtectedTree(tmp_path)
    tree.root.rmdir()
    with events_of(tree.watch()) as told:
        wait_for(told, 1)
        tree.root.mkdir()
        wait_for(told, 2)

    assert str(tree.root) in told[0].problem
    assert told[1].sample == ("there is no backup yet",)


def test_a_tree_that_has_gone_is_an_event_that_says_so_and_its_return_is_none(tree):
    with events_of(tree.watch()) as told:
        tree.root.rename(tree.folder / "away")
        wait_for(told, 1)
        (tree.folder / "away").rename(tree.root)
        time.sleep(1)
        assert len(told) == 1

        tree.write("app.conf", "edited")
        wait_for(told, 2)
    assert str(tree.root) in told[0].problem


def test_what_is_still_not_backed_up_is_told_again_after_a_while(tree):
    tree.write("app.conf", "edited")

    with events_of(tree.watch(replace(QUICK, recheck=timedelta(seconds=0.5)))) as told:
        deadline = time.monotonic() + 5
        while len(told) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(told) >= 3
        tree.back_up()
        time.sleep(1)
        count = len(told)
        time.sleep(1.2)
        assert len(told) == count


def test_where_polling_is_asked_for_no_notice_is_needed(tree, monkeypatch):
    monkeypatch.setattr(notices, "INotify", lambda: pytest.fail("asked the kernel"))
    with events_of(tree.watch(replace(QUICK, poll=timedelta(seconds=0.2)))) as told:
        os.utime(tree.root / "app.conf")
        time.sleep(0.8)
        assert told == []
        tree.write("app.conf", "edited")
        wait_for(told, 1)


def test_where_the_kernel_does_not_watch_it_is_said_and_the_tree_is_looked_at_all_the_same(tree, monkeypatch):
    def refuse():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(notices, "INotify", refuse)
    monkeypatch.setattr("backstop.commands.trees.bursts._UNTOLD_SECONDS", 0.2)
    said = []
    with events_of(tree.watch(said=said)) as told:
        tree.write("app.conf", "edited")
        wait_for(told, 1)

    assert len(said) == 1
    assert "fs.inotify.max_user_watches" in said[0]


def test_while_no_repository_answers_it_is_tried_again_and_nothing_is_missed(tree, monkeypatch):
    said, asleep = [], [True]
    for repository in tree.repositories:
        monkeypatch.setattr(repository.storage, "list", silent_while(asleep, repository.storage.list))
    with events_of(tree.watch(said=said, retry=timedelta(seconds=0.2))) as told:
        tree.write("app.conf", "edited")
        time.sleep(0.6)
        assert told == []
        asleep.clear()
        wait_for(told, 1)

    assert len(said) == 1


def silent_while(asleep, answer):
    def list_or_not(prefix):
        if asleep:
            raise StorageUnavailableError("nobody answers")
        return answer(prefix)

    return list_or_not


def test_when_nobody_can_tell_for_long_that_is_an_event(tree):
    (tree.folder / "local" / "calibrify" / "data").rename(tree.folder / "away")
    shutil.rmtree(tree.folder / "far")
    watch = tree.watch(retry=timedelta(seconds=0.1), patience=timedelta(seconds=0.5))

    with events_of(watch) as told:
        deadline = time.monotonic() + 5
        while not told and time.monotonic() < deadline:
            time.sleep(0.05)
    assert len(told) == 1
    assert told[0].problem


def test_one_repository_that_answers_is_enough(tree):
    shutil.rmtree(tree.folder / "local")

    assert not changes_since_newest(tree.watched())
    tree.write("app.conf", "edited")
    assert changes_since_newest(tree.watched()).changed == 1


def test_nothing_of_a_watch_is_left_in_staging(tree):
    with tree.watch() as watch:
        stop = threading.Event()
        threading.Timer(0.3, stop.set).start()
        assert watch.wait(stop) is None
        assert list((tree.folder / "staging").iterdir()) != []

    assert [one.name for one in (tree.folder / "staging").iterdir()] == []


def test_what_is_excluded_wakes_nobody(tree, looks):
    tree.exclude = ("*.log",)
    tree.back_up()
    with events_of(tree.watch()) as told:
        count = len(looks)
        for number in range(5):
            tree.write("app.log", f"{number}")
            time.sleep(0.1)
        time.sleep(0.5)

        assert told == []
        assert len(looks) == count
