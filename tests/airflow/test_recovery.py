"""The whole cluster goes back to just before an accident, through the DAGs of a real Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backstop.repository.wal_archive import WalArchive
from backstop.storage.posix import PosixStorage
from embedded.demo import RECOVER, TARGET

if TYPE_CHECKING:
    from embedded.airflow_api import Run
    from embedded.demo import Story
    from tests.airflow.conftest import Scene

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600), pytest.mark.xdist_group("airflow")]


def test_every_row_is_back_that_was_committed_before_the_moment(recovery_story: Story) -> None:
    assert recovery_story.written > 0
    assert (recovery_story.recovered, recovery_story.lost) == (recovery_story.written, 0)


def test_what_was_live_is_kept_beside_and_the_cut_over_was_short(recovery_story: Story, scene: Scene) -> None:
    # Others recover beside.
    [run] = [one for one in scene.admin.runs(RECOVER) if ("cut_over", "success") in ended(scene, one)]
    outcome = scene.admin.result(run, "cut_over")

    assert outcome["live"] == str(scene.stack.protected.data)
    assert (Path(outcome["kept"]) / "PG_VERSION").exists()
    assert 0 < recovery_story.cluster_downtime_seconds < 60


def test_the_cluster_is_protected_again_on_a_new_timeline(recovery_story: Story, scene: Scene) -> None:
    with scene.stack.protected.connect() as session:
        row = session.execute(
            "SELECT timeline_id, system_identifier::text FROM pg_control_checkpoint(), pg_control_system()"
        ).fetchone()
    assert row is not None
    timeline, system_id = row

    assert timeline > 1
    assert recovery_story.protected_again.endswith(f", timeline {timeline}")
    archive = WalArchive(PosixStorage(scene.stack.home.repository), TARGET, system_id)
    assert archive.has_timeline(timeline)


def ended(scene: Scene, run: Run) -> set[tuple[str, str]]:
    return {(task["task_id"], task["state"]) for task in scene.admin.tasks(run)}
