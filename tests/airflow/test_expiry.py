"""Backups expire through the DAG of a real Airflow, once a second person has agreed, and no held one does."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import yaml

from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners
from backstop.settings.arguments import utc_now
from backstop.storage.posix import PosixStorage
from embedded.demo import TARGET
from embedded.files import write_private
from tests.making import Maker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from embedded.airflow_api import AirflowApi
    from embedded.stack import Stack
    from tests.airflow.conftest import Scene

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600), pytest.mark.xdist_group("airflow")]

EXPIRE, HOLD = f"expire_backups__{TARGET}", "hold_backups"
AGES = (60, 50, 45, 12, 11, 10)
"""Days. The local repository keeps 30, and the newest from before: two go."""


@dataclass
class Aged:
    """Old proven dumps in the local repository; even a twentieth of it needs somebody's consent to go."""

    admin: AirflowApi
    approver: AirflowApi
    repository: Path
    labels: list[str]

    def there(self) -> list[str]:
        folder = self.repository / TARGET / "meta" / "manifests"
        return [label for label in self.labels if (folder / f"{label}.json").exists()]


@pytest.fixture(scope="module")
def aged(scene: Scene) -> Iterator[Aged]:
    # Beside the sample's own backup, without which S3 would hold no repository yet.
    stack = scene.stack
    home = stack.home
    maker = Maker(
        PosixStorage(home.repository),
        LocalKeyring.load(home.keyring),
        Signer.load(home.signing / "manifest.pem"),
        TrustedSigners.load(home.signing / "trusted.json"),
        target=TARGET,
    )
    labels = []
    for days in AGES:
        published = maker.publish(started_at=utc_now().replace(microsecond=0) - timedelta(days=days))
        maker.prove(published, signer=Signer.load(home.signing / "proof.pem"))
        labels.append(published.manifest.label.text)
    former = home.targets.read_text()
    document = yaml.safe_load(former)
    document["targets"][TARGET]["expiry"] = {"approve_above": 0.05}
    write_private(home.targets, yaml.safe_dump(document))
    yield Aged(scene.admin, scene.approver, home.repository, labels)
    write_private(home.targets, former)
    _forget(stack, labels)


def _forget(stack: Stack, labels: list[str]) -> None:
    """What was made here must not be what another test restores, or misses."""
    for label in labels:
        for folder in ("meta/proofs", "meta/holds", "data/database"):
            shutil.rmtree(stack.home.repository / TARGET / folder / label, ignore_errors=True)
        (stack.home.repository / TARGET / "meta" / "manifests" / f"{label}.json").unlink(missing_ok=True)
    with stack.metadata.connect("backstop_inventory", "backstop_inventory") as session:
        for table in ("backup_inventory", "backup_proof", "backup_hold"):
            session.execute(f"DELETE FROM public.{table} WHERE label = ANY (%s)".encode(), [labels])


def test_what_a_second_person_approved_goes_and_what_is_held_meanwhile_stays(
    aged: Aged, running_stack: Stack
) -> None:
    going, held, *rest = aged.labels
    for dag_id in (EXPIRE, HOLD):
        aged.admin.wait_for_dag(dag_id)

    run = aged.admin.trigger(EXPIRE)
    asked = aged.approver.question(run, "approve")
    assert asked["subject"] == f"Remove 2 backups of {TARGET}?"
    assert f"- `{going}`" in asked["body"]
    assert aged.there() == aged.labels
    aged.admin.require_success(
        aged.admin.trigger(HOLD, {"target": TARGET, "action": "place", "label": held, "reason": "audit"})
    )
    aged.approver.answer(run, "approve", "Approve")
    aged.admin.require_success(run)

    assert aged.there() == [held, *rest]
    assert not (aged.repository / TARGET / "data" / "database" / going).exists()
    # From S3 no backup goes; WAL from before its first base backup may.
    assert aged.admin.result(run, "report")["freed_bytes"]["local"] > 0
    assert f"- `{going}`" in aged.admin.get(run.path)["note"]
    assert rows(running_stack, going) == [("expired",)]
    assert rows(running_stack, held) == [("proven",)]


def rows(stack: Stack, label: str) -> list[tuple[str]]:
    query = "SELECT status FROM public.backup_inventory WHERE label = %s AND repository = 'local'"
    with stack.metadata.connect("backstop_inventory", "backstop_inventory") as session:
        return session.execute(query, [label]).fetchall()


def test_a_dry_run_asks_nobody_and_removes_nothing(aged: Aged) -> None:
    before = aged.there()
    dry = aged.admin.trigger(EXPIRE, {"dry_run": True})
    aged.admin.require_success(dry)
    states = {task["task_id"]: task["state"] for task in aged.admin.tasks(dry)}

    assert aged.there() == before
    assert (states["plan"], states["approve"], states["report"]) == ("success", "skipped", "skipped")


def test_the_inventory_is_rebuilt_by_its_dag(aged: Aged, running_stack: Stack) -> None:
    aged.admin.wait_for_dag("rebuild_inventory")
    newest = aged.labels[-1]

    run = aged.admin.trigger("rebuild_inventory")
    aged.admin.require_success(run)

    assert aged.admin.results(run, "rebuild")[0]["local"]["backups"] >= len(aged.there())
    assert rows(running_stack, newest) == [("proven",)]
