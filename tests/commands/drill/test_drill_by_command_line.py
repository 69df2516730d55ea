"""One whole drill as people run it: from targets.yaml to signed evidence, with checklist and inventory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from backstop.cli.main import main
from backstop.model.drill import CHECKLIST
from backstop.model.drill_document import drill_from
from backstop.model.evidence import EvidenceKind
from backstop.model.measured import Outcome
from backstop.repository.drills import drills_of
from backstop.repository.evidence import evidence_of
from backstop.repository.inventory import Inventory
from tests.drill_world import TREES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres
    from tests.drill_world import DrillWorld

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("drills"), pytest.mark.timeout(300)]


@pytest.fixture
def inventory(
    postgres18: EmbeddedPostgres, new_database: Callable[[EmbeddedPostgres], ClusterConnection]
) -> Inventory:
    made = Inventory(new_database(postgres18))
    made.migrate()
    return made


@pytest.fixture
def targets(
    drills: DrillWorld, inventory: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """targets.yaml of what the world has, with objectives, probes and a validator."""
    folder, connection = drills.folder, inventory.connection
    objectives = {"rto": "1h", "rpo": "1h"}
    content = {
        "version": 1,
        "keys": {
            "lab": {
                "storage": "local",
                "path": str(folder / "keys/keyring.json"),
                "signing": str(folder / "keys/signing"),
                "escrow": {"waived": "a test"},
            }
        },
        "inventory": {"conn_id": "inventory"},
        "repositories": {
            "local": {"type": "posix", "path": str(folder / "repository")},
            "second": {"type": "posix", "path": str(folder / "second")},
        },
        "targets": {
            "calibrify": {
                "keys": "lab",
                "database": {
                    "conn_id": "reader",
                    "dbname": "postgres",
                    "repositories": ["local", "second"],
                    "objectives": objectives,
                },
                "cluster": {
                    "conn_id": "replicator",
                    "recovery": {
                        "directory": str(folder / "recovered"),
                        "queries": [{"sql": "SELECT count(*) FROM public.ledger", "expect": 7}],
                    },
                },
                "trees": {
                    tree: {"paths": [str(drills.live / tree)], "objectives": objectives} for tree in TREES
                },
                "drill": {
                    "directory": str(drills.scratch),
                    "probes": [
                        {"name": "the last row", "sql": "SELECT max(n) FROM public.ledger", "expect": 7},
                        {
                            "name": "media are there",
                            "command": ["sh", "-c", 'test -d "$BACKSTOP_TREE_MEDIA"'],
                        },
                    ],
                    "validators": {"config": [["test", "-d", "{root}" + str(drills.live / "config")]]},
                },
            }
        },
    }
    path = tmp_path / "targets.yaml"
    path.write_text(yaml.safe_dump(content))
    credentials = tmp_path / "connections.json"
    credentials.touch(mode=0o600)
    of_inventory = {
        "conn_type": "postgres",
        "host": connection.host,
        "port": connection.port,
        "login": connection.user,
        "password": connection.password,
        "schema": connection.dbname,
    }
    credentials.write_text(json.dumps({"inventory": of_inventory}))
    monkeypatch.setenv("BACKSTOP_TARGETS", str(path))
    monkeypatch.setenv("BACKSTOP_CREDENTIALS", str(credentials))
    return path


@pytest.mark.usefixtures("targets")
def test_a_drill_from_the_command_line_ends_in_evidence_that_says_what_was_checked(
    drills: DrillWorld, inventory: Inventory, capsys: pytest.CaptureFixture[str]
) -> None:
    moment = drills.world.source.ledger.moments[7]

    code = main(["run-drill", "--scenario", "all", "--moment", moment.isoformat(), "--json"])

    out, err = capsys.readouterr()
    record = drill_from(json.loads(out)["drill"])
    assert code == 0, (record.checklist, err)
    assert {one.item for one in record.checklist} == set(CHECKLIST)
    assert {one.outcome for one in record.checklist} <= {Outcome.PASSED, Outcome.NOT_APPLICABLE}
    assert record.passed
    assert record.objectives_met is True
    assert drills_of(inventory, "calibrify") == [record]
    for repository in drills.protection.repositories:
        entry = list(evidence_of(repository).believed())[-1]
        assert entry.kind is EvidenceKind.DRILL
        assert drill_from(entry.document) == record
        assert b"<html" in evidence_of(repository).report(entry)
    assert drills.leftovers() == []


@pytest.mark.long
@pytest.mark.usefixtures("targets")
def test_a_wrong_answer_of_the_restored_application_is_a_drill_that_failed(
    drills: DrillWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    moment = drills.world.source.ledger.moments[6]

    code = main(["run-drill", "--scenario", "database", "--moment", moment.isoformat(), "--json"])

    record = drill_from(json.loads(capsys.readouterr().out)["drill"])
    assert code == 4
    failed = {one.item for one in record.checklist if one.outcome is Outcome.FAILED}
    assert failed == {"integrity", "functionality"}
    assert [one.failure for one in record.components] == [""]
    assert drills.leftovers() == []
