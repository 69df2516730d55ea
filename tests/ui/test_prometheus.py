"""The real Prometheus scrapes the real endpoint, and every alert fires from its cause and ends with it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from embedded.airflow import EmbeddedAirflow
from embedded.configuration import write_connections
from embedded.files import write_private
from embedded.home import CHECKOUT
from tests.fleet_targets import targets_yaml
from tests.prometheus_server import PROGRAM, RULES, PrometheusServer
from tests.ui.metrics_site import TOKEN, MetricsSite
from tests.ui.planted_causes import planted
from tests.ui.served import running
from tests.ui.shown_inventory import ShownInventory
from tests.watched import well

pytestmark = [
    pytest.mark.integration,
    pytest.mark.system,
    pytest.mark.skipif(PROGRAM is None, reason="Prometheus is not installed: make test-deps"),
]
PROCEDURE = f"expire_backups__{planted(datetime.now(timezone.utc))[0].target}"
_MAKE_PROCEDURE = """
WITH bundle AS (
    INSERT INTO public.dag_bundle (name, active) VALUES ('a bundle', true)
    ON CONFLICT (name) DO UPDATE SET active = true RETURNING name
), dag AS (
    INSERT INTO public.dag (
        dag_id, bundle_name, is_paused, is_stale, timetable_type, partition_mapper_info, max_active_tasks,
        max_consecutive_failed_dag_runs, has_task_concurrency_limits
    )
    SELECT %(dag)s, bundle.name, %(paused)s, false, '', '{}', 1, 0, false FROM bundle
    ON CONFLICT (dag_id) DO UPDATE SET is_paused = excluded.is_paused RETURNING dag_id
)
INSERT INTO public.dag_tag (name, dag_id) SELECT 'backstop', dag.dag_id FROM dag ON CONFLICT DO NOTHING
"""
DASHBOARD = Path(__file__).resolve().parents[2] / "include" / "grafana" / "backstop.json"


def utc_now():
    return datetime.now(timezone.utc)


def test_every_alert_fires_from_its_cause_and_resolves_when_it_is_mended(database, tmp_path):
    site = MetricsSite(database, tmp_path / "token")
    site.clock = utc_now
    site.targets = [one.target for one in planted(utc_now())]

    with running(site.app) as address:
        every_alert_fires_and_resolves(
            site.inventory,
            urlsplit(address).netloc,
            tmp_path / "prometheus",
            give_places=lambda places: setattr(site, "pools", {"default_pool": places}),
            pause=lambda paused: setattr(site, "paused", [PROCEDURE] if paused else []),
        )


@pytest.mark.airflow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_and_so_it_does_when_airflow_itself_is_scraped(postgres18, new_database, database, tmp_path):
    inventory = ShownInventory(database)
    metadata = new_database(postgres18)

    def give_places(places):
        with metadata.connect() as session:
            session.execute("UPDATE public.slot_pool SET slots = %s WHERE pool = 'default_pool'", [places])

    def pause(paused):
        with metadata.connect() as session:
            session.execute(_MAKE_PROCEDURE, {"dag": PROCEDURE, "paused": paused})

    with airflow(metadata, inventory=database, folder=tmp_path / "airflow") as address:
        every_alert_fires_and_resolves(
            inventory, address, tmp_path / "prometheus", give_places=give_places, pause=pause
        )


def every_alert_fires_and_resolves(inventory, address, folder, *, give_places, pause):
    """Plant each cause in what ``address`` shows, and mend it.

    :param inventory: what is shown there; :param folder: Prometheus' own.
    :param give_places: to the pool that all targets have their tasks in. :param pause: a procedure, or go on.
    """
    causes = planted(utc_now())
    targets = [one.target for one in causes]
    fleet = [well(name, now=utc_now()) for name in targets]
    expected = {(alert, one.target) for one in causes for alert in one.alerts}
    seen: set[str] = set()

    with PrometheusServer(folder, address=address, token=TOKEN) as it:

        def show(looks, findings=()):
            inventory.show(looks, findings, now=utc_now())

        def fires(what):
            it.wait_until(lambda: it.alerts() == what, lambda: it.alerts() ^ what)
            seen.update(name for name, _ in what)

        def empty():
            return [panel for panel, expression in shown() if not it.query(expression)]

        show(fleet)
        it.wait_until(lambda: bool(it.query("backup_status == 1")), lambda: "nothing was scraped")
        # What would fire has been pending for longer than a second by then.
        settled = utc_now() + timedelta(seconds=2)
        it.wait_until(lambda: it.evaluated_since(settled), lambda: "the rules are not evaluated")
        fires(set())

        show([one.look for one in causes if one.look], [found for one in causes for found in one.findings])
        fires(expected)
        it.wait_until(lambda: not empty(), empty)

        show(fleet)
        fires(set())

        give_places(0)
        fires({("PoolWithoutPlaces", "")})
        give_places(-1)
        fires(set())

        pause(True)
        fires({("ProcedurePaused", targets[0])})
        pause(False)
        fires(set())

        inventory.disappear()
        fires({("MetricsDown", "")})
        assert it.query("backup_status") == []
        inventory.reappear()
        fires(set())

        show([])
        fires({("NeverWatched", "")} | {("TargetNotWatched", name) for name in targets})
        show(fleet)
        fires(set())

    assert seen == {rule["alert"] for rule in rules()}


@contextmanager
def airflow(metadata, *, inventory, folder):
    """The address of a real Airflow of which only the API server runs: the one process that shows anything.

    :param metadata: a database for it alone.
    """
    folder.mkdir()
    (folder / "targets.yaml").write_text(targets_yaml([one.target for one in planted(utc_now())]))
    write_private(folder / "token", f"{TOKEN}\n")
    connections = folder / "connections.json"
    write_connections(connections, databases={"inventory": inventory})
    server = EmbeddedAirflow(
        folder,
        metadata=metadata,
        dags=CHECKOUT / "dags",
        plugins=CHECKOUT / "plugins",
        connections_file=connections,
        environment={
            "BACKSTOP_TARGETS": str(folder / "targets.yaml"),
            "BACKSTOP_METRICS_TOKEN_FILE": str(folder / "token"),
        },
        components=("api-server",),
    )
    server.configure()
    server.migrate()
    try:
        since = utc_now()
        server.wait_until_healthy(started=server.start(), since=since)
        yield urlsplit(server.url).netloc
    finally:
        server.stop()


def shown():
    """Titles and expressions of the dashboard, for every target."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$target", ".+")


def rules():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
