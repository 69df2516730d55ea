"""A team's server: brought up from nothing, used, hurt, and brought up again. `make compose-test`."""

from __future__ import annotations

import json
import time
import urllib.error
from typing import TYPE_CHECKING, Any

import pytest

from embedded.airflow_api import ENDED, AirflowApi, Run
from embedded.proving import wait_for_proofs
from tests.compose.deployment import Deployment, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.compose, pytest.mark.timeout(3000)]

QUEUE = "calibrify-db"
BACK_UP, VERIFY = "back_up_database__calibrify", "verify_backups__calibrify"
BASE_BACKUP = "take_base_backup__calibrify"
RESTORE, RECOVER = f"restore_database__{QUEUE}", f"restore_to_point_in_time__{QUEUE}"
PATIENCE = 900.0
"""Seconds for a run: on a small machine five services of Airflow take turns."""


def host(deployment: Deployment) -> str:
    """Where tasks of the target run."""
    return "worker-database" if deployment.executor == "celery" else "scheduler"


def back_up(deployment: Deployment) -> str:
    admin = deployment.user("admin")
    run = admin.trigger(BACK_UP)
    admin.require_success(run, timeout=PATIENCE)
    return str(admin.result(run, "back_up")["label"])


def ask_for_restore(deployment: Deployment, label: str) -> Run:
    """`admin` asks, `approver` approves."""
    admin, approver = deployment.user("admin"), deployment.user("approver")
    run = admin.trigger(RESTORE, {"target": "calibrify", "backup_label": label, "mode": "swap"})
    approver.question(run, "approve", timeout=PATIENCE)
    approver.answer(run, "approve", "Approve")
    return run


def fingerprint(deployment: Deployment) -> str:
    """Rows of what tests change, and the database that holds them."""
    return deployment.sql(
        "SELECT (SELECT count(*) FROM calibrations), (SELECT count(*) FROM equipment), "
        "(SELECT sum(hashtextextended((e.*)::text, 0)) FROM equipment AS e)"
    )


def oid(deployment: Deployment) -> str:
    return deployment.sql("SELECT oid FROM pg_database WHERE datname = current_database()")


def crash_while(deployment: Deployment, run: Run, program: str) -> None:
    """Kill the container that the run's task works in, as soon as it has started that program."""
    admin, container = deployment.user("admin"), deployment.inspect(host(deployment))["Id"]
    deadline = time.monotonic() + PATIENCE
    while program not in deployment.processes(container):
        assert admin.state(run) not in ENDED, f"{run} ended before {program} was seen"
        assert time.monotonic() < deadline, f"{program} was not seen"
    deployment.crash(host(deployment))


def refused(call: Callable[[], Any]) -> int:
    with pytest.raises(urllib.error.HTTPError) as raised:
        call()
    return raised.value.code


def test_all_of_it_is_closed_as_the_file_says(deployment: Deployment) -> None:
    known = deployment.services()
    secrets = {
        path.name: path.read_text().strip()
        for path in (deployment.root / "secrets").iterdir()
        if path.is_file() and path.name not in ("passwd", "redis.conf")
    }

    assert {"redis", "worker", "worker-database"}.isdisjoint(known) == (deployment.executor == "local")
    for service, state in known.items():
        found = deployment.inspect(service)
        setup = found["HostConfig"]
        assert state["Health"] == "healthy" or (state["State"], state["ExitCode"]) == ("exited", 0)
        assert (setup["ReadonlyRootfs"], setup["Privileged"]) == (True, False)
        assert min(setup["Memory"], setup["NanoCpus"], setup["PidsLimit"]) > 0
        assert (found["Config"]["User"] == "0:0") == (service == "volume-owner")
        told = json.dumps([found["Config"]["Env"], found["Config"]["Cmd"], found["Config"]["Entrypoint"]])
        assert [name for name, secret in secrets.items() if secret in told] == []


def test_the_main_job(deployment: Deployment) -> None:
    """Backed up, proven in both repositories, broken, restored with an approval; the application goes on."""
    admin = deployment.user("admin")
    deployment.application("/equipment/7", note="before")
    before = fingerprint(deployment)
    started = time.monotonic()
    label = back_up(deployment)
    proofs = wait_for_proofs(admin, VERIFY, label, {"local", "s3"}, timeout=PATIENCE)
    isolated = {proof.get("isolation", "") for proof in proofs.values()}
    deployment.application("/equipment/7", note="after")
    deployment.sql("DROP TABLE certificates CASCADE")

    run = ask_for_restore(deployment, label)
    admin.require_success(run, timeout=PATIENCE)

    assert fingerprint(deployment) == before
    assert int(deployment.sql("SELECT count(*) FROM certificates")) > 0
    assert deployment.application("/equipment/7")["notes"] == "before"
    kept = admin.result(run, "swap")["kept"]
    assert deployment.sql(f"SELECT datallowconn FROM pg_database WHERE datname = '{kept}'") == "f"
    print(f"\n{deployment.executor}: main job in {time.monotonic() - started:.0f} s; {isolated}")


def test_whoever_asked_for_a_restore_cannot_approve_it(deployment: Deployment) -> None:
    admin = deployment.user("admin")
    run = admin.trigger(RESTORE, {"target": "calibrify", "backup_label": back_up(deployment), "mode": "swap"})
    admin.question(run, "approve", timeout=PATIENCE)
    admin.answer(run, "approve", "Approve")

    assert admin.wait(run, timeout=PATIENCE) == "failed"
    assert any("approve" in said for said in admin.failures(run))


def copied(admin: AirflowApi) -> str:
    """A full base backup; how its files were copied."""
    run = admin.trigger(BASE_BACKUP, {"kind": "full"})
    admin.require_success(run, timeout=PATIENCE)
    return str(admin.result(run, "take")["copied"])


def test_the_whole_server_goes_back_in_time_on_its_own_host(deployment: Deployment) -> None:
    """The recovered data directory takes the live one's place: the worker shares the server's volume."""
    admin, approver = deployment.user("admin"), deployment.user("approver")
    assert copied(admin) == "files"
    deployment.application("/equipment/9", note="kept")
    point = deployment.sql(
        "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    )
    deployment.sql("DELETE FROM measurements")
    stored = (
        "SELECT flush_lsn >= pg_current_wal_lsn() FROM pg_stat_replication "
        "WHERE application_name = 'backstop_wal'"
    )
    wait_until(lambda: deployment.sql(stored) == "t", 120, "WAL in the repositories")
    identity = deployment.sql("SELECT timeline_id FROM pg_control_checkpoint()")

    run = admin.trigger(RECOVER, {"target": "calibrify", "point": point, "mode": "cut over"})
    approver.question(run, "approve", timeout=PATIENCE)
    approver.answer(run, "approve", "Approve")
    admin.require_success(run, timeout=PATIENCE)

    assert int(deployment.sql("SELECT count(*) FROM measurements")) > 0
    assert deployment.application("/equipment/9")["notes"] == "kept"
    assert deployment.sql("SELECT timeline_id FROM pg_control_checkpoint()") > identity
    print(
        f"\n{deployment.executor}: cut over, down for {admin.result(run, 'cut_over')['downtime_seconds']} s"
    )
    deployment.wait_healthy("wal-receiver", "protected")
    assert copied(admin) == "files"


def test_roles_see_and_start_what_is_theirs(deployment: Deployment) -> None:
    def seen(user: AirflowApi) -> set[str]:
        return {dag["dag_id"] for dag in user.get("/api/v2/dags?limit=100")["dags"]}

    viewer, approver = deployment.user("viewer"), deployment.user("approver")
    asked = {"target": "calibrify", "backup_label": "", "mode": "beside"}

    assert seen(viewer) == {"watch_backups", BACK_UP}
    assert {RESTORE, RECOVER, f"restore_files__{QUEUE}", "expire_backups__calibrify"} <= seen(approver)
    for dag_id in (RESTORE, RECOVER, BACK_UP, "expire_backups__calibrify"):
        assert refused(lambda dag_id=dag_id: viewer.trigger(dag_id, asked)) == 403
    assert refused(lambda: approver.trigger(BACK_UP)) == 403
    assert refused(lambda: viewer.get(f"/api/v2/dags/{RESTORE}")) == 403


def test_the_page_knows_its_visitors_by_airflow(deployment: Deployment) -> None:
    for user in ("admin", "approver", "viewer"):
        token = deployment.token(user)
        assert deployment.status("/backstop/", token) == 200
        assert deployment.status("/backstop/targets/calibrify", token) == 200
        assert deployment.status("/backstop/targets/nobody", token) == 404
    assert deployment.status("/backstop/") == 303  # to the login
    assert deployment.status("/backstop/", "forged") == 303


def test_prometheus_scrapes_with_its_token_and_has_our_rules(deployment: Deployment) -> None:
    def asked(query: str) -> str:
        return deployment.execute(
            "prometheus", "promtool", "query", "instant", "http://127.0.0.1:9090", query
        )

    admin = deployment.user("admin")
    admin.require_success(admin.trigger("watch_backups"), timeout=PATIENCE)

    assert deployment.status("/backstop/metrics") == 401
    wait_until(lambda: "=> 1" in asked('up{job="backstop"}'), 120, "a scrape")
    wait_until(lambda: "calibrify" in asked("backstop_target_configured"), 120, "a series of the target")
    rules = deployment.execute("prometheus", "promtool", "check", "config", "/etc/prometheus/prometheus.yml")
    assert "rules found" in rules


def test_a_worker_killed_in_a_backup_and_in_a_restore(deployment: Deployment) -> None:
    """Both runs recover by themselves or fail and say so; the live database is whole all the time."""
    admin = deployment.user("admin")
    label = back_up(deployment)
    rows, live = fingerprint(deployment), oid(deployment)
    started = time.monotonic()

    backup = admin.trigger(BACK_UP)
    crash_while(deployment, backup, "pg_dump")
    assert (fingerprint(deployment), oid(deployment)) == (rows, live)
    deployment.wait_healthy(host(deployment), "scheduler")
    restore = ask_for_restore(deployment, label)
    crash_while(deployment, restore, "pg_restore")
    assert (fingerprint(deployment), oid(deployment)) == (rows, live)
    deployment.application("/equipment/7", note="the application goes on")
    ended = {
        name: admin.wait(run, timeout=2 * PATIENCE)
        for name, run in (("backup", backup), ("restore", restore))
    }

    tries = {task["task_id"]: task["try_number"] for run in (backup, restore) for task in admin.tasks(run)}
    print(
        f"\n{deployment.executor}: after the kills {ended}, {time.monotonic() - started:.0f} s, tries {tries}"
    )
    if ended["restore"] == "success":
        assert fingerprint(deployment) == rows
        assert oid(deployment) != live
    else:
        assert admin.failures(restore)
        assert oid(deployment) == live
    if ended["backup"] == "failed":
        assert admin.failures(backup)
    # Whatever became of them: the next backup is taken, and nothing of the dead one is in its way.
    assert back_up(deployment)


def test_redis_and_the_scheduler_are_restarted_in_a_backup(deployment: Deployment) -> None:
    admin = deployment.user("admin")
    run = admin.trigger(BACK_UP)
    container = deployment.inspect(host(deployment))["Id"]
    wait_until(lambda: "pg_dump" in deployment.processes(container), PATIENCE, "a dump that runs")

    restarted = ["scheduler", *(["redis"] if deployment.executor == "celery" else [])]
    deployment.compose("restart", *restarted, timeout=400)
    deployment.wait_healthy(*restarted)

    admin.require_success(run, timeout=2 * PATIENCE)
    assert back_up(deployment)


def test_down_and_up_keeps_all(deployment: Deployment) -> None:
    admin = deployment.user("admin")
    label = back_up(deployment)
    deployment.application("/equipment/8", note="still here")

    def kept() -> dict[str, Any]:
        return {
            "rows": fingerprint(deployment),
            "runs": {run.run_id for run in deployment.user("admin").runs(BACK_UP)},
            "backups": {line.split()[0] for line in backups(deployment).splitlines() if line[:2] == "20"},
            "key": (deployment.root / "secrets/keys/keyring.json").read_bytes(),
        }

    before = kept()
    deployment.down()
    assert deployment.services() == {}
    took = deployment.up("monitoring")
    print(f"\n{deployment.executor}: up again after {took:.0f} s")

    assert kept() == before
    assert label in backups(deployment)
    assert deployment.application("/equipment/8")["notes"] == "still here"
    assert set(deployment.services()) >= {"wal-receiver", "prometheus"}
    beside = admin.trigger(RESTORE, {"target": "calibrify", "backup_label": label, "mode": "beside"})
    admin.require_success(beside, timeout=PATIENCE)


def backups(deployment: Deployment) -> str:
    """What the command line lists, without Airflow."""
    return deployment.execute(host(deployment), "python", "-m", "backstop", "list", "--target", "calibrify")
