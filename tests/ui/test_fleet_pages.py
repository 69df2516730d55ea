"""The pages of a fleet whose files are not all right, or whose pools are not all there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstop.targets import load_targets
from backstop.ui.auth import WATCH
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
    for paused, said in ((many[:2], f"{many[0]} , {many[1]} :"), (many, f"{many[19]} and 10 more:")):
        with client_of(known_inventory, TARGETS, NOW, paused=lambda: paused) as client:  # noqa: B023
            page = client.get("/backstop/").text

        Checked(page)
        assert said in words(page)
        assert f"airflow dags unpause {many[0]}" in words(page)
        assert many[20] not in page


def test_nothing_is_said_of_pauses_where_there_are_none(known_inventory):
    with client_of(known_inventory, TARGETS, NOW, paused=list) as client:
        assert "Paused" not in client.get("/backstop/").text


def test_a_viewer_is_told_of_paused_procedures_of_targets_that_they_may_see(known_inventory):
    paused = [
        "back_up_files__calibrify__media",
        "restore_database__calibrify-red",
        "expire_backups__other",
        WATCH,
    ]
    reads = [WATCH, "back_up_database__calibrify"]
    with client_of(known_inventory, TARGETS, NOW, reads=reads, paused=lambda: paused) as client:
        page = client.get("/backstop/").text

    assert "back_up_files__calibrify__media" in page
    assert not [one for one in paused[1:] if one in page]


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
