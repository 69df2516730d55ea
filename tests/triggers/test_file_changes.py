"""The trigger as the triggerer runs it: events come, the loop stays free, nothing is left behind."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from airflow.sdk import Asset

import tests.airflow_home  # noqa: F401
from backstop.operators.asset import tree_changes
from backstop.operators.files import BackUpFilesOperator
from backstop.targets import load_targets
from backstop.triggers import file_changes
from backstop.triggers.file_changes import FileChangesTrigger
from tests.operators.lab import Lab, context


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A target with a backup of its file tree."""
    lab = Lab(tmp_path)
    lab.tree.mkdir()
    (lab.tree / "app.conf").write_text("port = 1\n")
    lab.enter(monkeypatch)
    BackUpFilesOperator(task_id="back_up", target="calibrify", tree="config").carry_out(context())
    return lab


def trigger():
    asset = tree_changes("calibrify", load_targets().targets["calibrify"].trees["config"])
    return asset.watchers[0].trigger


def first_event(of, *, seconds=20.0):
    """Its payload."""

    async def first():
        async for event in of.run():
            return event.payload

    return asyncio.run(asyncio.wait_for(first(), seconds))


def test_it_is_made_again_from_what_it_writes_down(lab):
    path, arguments = trigger().serialize()

    assert path == "backstop.triggers.file_changes.FileChangesTrigger"
    again = FileChangesTrigger(**arguments)
    assert again.serialize() == (path, arguments)
    assert (again.target, again.tree) == ("calibrify", "config")


def test_other_rules_make_another_trigger_and_other_words_about_restores_do_not(lab):
    before = trigger().serialize()
    lab.tree_rules = {"owner": "root:root"}
    lab.write()
    assert trigger().serialize() == before

    (lab.folder / "targets.yaml").write_text(
        (lab.folder / "targets.yaml").read_text().replace("settle: 1s", "settle: 2s")
    )
    assert trigger().serialize() != before


def test_a_watched_tree_survives_being_stored_by_airflow(lab):
    from airflow.serialization.encoders import encode_trigger

    stored = encode_trigger(trigger())

    assert stored["classpath"] == "backstop.triggers.file_changes.FileChangesTrigger"
    assert isinstance(tree_changes("calibrify", load_targets().targets["calibrify"].trees["config"]), Asset)


def test_an_edit_that_was_made_while_airflow_was_down_is_the_first_event(lab):
    (lab.tree / "app.conf").write_text("port = 2\n")

    payload = first_event(trigger())

    assert payload["tree"] == "config"
    assert payload["sample"] == [f"changed {lab.tree}/app.conf"]


def test_the_loop_stays_free_while_it_watches_and_everything_is_gone_when_it_is_cancelled(lab):
    async def watch_and_cancel():
        events = []

        async def collect():
            async for event in trigger().run():
                events.append(event.payload)

        task = asyncio.create_task(collect())
        longest, last = 0.0, time.monotonic()
        for number in range(150):
            await asyncio.sleep(0.02)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
            if number == 50:
                (lab.tree / "app.conf").write_text("port = 2\n")
        deadline = time.monotonic() + 10
        while not events and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return events, longest

    events, longest = asyncio.run(watch_and_cancel())

    assert len(events) == 1
    assert longest < 5
    deadline = time.monotonic() + 5
    while any("watch calibrify" in thread.name for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert list((lab.folder / "spool").glob("watch-*")) == []


def test_a_watch_that_fails_is_said_and_begun_again(lab, monkeypatch, caplog):
    monkeypatch.setattr(file_changes, "_PAUSE_SECONDS", 0.1)
    good = (lab.folder / "targets.yaml").read_text()
    (lab.folder / "targets.yaml").write_text(good.replace("version: 1", "version: 2"))
    watching = FileChangesTrigger(target="calibrify", tree="config")
    (lab.tree / "app.conf").write_text("port = 2\n")
    threading.Timer(1.0, lambda: (lab.folder / "targets.yaml").write_text(good)).start()

    payload = first_event(watching)

    assert payload["changed"] == 1
