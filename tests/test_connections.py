"""What a recovery is given to log in with: repositories and keys, nothing else."""

from __future__ import annotations

import yaml

from backstop.settings.connections import connections_for_recovery
from backstop.settings.scenarios import scenarios_of
from backstop.targets import load_targets
from tests.dags.test_dags import EXAMPLE


def configuration(tmp_path, **target):
    document = yaml.safe_load(EXAMPLE.read_text())
    document["repositories"]["s3"]["conn_id"] = "backstop_s3"
    document["repositories"]["other"] = {
        **document["repositories"]["s3"],
        "bucket": "other",
        "conn_id": "other",
    }
    document["inventory"] = {"conn_id": "backstop_inventory"}
    document["targets"]["calibrify"].update(target)
    path = tmp_path / "targets.yaml"
    path.write_text(yaml.safe_dump(document))
    return load_targets(path)


def test_a_recovery_needs_neither_inventory_nor_live_server_nor_the_repositories_of_others(tmp_path):
    assert connections_for_recovery(configuration(tmp_path), "calibrify") == ["backstop_s3"]


def test_what_can_be_lost_is_offered_in_words(tmp_path):
    offered = scenarios_of(configuration(tmp_path), "calibrify")

    assert offered["repository:s3"] == "everything is lost, and repository s3 with it"
    assert offered["tree:media"] == "the files of media are lost"
    assert "repository:other" not in offered
