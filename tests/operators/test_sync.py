"""The tasks of a sync: one copies, one turns red by name."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowFailException

from backstop.operators.base import explained
from backstop.operators.sync import RequireInStepOperator, SyncRepositoriesOperator
from tests.making import Maker
from tests.operators.lab import context


@pytest.fixture
def label(lab):
    """A dump that is in ``local`` alone."""
    maker = Maker.in_folder(lab.folder, "local")
    return maker.publish().manifest.label.text


def sync(**changes):
    return SyncRepositoriesOperator(task_id="sync", target="calibrify", **changes).carry_out(context())


def in_step(report):
    with explained():
        return RequireInStepOperator(task_id="require_in_step", target="calibrify", report=report).carry_out(
            context()
        )


def test_what_one_repository_lacks_is_copied_without_a_word_to_the_server(lab, label):
    report = sync()

    assert [(one["repository"], one["labels"]) for one in report["repositories"]] == [
        ("local", []),
        ("far", [label]),
    ]
    assert (lab.folder / "far" / "calibrify" / "meta" / "manifests" / f"{label}.json").exists()
    assert in_step(report) == {"local": True, "far": True}


def test_a_dry_run_leaves_everything_as_it_is(lab, label):
    report = sync(dry_run=True, destinations=["far"])

    assert [one["labels"] for one in report["repositories"]] == [[label]]
    assert not (lab.folder / "far").exists()


def test_what_cannot_be_copied_turns_a_task_of_its_own_red_by_name(lab, label):
    for path in (lab.folder / "local").glob("calibrify/data/database/*/*/t/0"):
        path.write_bytes(b"x" * path.stat().st_size)

    report = sync()

    with pytest.raises(
        AirflowFailException, match=f"far lacks {label}: object .*t/0.* is not what was stored"
    ):
        in_step(report)
