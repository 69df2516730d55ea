"""Backups of file trees are proven by the tasks that prove everything else, each tree by its own policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from airflow.sdk.exceptions import AirflowSkipException

import tests.airflow_home  # noqa: F401
from backstop.cli.main import main
from backstop.errors import VerificationError
from backstop.operators.verification import (
    ListUnprovenOperator,
    SweepScratchOperator,
    VerifyBackupOperator,
)
from tests.operators.lab import context
from tests.tree_protection import TreeProtection

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.model.backup import BackupLabel


@pytest.fixture
def trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeProtection:
    """Trees ``media``, of which the newest of each day is proven, and ``config``, each backup of which is."""
    trees = TreeProtection(tmp_path)
    (trees.live / "a.jpg").write_bytes(b"a" * 5000)
    keys = {
        "storage": "local",
        "path": f"{tmp_path}/ring.json",
        "signing": f"{tmp_path}/signing",
        "escrow": {"waived": "test"},
    }
    tree = {"paths": [str(trees.live)], "spool": f"{tmp_path}/spool"}
    document = {
        "version": 1,
        "keys": {"lab": keys},
        "repositories": {
            "local": {"type": "posix", "path": f"{tmp_path}/repository"},
            "dumps": {"type": "posix", "path": f"{tmp_path}/dumps"},
        },
        "targets": {
            "calibrify": {
                "keys": "lab",
                "database": {"conn_id": "backup", "dbname": "calibrify", "repositories": ["dumps"]},
                "trees": {
                    "media": {**tree, "repositories": ["local"], "verify": {"policy": "daily", "share": 0.5}},
                    "config": {**tree, "repositories": ["local"]},
                },
            }
        },
    }
    (tmp_path / "targets.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.setenv("BACKSTOP_TARGETS", str(tmp_path / "targets.yaml"))
    return trees


def back_up(trees: TreeProtection) -> dict[str, list[BackupLabel]]:
    labels: dict[str, list[BackupLabel]] = {}
    for trees.tree in ("media", "config"):
        labels[trees.tree] = [trees.back_up(), trees.back_up()]
    return labels


def listed() -> list[tuple[str, str]]:
    work = ListUnprovenOperator(task_id="list", target="calibrify").carry_out(context())
    return [(one["backup_label"], one["repository"]) for one in work]


def verify(label: BackupLabel) -> dict[str, object]:
    return VerifyBackupOperator(
        task_id="verify", target="calibrify", backup_label=label.text, repository="local"
    ).carry_out(context())


def test_the_work_list_has_each_tree_by_its_own_policy_where_its_backups_go(trees: TreeProtection) -> None:
    labels = back_up(trees)

    assert listed() == [
        (labels["config"][1].text, "local"),
        (labels["media"][1].text, "local"),
        (labels["config"][0].text, "local"),
    ]


def test_a_proof_is_taken_with_the_share_of_the_tree_and_shortens_the_list(trees: TreeProtection) -> None:
    labels = back_up(trees)

    result = verify(labels["media"][1])

    assert result["checks"]["share"] == "0.5"
    assert len(listed()) == 2
    assert verify(labels["config"][1])["checks"]["share"] == "1"


def test_a_tree_that_is_not_in_targets_yaml_any_more_is_off_the_list_but_can_still_be_proven(trees) -> None:
    trees.tree = "old"
    label = trees.back_up()

    assert listed() == []
    assert verify(label)["checks"]["share"] == "1"


def test_a_backup_that_lacks_a_pack_fails_the_task_by_the_packs_name(trees: TreeProtection) -> None:
    label = back_up(trees)["config"][1]
    [pack] = trees.packs(label)
    trees.file_of(pack).unlink()

    with pytest.raises(VerificationError, match=pack.key):
        verify(label)


def test_what_a_killed_verification_left_in_a_trees_spool_is_swept(trees: TreeProtection) -> None:
    left = trees.folder / "spool" / "verify-20261123T010000Z-tree-media-0123abcd"
    left.mkdir(parents=True)

    SweepScratchOperator(task_id="sweep", target="calibrify").carry_out(context())

    assert not left.exists()


def test_the_command_line_works_off_the_same_list(trees: TreeProtection, capsys) -> None:
    labels = back_up(trees)

    assert main(["verify", "--target", "calibrify"]) == 0

    said = capsys.readouterr().out
    assert labels["media"][1].text in said
    assert labels["media"][0].text not in said
    assert listed() == []
    # By its label only where backups of that tree go.
    assert main(["verify", "--target", "calibrify", "--label", labels["media"][0].text]) == 0
    assert "dumps" not in capsys.readouterr().out


def test_a_backup_that_was_expired_since_it_was_listed_needs_no_proof(trees: TreeProtection) -> None:
    """Expiry, of this Airflow or another, does not wait for what is only listed."""
    oldest = back_up(trees)["config"][0]
    assert (oldest.text, "local") in listed()
    trees.repository.catalog.withdraw(oldest)

    with pytest.raises(AirflowSkipException, match=f"{oldest} of calibrify is not in local any more"):
        verify(oldest)
