from __future__ import annotations

from types import SimpleNamespace

import pytest

from backstop.commands.base import backup as base_backup
from backstop.errors import ConfigurationError
from backstop.model.backup import BackupKind
from backstop.operators.asset import cluster_backups
from backstop.operators.base_backup import TakeBaseBackupOperator
from backstop.operators.links import ManifestLink
from backstop.operators.note import NOTE
from backstop.settings import cluster as settings
from tests.operators.lab import SERVER, context

REPORT = {
    "label": "20261123T030000Z-full",
    "repositories": {"local": "completed", "far": "failed"},
    "files": 1000,
    "parent": None,
    "copied": "network",
    "plain_bytes": 3_000_000_000,
    "stored_bytes": 1_000_000_000,
    "seconds": 61.2,
    "not_included": [],
}


@pytest.fixture
def taken(lab, monkeypatch):
    """The arguments of each base backup; none is made."""
    calls = []

    def take(**arguments):
        calls.append(arguments)
        return SimpleNamespace(to_dict=lambda: dict(REPORT))

    monkeypatch.setattr(base_backup, "take_base_backup", take)
    return calls


def test_what_is_due_is_decided_by_the_schedules(taken, monkeypatch, capsys):
    monkeypatch.setattr(settings, "kind_of_base_backup", lambda *_, now: (BackupKind("incr"), "it is Monday"))

    TakeBaseBackupOperator(task_id="take", target="calibrify").carry_out(context())

    assert [call["kind"] for call in taken] == [BackupKind("incr")]
    assert "A base backup of kind incr: it is Monday" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["full", "incr"])
def test_a_kind_that_somebody_chose_is_taken_whatever_is_due(taken, monkeypatch, kind):
    monkeypatch.setattr(settings, "kind_of_base_backup", lambda *_, now: pytest.fail("nobody asked"))

    TakeBaseBackupOperator(task_id="take", target="calibrify", kind=kind).carry_out(context())

    (call,) = taken
    assert call["kind"] is BackupKind(kind)
    assert call["cluster"] is SERVER
    assert [one.name for one in call["repositories"]] == ["local", "far"]
    assert call["holder"].startswith("Airflow at ")
    assert call["holder"].endswith(": DAG dag, run run, task task")


@pytest.mark.parametrize(
    ("base_url", "named"),
    [
        ("https://ada:secret@airflow.example.org:8443/team/", "https://airflow.example.org:8443/team"),
        ("", "an address that [api] base_url does not say"),
        ("nonsense", "an address that [api] base_url does not say"),
    ],
)
def test_a_lease_says_which_airflow_holds_it_and_tells_no_login(taken, monkeypatch, base_url, named):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)

    TakeBaseBackupOperator(task_id="take", target="calibrify").carry_out(context())

    assert taken[0]["holder"] == f"Airflow at {named}: DAG dag, run run, task task"


def test_the_run_is_told_what_was_taken_and_the_task_links_to_it(taken):
    told = context()
    operator = TakeBaseBackupOperator(task_id="take", target="calibrify")

    operator.carry_out(told)

    assert (
        told["ti"]
        .pushed[NOTE]
        .startswith("`20261123T030000Z-full`: 1,000 files, sent by the server, 3.0 GB, stored")
    )
    assert ManifestLink().get_link(operator, ti_key=None).endswith("/20261123T030000Z-full#manifest")


def test_without_any_backup_a_full_one_is_due(taken):
    TakeBaseBackupOperator(task_id="take", target="calibrify").carry_out(context())

    assert [call["kind"] for call in taken] == [BackupKind.FULL]


def test_a_kind_that_does_not_exist_is_answered_with_those_that_do(taken):
    with pytest.raises(ConfigurationError, match="no kind 'dump' of base backup") as refused:
        TakeBaseBackupOperator(task_id="take", target="calibrify", kind="dump").carry_out(context())

    assert refused.value.hint == "choose one of: due, full, incr"
    assert taken == []


def test_whoever_waits_for_base_backups_is_told_which_one_and_where(taken):
    told = context()
    operator = TakeBaseBackupOperator(task_id="take", target="calibrify", kind="full")

    assert operator.carry_out(told) == REPORT

    assert operator.outlets == [cluster_backups("calibrify")]
    assert told["outlet_events"][cluster_backups("calibrify")].extra == {
        "label": REPORT["label"],
        "repositories": REPORT["repositories"],
    }


def test_a_target_without_a_cluster_takes_none(taken):
    with pytest.raises(ConfigurationError, match="has no `cluster` section"):
        TakeBaseBackupOperator(task_id="take", target="plain", kind="full").carry_out(context())
    assert taken == []
