"""Two deployments of Airflow on one machine that protect one target into the same repositories, by mistake.

Each has an AIRFLOW_HOME, a metadata database, an inventory, a scheduler, a spool, a targets.yaml, and keys in
files of its own. They share what two by mistake share: the protected server, the directory, the bucket, and
what is in the key files.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from backstop.repository.claims import Claim
from embedded import airflow, configuration, databases
from embedded.airflow_api import ENDED, AirflowApi, Run
from embedded.cluster import ENVIRONMENT
from embedded.demo import BACK_UP, TARGET, VERIFY, WATCH
from embedded.files import write_private
from embedded.home import CHECKOUT, Home
from embedded.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from embedded.airflow import EmbeddedAirflow
    from embedded.postgres import EmbeddedPostgres
    from embedded.steps import Steps

EXPIRE = f"expire_backups__{TARGET}"
DAGS = (BACK_UP, VERIFY, EXPIRE, WATCH)


@dataclass(frozen=True)
class HomeBeside(Home):
    """The folder of a second deployment: what is protected, and where to, are the first one's."""

    first: Home

    @property
    def repository(self) -> Path:
        return self.first.repository

    @property
    def seaweedfs(self) -> Path:
        return self.first.seaweedfs

    @property
    def protected(self) -> Path:
        return self.first.protected


class Deployment:
    """One of the two. :param stack: its own servers, and those it shares."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.home = stack.home

    @cached_property
    def airflow(self) -> EmbeddedAirflow:
        return self.stack.airflow()

    @cached_property
    def admin(self) -> AirflowApi:
        return AirflowApi(self.airflow.url, sign_in=lambda: self.airflow.token("admin"))

    def start_airflow(self) -> None:
        self.airflow.configure()
        self.airflow.migrate()
        since = airflow.now()
        self.airflow.wait_until_healthy(started=self.airflow.start(), since=since)
        for dag_id in DAGS:
            self.admin.wait_for_dag(dag_id)
        # Proofs are asked for where a test wants them.
        self.pause(VERIFY)

    def change_targets(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Tasks read it when they run; DAGs, when they are parsed."""
        document = yaml.safe_load(self.home.targets.read_text())
        change(document["targets"][TARGET])
        write_private(self.home.targets, yaml.safe_dump(document))

    def pause(self, dag_id: str, *, paused: bool = True) -> None:
        self.admin.send("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": paused})

    def parse_now(self, dag_id: str) -> None:
        token = self.admin.get(f"/api/v2/dags/{dag_id}")["file_token"]
        self.admin.send("PUT", f"/api/v2/parseDagFile/{token}")

    def task(self, run: Run, task_id: str) -> dict[str, Any]:
        return next(task for task in self.admin.tasks(run) if task["task_id"] == task_id)

    def wait_for_retry(self, run: Run, task_id: str) -> str:
        """What a task said that will be tried again."""
        while (task := self.task(run, task_id))["state"] != "up_for_retry":
            assert self.admin.state(run) not in ENDED, self.admin.why(run)
            time.sleep(0.5)
        return self.admin.last_error(run, task)

    def give_up(self, run: Run) -> None:
        """As somebody does who has read why it waits."""
        self.admin.send("PATCH", run.path, {"state": "failed"})

    def cli(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Its command line, with its own targets.yaml and connections."""
        code = {"PYTHONPATH": str(CHECKOUT / "plugins")}
        return subprocess.run(
            [sys.executable, "-m", "backstop", *argv],
            env={**ENVIRONMENT, **code, **configuration.variables(self.home)},
            cwd="/",
            text=True,
            capture_output=True,
            check=False,
        )

    @contextmanager
    def protecting(self, server: EmbeddedPostgres) -> Iterator[None]:
        """Its connections lead to another server for a while."""
        former = self.home.connections.read_text()
        document = json.loads(former)
        for conn_id in (name for name in document if name.startswith(f"{TARGET}_")):
            document[conn_id]["port"] = server.port
        write_private(self.home.connections, json.dumps(document))
        try:
            yield
        finally:
            write_private(self.home.connections, former)

    def shown(self, path: str, token: str) -> str:
        """A page, or the metrics, as text."""
        request = urllib.request.Request(  # noqa: S310
            self.airflow.url + path, headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return str(answer.read().decode())

    def watch(self) -> dict[str, Any]:
        """What its status says of the target right after a watch."""
        self.admin.require_success(self.admin.trigger(WATCH))
        done = self.cli("status", "--json")
        return json.loads(done.stdout)["targets"][0]

    def inventory(self, labels: Iterable[str]) -> list[tuple[str, str, str]]:
        """Label, repository and status of these, as far as it knows them."""
        query = """
            SELECT label, repository, status FROM public.backup_inventory
            WHERE label = ANY (%s) ORDER BY label, repository
        """
        with self.stack.metadata.connect(databases.INVENTORY, databases.INVENTORY) as session:
            return session.execute(query, [list(labels)]).fetchall()


class Second(Stack):
    """Beside the first one: starts nothing of what they share."""

    def up(self, steps: Steps, *, without_airflow: bool = False) -> None:
        self.home.prepare()
        # A copy of the first one's disk has its keys.
        assert isinstance(self.home, HomeBeside)
        shutil.copytree(self.home.first.keyring.parent, self.home.keyring.parent)
        self.metadata.start()
        databases.prepare_metadata(self.metadata)
        self._write_configuration()
        self._migrate_inventory(steps)

    def down(self, steps: Steps) -> None:
        if (self.home.metadata / "passwords.json").exists():
            self.airflow().stop()
        self.metadata.stop()


class Pair(NamedTuple):
    """Both, and what they share."""

    first: Deployment
    second: Deployment

    @property
    def repository(self) -> Path:
        return self.first.home.repository / TARGET

    def published(self) -> set[str]:
        folder = self.repository / "meta" / "manifests"
        return {one.stem for one in folder.glob("*.json")}

    def stored(self) -> set[str]:
        """Everything of dumps, also of those that nobody published."""
        folders = (self.repository / "data" / "database", self.repository / "meta" / "manifests")
        return {str(one.relative_to(self.repository)) for folder in folders for one in folder.rglob("*")}

    @contextmanager
    def held_up(self, folder: str, begin: Callable[[], object]) -> Iterator[Claim]:
        """Stops whoever is the next to make a claim there, as soon as it is made: as slow as a terabyte.

        :param folder: of leases or pins, below ``meta``. :param begin: has somebody begin.
        """
        place = self.repository / "meta" / folder
        known = set(place.glob("*.json"))
        begin()
        while not (made := sorted(set(place.glob("*.json")) - known)):
            time.sleep(0.002)
        claim = Claim.from_json(made[0].read_bytes(), str(made[0]))
        os.kill(claim.pid, signal.SIGSTOP)
        try:
            assert not any(
                json.loads(one.read_bytes())["released"] for one in set(place.glob("*.json")) - known
            )
            yield claim
        finally:
            os.kill(claim.pid, signal.SIGCONT)
