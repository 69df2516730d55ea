"""A watch of a real database, a directory and S3 while each of them fails: one finding, gone afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from backstop.commands.watch.observe import observe_target
from backstop.credentials import EnvironmentCredentials
from backstop.model.finding import Level
from backstop.settings.watch import RHYTHM, WatchedTargets
from backstop.storage.posix import PosixStorage
from backstop.targets import load_targets
from tests.faults.conftest import BUCKET
from tests.faults.line import Line
from tests.faults.planting import SmallDisk, fill
from tests.faults.s3_proxy import FaultyS3Proxy, answer, stall
from tests.protection import Protection, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backstop.commands.watch.observe import Observed
    from backstop.postgres.connection import ClusterConnection
    from backstop.storage.s3 import S3Storage
    from embedded.seaweedfs import EmbeddedSeaweedFS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

AIRFLOW = "https://airflow.example.org"
MIB = 1024 * 1024
TARGETS = """\
version: 1
keys:
  lab:
    storage: local
    path: {folder}/keys/keyring.json
    signing: {folder}/keys/signing
    escrow: {{waived: a test}}
repositories:
  local: {{type: posix, path: "{repository}", mounted: {mounted}}}
  s3: {{type: s3, bucket: {bucket}, prefix: {corner}, conn_id: s3, endpoint_url: "{endpoint}"}}
targets:
  calibrify:
    keys: lab
    watch: {{free_space: {free_space}}}
    database:
      conn_id: source
      dbname: {dbname}
      schedule: null
      spool: {folder}/staging
      repositories: [local, s3]
{cluster}
"""


@dataclass
class Watched:
    """A target with one backup in both repositories, watched as targets.yaml says."""

    folder: Path
    source: ClusterConnection
    proxy: FaultyS3Proxy
    seaweedfs: EmbeddedSeaweedFS
    corner: str
    repository: Path
    mounted: bool = False
    free_space: str = "0.000001"
    cluster: str = ""

    def credentials(self, password: str | None = None) -> EnvironmentCredentials:
        source = {
            "conn_type": "postgres",
            "host": self.source.host,
            "port": self.source.port,
            "login": self.source.user,
            "password": password or self.source.password,
        }
        access, secret = quote(self.seaweedfs.access_key, safe=""), quote(self.seaweedfs.secret_key, safe="")
        return EnvironmentCredentials(
            {"AIRFLOW_CONN_SOURCE": json.dumps(source), "AIRFLOW_CONN_S3": f"aws://{access}:{secret}@/"}
        )

    def watch(self, *, password: str | None = None) -> Observed:
        file = self.folder / "targets.yaml"
        file.write_text(
            TARGETS.format(
                folder=self.folder,
                repository=self.repository,
                mounted=str(self.mounted).lower(),
                bucket=BUCKET,
                corner=self.corner,
                endpoint=self.proxy.endpoint_url,
                dbname=self.source.dbname,
                free_space=self.free_space,
                cluster=self.cluster,
            )
        )
        targets = WatchedTargets(load_targets(file), self.credentials(password), airflow=AIRFLOW)
        return observe_target(
            targets.open("calibrify"), inventory=None, clock=utc_now, rhythm=RHYTHM, patience_seconds=60
        )

    def found(self, **changes: str) -> dict[tuple[str, str], Level]:
        return {(one.check, one.subject): one.level for one in self.watch(**changes).findings}


@pytest.fixture
def protect(
    folder: Path,
    database: ClusterConnection,
    proxy: FaultyS3Proxy,
    seaweedfs: EmbeddedSeaweedFS,
    corner: str,
    truth: S3Storage,
) -> Callable[..., Watched]:
    """Takes that backup; ``repository`` is its directory."""

    def protect(repository: Path, **changes: Any) -> Watched:
        fill(database, "CREATE TABLE gauges (id int); INSERT INTO gauges VALUES (1);")
        storages = {"local": PosixStorage(repository), "s3": truth}
        Protection(folder=folder, source=database, storages=storages).back_up()
        return Watched(folder, database, proxy, seaweedfs, corner, repository, **changes)

    return protect


@pytest.fixture
def watched(protect: Callable[..., Watched], folder: Path) -> Watched:
    return protect(folder / "repository")


def test_nothing_is_said_of_a_target_in_order_and_everything_is_seen(watched: Watched):
    observed = watched.watch()

    assert observed.findings == ()
    assert observed.unjudged == frozenset()
    seen = observed.observation
    assert seen.unseen == ()
    assert set(seen.clock_offsets) == {"database", "repository local", "repository s3"}
    assert {one.name: (one.reachable, one.writable) for one in seen.repositories} == {
        "local": (True, True),
        "s3": (True, True),
    }
    assert [key.state for key in seen.keys] == ["usable"]
    assert seen.scratch_bytes == 0


@pytest.mark.parametrize("fault", ["refused", "busy", pytest.param("stalled", marks=pytest.mark.long)])
def test_s3_that_is_down_is_one_warning_beside_a_repository_that_works_and_gone_afterwards(
    watched: Watched, fault: str
):
    if fault == "refused":
        watched.proxy.refuse_connections()
    else:
        watched.proxy.plant(answer(503) if fault == "busy" else stall(60), times=None)

    down = watched.watch()
    if fault == "refused":
        watched.proxy.accept_connections()
    watched.proxy.heal()
    mended = watched.watch()

    assert [(one.check, one.subject, one.level) for one in down.findings] == [
        ("repository", "repository s3", Level.WARNING)
    ]
    assert down.findings[0].next_step
    assert {("space", "repository s3"), ("clock", "repository s3")} <= down.unjudged
    assert mended.findings == ()


def test_s3_that_lets_read_but_not_write_is_found(watched: Watched):
    watched.proxy.plant(answer(403, "AccessDenied"), method="POST", times=None)

    refused = watched.watch()
    watched.proxy.heal()

    assert [(one.check, one.subject, one.level) for one in refused.findings] == [
        ("repository", "repository s3", Level.WARNING)
    ]
    assert "AccessDenied" in refused.findings[0].sentence
    assert watched.found() == {}


def test_no_repository_at_all_is_critical(watched: Watched):
    watched.proxy.refuse_connections()
    watched.repository.rename(watched.folder / "elsewhere")

    lost = watched.found()
    (watched.folder / "elsewhere").rename(watched.repository)
    watched.proxy.accept_connections()

    assert {key: level for key, level in lost.items() if key[0] == "repository"} == {
        ("repository", "repository local"): Level.CRITICAL,
        # The folder answers, though there is no repository in it: nobody here knows that there was one.
        ("repository", "repository s3"): Level.WARNING,
    }
    assert watched.found() == {}


def test_a_password_that_was_changed_is_critical_and_shown_nowhere(watched: Watched):
    observed = watched.watch(password="hunter2-hunter2")

    assert [(one.check, one.subject, one.level) for one in observed.findings] == [
        ("source", "database", Level.CRITICAL)
    ]
    assert "hunter2" not in str(observed)
    assert watched.found() == {}


@pytest.mark.system
def test_a_disk_that_is_unmounted_full_or_nearly_full_is_told_and_forgotten(
    small_disk: SmallDisk, protect: Callable[..., Watched]
):
    small_disk.resize(64 * MIB)
    watched = protect(small_disk.path / "repository", mounted=True, free_space="2%")

    before = watched.found()
    small_disk.fill_up()
    full = watched.found()
    with (small_disk.path / "ballast").open("r+b") as ballast:
        ballast.truncate((small_disk.path / "ballast").stat().st_size - MIB)
    nearly = watched.found()
    (small_disk.path / "ballast").unlink()
    after = watched.found()
    small_disk.unmount()
    unmounted = watched.watch()
    small_disk.mount(64 * MIB)

    assert before == after == {}
    assert full == {("space", "repository local"): Level.CRITICAL}
    assert nearly == {("space", "repository local"): Level.WARNING}
    assert [(one.check, one.subject, one.level) for one in unmounted.findings] == [
        ("repository", "repository local", Level.WARNING)
    ]
    assert "nothing is mounted there" in unmounted.findings[0].sentence


def test_a_cluster_whose_wal_nobody_receives_is_critical_in_every_repository(watched: Watched):
    watched.cluster = "    cluster: {conn_id: source}"

    observed = watched.watch()

    found = {(one.check, one.subject): one.level for one in observed.findings}
    assert found["slot", "slot backstop_calibrify"] is Level.CRITICAL
    assert found["rpo", "repository local"] is found["rpo", "repository s3"] is Level.CRITICAL
    assert observed.observation.wal is not None
    assert observed.observation.wal.observed_rpo == {"local": None, "s3": None}
    watched.cluster = ""
    assert watched.found() == {}


def test_a_database_that_hangs_costs_its_time_out_and_hides_nothing_else(watched: Watched):
    line = Line(watched.source.host, watched.source.port)
    watched.source = replace(watched.source, port=line.port)
    line.hang()

    observed = watched.watch()
    line.close()

    # Its own time-out ended it, and no part had to be given up: that would be a finding of check `watch`.
    assert [(one.check, one.subject, one.level) for one in observed.findings] == [
        ("source", "database", Level.WARNING)
    ]
    assert len(observed.observation.repositories) == 2
