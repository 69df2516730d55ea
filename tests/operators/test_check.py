from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from airflow.sdk.exceptions import AirflowFailException

from backstop.commands.check.check import check_objects
from backstop.errors import BackstopError
from backstop.operators.check import CheckObjectsOperator, ListOrphansOperator, PrepareRepositoryOperator
from tests.making import Maker
from tests.operators.lab import context


@pytest.fixture
def stored(lab):
    """The same dump in both repositories of the lab."""
    makers = [Maker.in_folder(lab.folder, name) for name in ("local", "far")]
    published = makers[0].publish()
    shutil.copytree(lab.folder / "local" / "calibrify" / "data", lab.folder / "far" / "calibrify" / "data")
    manifest = makers[1].manifest(
        published.manifest.label, list(published.manifest.objects), published.manifest.started_at
    )
    makers[1].catalog.publish(manifest, signer=makers[1].signer, ensure_held=lambda: None)
    return [lab.folder / "local" / one.key for one in published.manifest.objects]


def check(**arguments):
    operator = CheckObjectsOperator(task_id="check", target="calibrify", repository="local", **arguments)
    return operator.execute(context())


def test_a_check_without_damage_tells_what_was_read_in_a_few_figures(stored):
    result = check(share="100%", heal=False)

    assert json.loads(json.dumps(result)) == result
    assert (result["objects"], result["healed"]) == (3, 0)


@pytest.mark.parametrize("heal", [True, False])
def test_what_the_form_says_reaches_the_task_of_each_repository(stored, lab, heal):
    """Airflow renders the fields of mapped tasks by a way of its own."""
    from airflow.dag_processing.dagbag import DagBag

    file = Path(__file__).parents[2] / "dags" / "check_repositories.py"
    dag = DagBag(file).dags["check_repositories__calibrify"]
    mapped = dag.get_task("check")
    told = context()
    told["ti"].map_index = 0
    told["dag_run"].conf = {"share": "100%", "heal": heal}
    told.update(dag=dag, task=mapped)
    mapped.render_template_fields(told)
    task = told["task"]
    stored[0].write_bytes(b"rotten")

    assert (task.target, task.repository, task.share) == ("calibrify", "local", "100%")
    if heal:
        assert task.execute(told)["healed"] == 1
    else:
        with pytest.raises(AirflowFailException, match="is damaged"):
            task.execute(told)


def test_damage_fails_the_task_at_once_and_healing_is_only_done_when_asked_for(stored):
    stored[0].write_bytes(b"rotten")

    with pytest.raises(AirflowFailException, match=r"local is damaged: .* is 6 bytes long"):
        check(share="100%", heal=False)
    assert stored[0].read_bytes() == b"rotten"
    # Whoever triggers it over the API may pass anything.
    with pytest.raises(AirflowFailException, match="is damaged"):
        check(share="100%", heal="no")

    assert check(share="100%", heal=True)["healed"] == 1
    assert stored[0].read_bytes() != b"rotten"


def test_what_healing_left_damaged_does_not_ask_for_healing_again(stored, lab):
    stored[0].write_bytes(b"rotten")
    (lab.folder / "far" / stored[0].relative_to(lab.folder / "local")).write_bytes(b"rotten, too")

    with pytest.raises(AirflowFailException, match=r"trigger this again with \*heal\*"):
        check(share="100%", heal=False)
    with pytest.raises(AirflowFailException, match="back up anew") as failed:
        check(share="100%", heal=True)
    assert "trigger this again" not in str(failed.value)


def test_what_was_read_and_not_judged_is_a_warning(stored, monkeypatch):
    def without_keys(**more):
        return replace(check_objects(**more), unjudged=2)

    monkeypatch.setattr("backstop.commands.check.check.check_objects", without_keys)
    log = Mock()
    monkeypatch.setattr(CheckObjectsOperator, "log", log)

    assert check(share="100%", heal=False)["unjudged"] == 2

    [warning] = [one.args[0] % one.args[1:] for one in log.warning.call_args_list if "judged" in one.args[0]]
    assert warning.startswith("2 objects of WAL were read and not judged")


def test_a_share_that_is_none_is_refused(stored):
    with pytest.raises(AirflowFailException, match="is no share"):
        check(share="lots", heal=False)


def test_what_is_left_over_is_counted_and_stays(stored, lab):
    foreign = lab.folder / "local" / "calibrify" / "data" / "notes.txt"
    foreign.write_text("not ours")

    found = ListOrphansOperator(task_id="list", target="calibrify", repository="local").execute(context())

    assert found["foreign"] == {"objects": 1, "stored_bytes": 8}
    assert foreign.exists()


def test_a_repository_that_differs_is_red_until_it_is_mended(stored, lab):
    (lab.folder / "far").chmod(0o755)

    with pytest.raises(AirflowFailException, match="permissions"):
        PrepareRepositoryOperator(task_id="prepare", target="far", apply=False).execute(context())

    prepared = PrepareRepositoryOperator(task_id="prepare", target="far", apply=True).execute(context())
    assert prepared["differences"] == []
    with pytest.raises((AirflowFailException, BackstopError), match="nowhere"):
        PrepareRepositoryOperator(task_id="prepare", target="nowhere", apply=True).execute(context())
