"""No secret is where it should not be: looked for in all that the real Airflow and its tasks left behind."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from embedded import configuration
from embedded.demo import BACK_UP, RESTORE, VERIFY
from embedded.home import CHECKOUT
from tests.airflow.places import ProcessList, leaks, pages, secrets_of, tables, written

if TYPE_CHECKING:
    from tests.airflow.conftest import Scene

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600), pytest.mark.xdist_group("airflow")]

PLANTED = "planted-9f2c7d51e0b84a63"
"""In the environment of whoever runs the command line, as credentials of other programs are."""


@dataclass
class Searched:
    """Changes nothing that other tests look at: the backup is the demo's own."""

    scene: Scene
    secrets: dict[str, str]

    @property
    def label(self) -> str:
        return self.scene.story.label


@pytest.fixture(scope="module")
def searched(scene: Scene) -> Searched:
    # What others have just backed up lies open in scratch while it is being proven.
    scene.admin.wait(scene.admin.trigger(VERIFY))
    home = scene.stack.home
    into = home.root / "decrypted"
    argv = [sys.executable, "-m", "backstop", "decrypt", "--label", scene.story.label, "--into", str(into)]
    environment = {
        **configuration.variables(home),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(CHECKOUT / "plugins"),
        "PLANTED": PLANTED,
    }
    own = ProcessList()
    with own.sampled():
        done = subprocess.run(argv, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    secrets = secrets_of(scene.stack)
    planted = {"planted": PLANTED}
    assert leaks({**secrets, **planted}, [("output", done.stdout + done.stderr)]) == []
    # The search of processes finds what is there: the environment of the very process that was given it.
    assert all("environment of" in one and "decrypt" in one for one in leaks(planted, own.seen.items()))
    assert leaks(planted, own.seen.items())
    # So do the roles' verifiers stand in what was backed up, and are looked for everywhere else.
    dumped = [("dump", path.read_bytes()) for path in into.rglob("*") if path.is_file()]
    assert leaks(secrets, dumped) != []
    shutil.rmtree(into)
    return Searched(scene, {**secrets, **planted})


def test_what_is_looked_for_is_of_every_kind(searched: Searched) -> None:
    kinds = ("password of connection", "key ring", "signing key", "verifier of role", "Airflow's", "token")

    assert [kind for kind in kinds if not any(what.startswith(kind) for what in searched.secrets)] == []


def test_logs_and_stored_objects_hold_no_secret(searched: Searched) -> None:
    places = list(written(searched.scene.stack))

    assert leaks(searched.secrets, places) == []
    # The search finds what is there: the label, in logs, manifests and evidence.
    found = leaks({"the label": searched.label}, places)
    assert any("airflow/logs/" in one for one in found)
    assert any("repository/" in one for one in found)


def test_xcoms_runs_rendered_fields_and_the_inventory_hold_no_secret(searched: Searched) -> None:
    places = list(tables(searched.scene.stack))

    assert leaks(searched.secrets, places) == []
    assert leaks({"the label": searched.label}, places) == [
        "the label in database airflow",
        "the label in database backstop_inventory",
    ]


def test_pages_show_no_secret(searched: Searched) -> None:
    places = list(pages(searched.scene, searched.label))

    assert leaks(searched.secrets, places) == []
    assert leaks({"the label": searched.label}, places) != []


def test_no_process_has_a_secret_among_its_arguments_or_in_its_environment(searched: Searched) -> None:
    seen = searched.scene.processes

    assert leaks(searched.secrets, seen.items()) == []
    # During a backup, its verification and a restore: the tools were seen at work.
    for program in ("pg_dump", "pg_restore"):
        assert any(where.startswith("arguments of") and program in where for where in seen), program


def test_connections_come_from_the_backend_and_none_is_in_the_metadata_database(searched: Searched) -> None:
    with searched.scene.stack.metadata.connect("airflow") as session:
        counted = session.execute("SELECT count(*) FROM connection").fetchone()

    assert counted == (0,)
    for dag_id in (BACK_UP, VERIFY, RESTORE):
        assert any(
            searched.scene.admin.state(run) == "success" for run in searched.scene.admin.runs(dag_id)
        ), f"{dag_id} has worked with connections that only the backend has"


def test_what_has_to_hold_secrets_is_read_by_its_owner_alone(searched: Searched) -> None:
    home = searched.scene.stack.home
    files = [home.connections, home.keyring, home.metrics_token, home.airflow / "secrets.json"]
    files += [home.airflow / "airflow.cfg", home.airflow / "passwords.json", *home.signing.glob("*.pem")]

    assert {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in files} == {
        path.name: "0o600" for path in files
    }
