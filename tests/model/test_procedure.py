from __future__ import annotations

import pytest

from backstop.model.finding import Level
from backstop.model.procedure import dag_of_kind, kind_of_run, level_of_run, procedure_of, target_of_dag


@pytest.mark.parametrize(
    ("dag_id", "kind"),
    [
        ("back_up_database__calibrify", "dump"),
        ("take_base_backup__calibrify", "base"),
        ("back_up_files__calibrify__media", "tree:media"),
        ("back_up_files__calibrify", None),
        ("verify_backups__calibrify", None),
        ("watch_backups", None),
    ],
)
def test_a_dag_that_makes_backups_says_of_which_kind(dag_id, kind):
    assert kind_of_run(dag_id) == kind


@pytest.mark.parametrize("kind", ["dump", "base", "tree:media"])
def test_the_dag_of_a_kind_makes_that_kind(kind):
    assert kind_of_run(dag_of_kind("lab__old", kind), "lab__old") == kind


def test_a_target_may_have_two_underscores_in_its_name():
    known = ["lab", "lab__old"]

    assert target_of_dag("back_up_files__lab__old__media", known) == "lab__old"
    assert target_of_dag("back_up_files__lab__media", known) == "lab"
    assert kind_of_run("back_up_files__lab__old__media", "lab__old") == "tree:media"


def test_a_dag_about_no_single_target_has_none():
    assert target_of_dag("watch_backups", ["lab"]) is None
    assert target_of_dag("rebuild_inventory__dmz", ["lab"]) is None


def test_what_the_watch_measures_by_itself_is_a_warning_when_its_run_fails():
    assert level_of_run("sync_repositories__lab") is Level.WARNING
    assert level_of_run("archive_wal__lab") is Level.WARNING
    assert level_of_run("back_up_database__lab") is Level.CRITICAL
    assert procedure_of("back_up_database__lab") == "back_up_database"
