"""The buttons on a task's page lead to what the task made."""

from datetime import datetime, timezone

import pytest

import tests.airflow_home  # noqa: F401
from backstop.operators.backup import BackUpDatabaseOperator
from backstop.operators.base_backup import TakeBaseBackupOperator
from backstop.operators.drill_verdict import JudgeDrillOperator
from backstop.operators.files import BackUpFilesOperator
from backstop.operators.links import LINKS, ManifestLink, ProofLink, RecoverabilityLink
from backstop.operators.verification import VerifyBackupOperator

LABEL = "20261123T010000Z-dump"
NAMES = {"Recoverability", "Manifest", "Proof"}


def links_of(operator) -> dict[str, str]:
    return {link.name: link.get_link(operator, ti_key=None) for link in operator.operator_extra_links}


@pytest.fixture
def served_at(monkeypatch):
    """Sets where Airflow says it is served."""
    return lambda url: monkeypatch.setenv("AIRFLOW__API__BASE_URL", url)


def test_a_backup_links_to_its_target_its_manifest_and_its_proofs(served_at):
    served_at("https://airflow.example.org/data/")
    operator = BackUpDatabaseOperator(task_id="back_up", target="calibrify")
    operator.backup_label = LABEL

    assert links_of(operator) == {
        "Recoverability": "https://airflow.example.org/data/backstop/targets/calibrify",
        "Manifest": f"https://airflow.example.org/data/backstop/targets/calibrify/backups/{LABEL}#manifest",
        "Proof": f"https://airflow.example.org/data/backstop/targets/calibrify/backups/{LABEL}#proofs",
    }


def test_a_worker_that_does_not_know_where_airflow_is_links_within_it(served_at):
    served_at("")
    operator = VerifyBackupOperator(task_id="v", target="calibrify", backup_label=LABEL, repository="s3")

    assert links_of(operator)["Recoverability"] == "/backstop/targets/calibrify"
    assert links_of(operator)["Proof"] == f"/backstop/targets/calibrify/backups/{LABEL}#proofs"


def test_a_backup_that_failed_links_to_its_target_only(served_at):
    served_at("")
    for operator in (
        BackUpDatabaseOperator(task_id="x", target="calibrify"),
        TakeBaseBackupOperator(task_id="x", target="calibrify"),
        BackUpFilesOperator(task_id="x", target="calibrify", tree="media"),
    ):
        links = links_of(operator)

        assert links["Recoverability"] == "/backstop/targets/calibrify"
        assert (links["Manifest"], links["Proof"]) == ("", "")


def test_airflow_keeps_the_links_of_plain_and_of_mapped_tasks():
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("lab", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)) as dag:
        BackUpDatabaseOperator(task_id="plain", target="calibrify")
        VerifyBackupOperator.partial(task_id="mapped", target="calibrify").expand_kwargs(
            [{"backup_label": LABEL, "repository": "s3"}]
        )

    kept = DagSerialization.from_dict(DagSerialization.to_dict(dag))

    for task in ("plain", "mapped"):
        assert set(kept.get_task(task).extra_links) >= NAMES
    assert {type(link) for link in LINKS} == {RecoverabilityLink, ManifestLink, ProofLink}


def test_a_drill_links_to_its_report_once_it_has_an_id(served_at):
    served_at("https://airflow.example.org")
    operator = JudgeDrillOperator(task_id="judge", target="calibrify", record="null")
    assert links_of(operator)["Report"] == ""

    operator.drill_id = "drill-20261126T120000Z-1f3a"
    assert links_of(operator) == {
        "Recoverability": "https://airflow.example.org/backstop/targets/calibrify",
        "Report": "https://airflow.example.org/backstop/targets/calibrify/drills/drill-20261126T120000Z-1f3a",
    }
