"""The real Prometheus scrapes a real Airflow, whose real watch tells of a real failure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from embedded.demo import BACK_UP, TARGET
from tests.prometheus_server import PROGRAM, PrometheusServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.airflow.conftest import Scene

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.system,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("airflow"),
    pytest.mark.skipif(PROGRAM is None, reason="Prometheus is not installed: make test-deps"),
]
WATCH = "watch_backups"
VERIFY = f"verify_backups__{TARGET}"
STATUS = f'backup_status{{target="{TARGET}",kind="dump"}}'
PROVEN = f'backstop_backup_newest_proven{{target="{TARGET}",kind="dump",repository="s3"}}'
# Of this backup alone: other procedures fail on purpose in the same Airflow.
FAILURE = (
    f'ALERTS{{alertstate="firing",alertname="BackupFailed",target="{TARGET}",kind="dump"}} or '
    f'ALERTS{{alertstate="firing",alertname="ProcedureFailed",subject="{BACK_UP}"}}'
)


def test_a_backup_that_fails_fires_the_alert_and_one_that_succeeds_ends_it(
    scene: Scene, tmp_path: Path
) -> None:
    address = urlsplit(scene.stack.airflow().url).netloc
    token = scene.stack.home.metrics_token.read_text().strip()
    # What others have just backed up here is to be proven when the watch looks.
    scene.admin.wait(scene.admin.trigger(VERIFY))
    watch(scene)

    with PrometheusServer(tmp_path, address=address, token=token) as it:

        def becomes(expression: str, value: str) -> None:
            it.wait_until(
                lambda: [one["value"][1] for one in it.query(expression)] == [value],
                lambda: (expression, it.query(expression), it.query("up")),
            )

        def fired() -> list[str]:
            return sorted(one["metric"]["alertname"] for one in it.query(FAILURE))

        becomes(STATUS, "1")
        becomes(PROVEN, "1")
        assert fired() == []

        with scene.rules(conn_id="nobody_has_this"):
            assert scene.admin.wait(scene.admin.trigger(BACK_UP)) == "failed"
        becomes(STATUS, "0")
        it.wait_until(lambda: fired() == ["BackupFailed", "ProcedureFailed"], it.alerts)

        scene.admin.require_success(scene.admin.trigger(BACK_UP))
        watch(scene)
        becomes(STATUS, "1")
        it.wait_until(lambda: fired() == [], it.alerts)


def watch(scene: Scene) -> None:
    """Now, and not in five minutes."""
    scene.admin.require_success(scene.admin.trigger(WATCH))
