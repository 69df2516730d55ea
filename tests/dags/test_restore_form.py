"""The restore form of the Recoverability page and the DAGs that it starts use the same words."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from backstop.commands.recoverability.backups import StoredBackup
from backstop.model.observation import Observation, WindowSeen
from backstop.targets import load_targets
from backstop.ui.restore_form import Asked, Sources, plan
from tests.fleet_targets import targets_yaml
from tests.ui.restorable import restorable

DAGS = Path(__file__).resolve().parents[2] / "dags"
NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
BEFORE = NOW - timedelta(hours=1)


@pytest.mark.parametrize("queue", [None, "far"])
def test_the_dags_take_every_way_that_the_form_offers(tmp_path, monkeypatch, queue):
    from airflow.dag_processing.dagbag import DagBag

    path = tmp_path / "targets.yaml"
    text = restorable(targets_yaml(["calibrify"]))
    if queue:
        text = text.replace("    keys: lab\n", f"    keys: lab\n    queue: {queue}\n")
    path.write_text(text)
    monkeypatch.setenv("BACKSTOP_TARGETS", str(path))
    dags = DagBag(DAGS).dags
    window = WindowSeen("local", 1, BEFORE, NOW, "0/1", "0/2", newest=True)
    labels = ("20261123T010000Z-dump", "20261123T020000Z-tree-media")
    known = Sources(
        load_targets(path).targets["calibrify"],
        Observation("calibrify", NOW, 1.0, windows=(window,)),
        tuple(StoredBackup(one, "local", BEFORE, BEFORE, 1, 1, "proven", BEFORE, None) for one in labels),
        NOW,
    )

    tried = 0
    for form, modes in (
        ({"what": "point", "at": "latest"}, known.point_modes),
        ({"what": "point", "at": BEFORE.isoformat(), "repository": "local"}, known.point_modes),
        ({"what": "database", "label": "newest proven"}, known.database_modes),
        ({"what": "tree", "tree": "media", "repository": "local"}, known.tree_modes),
    ):
        for mode in modes:
            planned = plan(known, Asked(**form, mode=mode))
            params = deepcopy(dags[planned.dag_id].params)
            assert planned.conf.keys() <= params.keys()
            params.update(planned.conf)
            assert params.validate()["mode"] == mode
            tried += 1
    assert tried == 8
