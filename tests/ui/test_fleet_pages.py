"""The pages of a fleet whose files are not all right, or whose pools are not all there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstop.targets import load_targets
from backstop.ui.auth import WATCH
from backstop.ui.paused import paused_in
from backstop.ui.pools import ClosedPool, closed_pools, places
from tests.fleet_targets import targets_yaml
from tests.ui.conftest import NOW, TARGETS
from tests.ui.test_pages import Checked, client_of, words

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The three targets of the site as a file each; that of calibrify is wrong."""
    import yaml

    document = yaml.safe_load(targets_yaml(TARGETS))
    targets = document.pop("targets")
    document["pools"], document["defaults"] = {"s3": 4}, {"pools": {"transfers": "s3"}}
    (tmp_path / "backstop.yaml").write_text(yaml.safe_dump(document))
    for name, section in targets.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"targets": {name: section}}))
    broken = {"ownr": "me", **targets["calibrify"]}
    (tmp_path / "calibrify.yaml").write_text(
        yaml.safe_dump({"targets": {"calibrify": broken}}, sort_keys=False)
    )
    return tmp_path


def test_a_target_whose_file_is_wrong_is_not_protected_and_the_page_says_why(known_inventory, directory):
    configuration = load_targets(directory)
    with client_of(
        known_inventory, configuration, NOW, pools=lambda: {"default_pool": 128, "s3": 4}
    ) as client:
        overview, page = (client.get(f"/backstop/{path}").text for path in ("", "targets/calibrify"))

    Checked(overview)
    Checked(page)
    row = words(overview[overview.index('<tr data-name="calibrify"') :].partition("</tr>")[0])
    assert "not protected" in row
    assert f"its file is wrong: {directory}/calibrify.yaml:3:5: targets.calibrify.ownr: unknown key" in row
    assert "neither backed up nor watched, because its file is wrong" in words(page)
    assert "never started" not in overview


@pytest.mark.parametrize(
    ("pools", "why"), [({}, "Airflow has no such pool"), ({"s3": 0}, "0 places")], ids=["missing", "empty"]
)
def test_a_pool_that_starts_nothing_is_named_with_what_to_do(known_inventory, directory, pools, why):
    configuration = load_targets(directory)
    existing = {"default_pool": -1, **pools}
    with client_of(known_inventory, configuration, NOW, pools=lambda: existing) as client:
        page = client.get("/backstop/").text

    Checked(page)
    assert f"s3 (2 targets, {why}): what is in it is never started." in words(page).replace(" :", ":")
    assert "default_pool" not in page
    assert "airflow pools import pools.json" in page


def test_procedures_that_are_paused_are_named_with_what_to_do(known_inventory):
    many = [f"expire_backups__system-{number:03}" for number in range(30)]
    for paused, said in ((many[:1], "1 procedure is paused"), (many, "30 procedures are paused")):
        with client_of(known_inventory, TARGETS, NOW, paused=lambda: paused) as client:  # noqa: B023
            page = client.get("/backstop/").text

        Checked(page)
        assert said in words(page)
        assert [one for one in many if f"<code>{one}</code>" in page] == paused
        assert "find out whether it is meant" in words(page)


def test_nothing_is_said_of_pauses_where_there_are_none(known_inventory):
    with client_of(known_inventory, TARGETS, NOW, paused=list) as client:
        assert "paused" not in client.get("/backstop/").text


def test_a_viewer_is_told_of_paused_procedures_that_they_may_read(known_inventory):
    paused = ["back_up_database__shop", "expire_backups__shop__payroll", "restore_database__shop", WATCH]
    reads = [WATCH, "back_up_database__shop", "restore_database__shop"]
    with client_of(known_inventory, TARGETS, NOW, reads=reads, paused=lambda: paused) as client:
        page = client.get("/backstop/").text

    assert [one for one in paused if f"<code>{one}</code>" in page] == [paused[0], *paused[2:]]
    assert "payroll" not in page


def test_the_page_is_there_while_airflow_does_not_say_what_is_paused(known_inventory):
    def nobody_answers():
        raise OSError("the metadata database is away")

    with client_of(known_inventory, TARGETS, NOW, paused=nobody_answers) as client:
        assert "calibrify" in client.get("/backstop/").text


def test_only_dags_of_ours_that_are_there_count_as_paused(database):
    from airflow.models.base import Base
    from airflow.models.dag import DagModel, DagTag
    from airflow.models.dagbundle import DagBundleModel
    from sqlalchemy import URL, create_engine
    from sqlalchemy.orm import Session

    parts = {"username": database.user, "password": database.password, "host": database.host}
    engine = create_engine(
        URL.create("postgresql+psycopg", port=database.port, database=database.dbname, **parts)
    )
    Base.metadata.create_all(engine, [Base.metadata.tables[one] for one in ("dag_bundle", "dag", "dag_tag")])
    known = {
        "expire_backups__b": (True, False, ["b", "backstop"]),
        "expire_backups__a": (True, False, ["backstop"]),
        "running": (False, False, ["backstop"]),
        "no_longer_in_the_files": (True, True, ["backstop"]),
        "of_somebody_else": (True, False, ["reports"]),
    }
    with Session(engine) as session:
        session.add(DagBundleModel(name="dags"))
        session.flush()
        for dag_id, (paused, stale, tags) in known.items():
            dag = DagModel(dag_id=dag_id, bundle_name="dags", is_paused=paused, is_stale=stale)
            dag.tags = [DagTag(name=tag, dag_id=dag_id) for tag in tags]
            session.add(dag)
        session.flush()

        assert paused_in(session) == ["expire_backups__a", "expire_backups__b"]
    engine.dispose()


def test_only_pools_that_are_used_can_be_closed(directory):
    configuration = load_targets(directory)

    assert closed_pools(configuration, {"default_pool": 1}) == [ClosedPool("s3", exists=False, targets=2)]
    assert closed_pools(configuration, {"default_pool": 1, "s3": -1, "other": 0}) == []
    assert places(configuration, {"default_pool": 0, "other": 3}) == {"default_pool": 0, "s3": 0}


def test_a_viewer_is_told_of_pools_of_targets_that_they_may_see(directory):
    configuration = load_targets(directory)
    (name, *_) = configuration.targets

    assert closed_pools(configuration, {}, seen=[name]) == [
        ClosedPool("default_pool", exists=False, targets=1), ClosedPool("s3", exists=False, targets=1),
    ]  # fmt: skip
    assert closed_pools(configuration, {}, seen=[]) == []
