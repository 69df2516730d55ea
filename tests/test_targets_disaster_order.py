"""What the ``disaster`` section says of components, and what follows where it says nothing."""

from __future__ import annotations

import pytest
import yaml

from backstop.errors import NotFoundError
from backstop.settings.disaster_components import database_kind
from backstop.targets import load_targets
from tests.lost_files import TARGET, LostFiles
from tests.test_targets_disaster import mistakes_of


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("order: [databse]", "there is no component 'databse'; did you mean 'database'?"),
        ("order: [database, 'tree:photos']", "there is no component 'tree:photos'"),
        ("order: [database, database]", "'database' is listed twice"),
        ("database: cluster", "describe cluster.recovery.cutover"),
        ("order: []", "expected at least one"),
    ],
)
def test_a_component_that_is_not_there_is_named_before_it_is_needed(text, said):
    (mistake,) = mistakes_of(text)

    assert said in mistake


@pytest.fixture
def lost(tmp_path, monkeypatch) -> LostFiles:
    return LostFiles(tmp_path, monkeypatch)


def order(lost: LostFiles) -> list[str]:
    assessment = lost.disasters().declare("a look").assess()
    return [one["component"] for one in assessment["components"]]


def test_what_services_read_comes_first_then_the_database_then_the_rest(lost):
    assert order(lost) == ["tree:config", "dump", "tree:media"]


def test_the_order_of_the_target_counts_and_what_it_does_not_name_comes_last(lost):
    lost.describe(order=["tree:media", "database"])

    assert order(lost) == ["tree:media", "dump", "tree:config"]


def test_people_say_database_whatever_brings_it_back(lost):
    assert lost.disasters().kind_of("database") == "dump"
    with pytest.raises(NotFoundError, match="no component 'base'"):
        lost.disasters().kind_of("base")


def test_the_whole_server_comes_back_where_somebody_said_how_it_is_replaced(lost):
    def kind(**changes) -> str:
        document = yaml.safe_load(lost.targets.read_text())
        document["targets"][TARGET].update(changes)
        path = lost.folder / "other.yaml"
        path.write_text(yaml.safe_dump(document))
        return database_kind(load_targets(path).targets[TARGET])

    cutover = {"data_directory": "/srv/pg", "stop": [["true"]], "start": [["true"]]}
    recovery = {"directory": "/srv/recovered"}
    assert kind() == "dump"
    assert kind(cluster={"conn_id": "replication", "recovery": recovery}) == "dump"
    whole = {"conn_id": "replication", "recovery": {**recovery, "cutover": cutover}}
    assert kind(cluster=whole) == "base"
    assert kind(cluster=whole, disaster={"database": "dump"}) == "dump"
