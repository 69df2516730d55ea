"""A backed up and proven sample database in a real Airflow, and the two people who use it."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from embedded.airflow_api import AirflowApi, Run
from embedded.demo import BASE_BACKUP, RECOVER, RESTORE, TARGET, Demo
from embedded.files import write_private
from embedded.steps import Steps
from tests.airflow.places import ProcessList

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded.stack import Stack
    from embedded.story import FilesStory, Story


@dataclass
class Scene:
    """The stack after one whole demo: ``story`` is what happened in it."""

    stack: Stack
    admin: AirflowApi
    approver: AirflowApi
    demo: Demo
    story: Story
    processes: dict[str, bytes]
    """What could be read of the machine's processes meanwhile (tests/airflow/places.py)."""

    def ask_for_restore(self, **conf: Any) -> Run:
        """``admin`` asks for the demo's own backup, without the form."""
        given = {"target": TARGET, "backup_label": self.story.label, "mode": "swap", **conf}
        return self.admin.trigger(RESTORE, given)

    @contextmanager
    def rules(self, *, restore: dict[str, Any] | None = None, **database: Any) -> Iterator[None]:
        """Other words in targets.yaml for a while: tasks read it when they run."""
        path = self.stack.home.targets
        former = path.read_text()
        document = yaml.safe_load(former)
        section = document["targets"][TARGET]["database"]
        section.update(database)
        section["restore"].update(restore or {})
        write_private(path, yaml.safe_dump(document))
        try:
            yield
        finally:
            write_private(path, former)

    def databases(self) -> set[str]:
        with self.stack.protected.connect() as session:
            rows = session.execute("SELECT datname FROM pg_catalog.pg_database").fetchall()
        return {name for (name,) in rows}

    def live_oid(self) -> int:
        """Changes when another database takes the live name."""
        with self.stack.protected.connect() as session:
            query = "SELECT oid FROM pg_catalog.pg_database WHERE datname = %s"
            row = session.execute(query, [TARGET]).fetchone()
        assert row is not None
        return int(row[0])

    def task(self, run: Run, task_id: str) -> dict[str, Any]:
        return next(task for task in self.admin.tasks(run) if task["task_id"] == task_id)


@pytest.fixture(scope="session")
def scene(running_stack: Stack) -> Scene:
    server = running_stack.airflow()
    admin = AirflowApi(server.url, sign_in=lambda: server.token("admin"))
    approver = AirflowApi(server.url, sign_in=lambda: server.token("approver"))
    demo = Demo(running_stack, Steps(io.StringIO()), scale=0.02)
    demo.load_sample()
    for dag_id in ("back_up_database__calibrify", "verify_backups__calibrify", RESTORE):
        admin.wait_for_dag(dag_id)
    with ProcessList().sampled() as processes:
        demo.back_up(admin)
        demo.prove(admin)
        demo.break_it()
        demo.restore(admin, approver)
    return Scene(running_stack, admin, approver, demo, demo.story, processes.seen)


@pytest.fixture(scope="session")
def files_story(scene: Scene) -> FilesStory:
    """What became of the sample's files: backed up, proven, lost and restored."""
    files = scene.demo.files
    files.write()
    for dag_id in files.dags():
        scene.admin.wait_for_dag(dag_id)
    files.run(scene.admin, scene.approver)
    return scene.demo.story.files


@pytest.fixture(scope="session")
def recovery_story(scene: Scene) -> Story:
    """What became of the whole server: backed up, recovered to a moment, backed up again."""
    for dag_id in (BASE_BACKUP, RECOVER):
        scene.admin.wait_for_dag(dag_id)
    scene.demo.recover(scene.admin, scene.approver)
    return scene.demo.story
