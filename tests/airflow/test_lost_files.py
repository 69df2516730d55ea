"""Files are backed up, proven, lost and restored, through the DAGs of a real Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from embedded.files_demo import CONFIG, MEDIA, RESTORE, back_up_dag

if TYPE_CHECKING:
    from embedded.story import FilesStory
    from tests.airflow.conftest import Scene

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600), pytest.mark.xdist_group("airflow")]


def test_every_tree_is_proven_in_every_repository_without_anyone_asking(files_story: FilesStory) -> None:
    for tree in (MEDIA, CONFIG):
        assert set(files_story.proofs[tree]) == {"local", "s3"}
        for found in files_story.proofs[tree].values():
            assert found["checks"]["files_restored"] == files_story.backups[tree]["files"]


def test_a_change_is_in_a_backup_within_a_minute(files_story: FilesStory, scene: Scene) -> None:
    assert 0 < files_story.noticed_seconds < 60
    woken = [
        run
        for run in scene.admin.runs(back_up_dag(CONFIG))
        if scene.admin.get(run.path)["run_type"] == "asset_triggered"
    ]
    assert woken


def test_every_file_that_rows_name_is_in_the_backup(files_story: FilesStory) -> None:
    checks = files_story.proofs[MEDIA]["local"]["checks"]

    assert checks["expected_files"] > 0
    assert checks["missing_files"] == 0


def test_the_lost_files_are_back_and_two_people_were_needed(files_story: FilesStory, scene: Scene) -> None:
    assert files_story.media_lost == files_story.backups[MEDIA]["files"]
    for run in scene.admin.runs(RESTORE):
        assert scene.admin.result(run, "approve")["approved_by"] == "approver"
