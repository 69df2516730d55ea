"""Back up, prove, break, restore, through the DAGs of a real Airflow."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from embedded.airflow_api import ENDED
from embedded.demo import BACK_UP, TARGET, VERIFY

if TYPE_CHECKING:
    from tests.airflow.conftest import Scene

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600), pytest.mark.xdist_group("airflow")]


def test_a_dropped_table_comes_back_whole(scene: Scene) -> None:
    assert scene.story.broken.get("public.certificates") is None
    assert scene.story.after == scene.story.before
    assert scene.story.before["public.certificates"] > 0


def test_the_backup_is_proven_in_every_repository_without_anyone_asking(scene: Scene) -> None:
    assert set(scene.story.proofs) == {"local", "s3"}
    assert scene.story.repositories == {"local": "completed", "s3": "completed"}
    run = scene.admin.runs(VERIFY)[-1]
    assert scene.admin.get(run.path)["run_type"] == "asset_triggered"


def test_the_runs_say_what_they_did_and_their_tasks_link_to_it(scene: Scene) -> None:
    ended_well = [run for run in scene.admin.runs(BACK_UP) if scene.admin.state(run) == "success"]
    backups = {scene.admin.result(run, "back_up")["label"]: run for run in ended_well}
    backup, label = backups[scene.story.label], scene.story.label
    verification, number, repository = next(
        (run, number, result["repository"])
        for run in scene.admin.runs(VERIFY)
        for number, result in enumerate(scene.admin.results(run, "verify"))
        if result["label"] == label
    )
    scene.admin.wait(verification)

    note = scene.admin.get(backup.path)["note"]
    assert note.startswith(f"`{label}`: ")
    assert note.endswith("in local, s3; not proven yet")
    assert f"`{label}` in {repository} is **proven**" in scene.admin.get(verification.path)["note"]
    for task in (f"{backup.path}/taskInstances/back_up", f"{verification.path}/taskInstances/verify"):
        mapped = f"?map_index={number}" if task.endswith("verify") else ""
        links = scene.admin.get(f"{task}/links{mapped}")["extra_links"]
        assert links["Recoverability"].endswith(f"/backstop/targets/{TARGET}")
        assert links["Manifest"].endswith(f"/backstop/targets/{TARGET}/backups/{label}#manifest")
        assert links["Proof"].endswith(f"/backstop/targets/{TARGET}/backups/{label}#proofs")


def test_the_former_database_is_kept_and_clients_waited_less_than_five_seconds(scene: Scene) -> None:
    assert scene.story.kept in scene.databases()
    assert scene.story.interrupted > 0
    assert scene.story.downtime_seconds < 5


def test_the_application_is_stopped_before_and_started_after_the_swap(scene: Scene) -> None:
    stopped, started = (scene.stack.home.root / name for name in ("stopped", "started"))
    commands = {"stop": [["touch", str(stopped)]], "start": [["touch", str(started)]], "probe": [["true"]]}
    with scene.rules(restore={"approval": False}, application=commands):
        run = scene.ask_for_restore()
        scene.admin.require_success(run)

    assert stopped.stat().st_mtime <= started.stat().st_mtime
    assert scene.admin.result(run, "approve")["approved_by"] == "not required by policy"


def test_a_worker_killed_in_the_middle_of_a_swap_leaves_a_running_application(scene: Scene) -> None:
    """Killed while it waits for the application to stop: `reopen` starts it again."""
    before = scene.live_oid()
    stopping, started = (scene.stack.home.root / name for name in ("stopping", "started-again"))
    commands = {
        "stop": [["sh", "-c", f"echo $PPID > {stopping}; exec sleep 60"]],
        "start": [["touch", str(started)]],
        "timeout": "90s",
    }
    with scene.rules(restore={"approval": False}, application=commands):
        run = scene.ask_for_restore()
        while not (stopping.exists() and stopping.read_text().strip()):
            assert scene.admin.state(run) not in ENDED
            time.sleep(0.2)
        os.kill(int(stopping.read_text()), signal.SIGKILL)

        assert scene.admin.wait(run) == "failed"

    assert scene.task(run, "swap")["state"] == "failed"
    assert scene.task(run, "reopen")["state"] == "success"
    assert started.exists()
    assert scene.live_oid() == before


def test_the_inventory_knows_the_backup_and_its_proofs(scene: Scene) -> None:
    with scene.stack.metadata.connect("backstop_inventory", "backstop_inventory") as session:
        rows = session.execute(
            "SELECT count(*) FROM public.backup_inventory WHERE filename LIKE %s", [f"%{scene.story.label}%"]
        ).fetchone()

    assert rows is not None
    assert rows[0] == 2


def test_no_password_reaches_a_log_a_result_or_rendered_field(scene: Scene) -> None:
    stack = scene.stack
    known = {
        *stack.airflow().passwords().values(),
        *(stack.protected.password(role) for role in ("calibrify_backup", "calibrify_restore")),
        stack.seaweedfs.secret_key,
    }
    with stack.metadata.connect("airflow", "airflow") as session:
        stored = [
            str(row)
            for table in ("xcom", "rendered_task_instance_fields", "log", "hitl_detail")
            for row in session.execute(f"SELECT t::text FROM public.{table} AS t".encode()).fetchall()
        ]
    logs = [path.read_text(errors="replace") for path in (stack.home.airflow / "logs").rglob("*.log")]

    assert len(stored) > 10
    assert len(logs) > 10
    for secret in known:
        assert not any(secret in text for text in stored + logs)


def test_nothing_is_left_in_staging(scene: Scene) -> None:
    # Proofs are made there, of what others have just backed up.
    scene.admin.wait(scene.admin.trigger(VERIFY))
    staging = scene.stack.home.repository / ".staging"

    assert not staging.exists() or list(staging.iterdir()) == []


def test_a_copy_beside_needs_no_approval_and_touches_nothing(scene: Scene) -> None:
    before = scene.live_oid()
    run = scene.ask_for_restore(mode="beside")
    scene.admin.require_success(run)

    beside = scene.admin.result(run, "restore_beside")["database"]
    assert beside in scene.databases()
    assert scene.live_oid() == before
    assert scene.task(run, "swap")["state"] == "skipped"
    assert scene.task(run, "reopen")["state"] == "skipped"


def test_swapping_back_returns_to_the_former_database(scene: Scene) -> None:
    former = scene.live_oid()
    with scene.rules(restore={"approval": False}):
        restored = scene.ask_for_restore()
        scene.admin.require_success(restored)
    assert scene.live_oid() != former
    kept = scene.admin.result(restored, "swap")["kept"]

    run = scene.admin.trigger("swap_back_database", {"target": TARGET, "former": kept})
    assert "Goes back to" in scene.approver.question(run, "approve")["body"]
    scene.approver.answer(run, "approve", "Approve")
    scene.admin.require_success(run)

    assert scene.live_oid() == former
