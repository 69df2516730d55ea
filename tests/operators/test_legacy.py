"""Old archives through Airflow's tasks: proven, and removed only where targets.yaml says so."""

from __future__ import annotations

import gzip
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from backstop.commands.legacy.places import DirectoryPlace
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.errors import BackstopError, StorageError, StorageUnavailableError
from backstop.model.backup import BackupKind, BackupLabel
from backstop.operators.legacy import (
    ListLegacyOperator,
    PlanRetirementOperator,
    RetireLegacyOperator,
    VerifyLegacyOperator,
)
from backstop.storage.posix import PosixStorage
from tests.making import STARTED, Maker
from tests.operators.lab import context
from tests.protection import utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.model.legacy import LegacyBackup

DAY = timedelta(days=1)


class Site:
    """A target whose media were archived by a script, in three files; one of them is cut off."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "old media"
        self.files.mkdir()
        (folder / "photo.jpg").write_bytes(b"photo")
        argv = ["tar", "-cf", "-", "-C", str(folder), "photo.jpg"]
        tar = subprocess.run(argv, check=True, capture_output=True).stdout
        for days, content in ((100, tar), (90, tar), (80, tar[:700])):
            name = f"media_{utc_now() - days * DAY:%Y%m%d_%H%M%S}.tar.gz"
            (self.files / name).write_bytes(gzip.compress(content))
        create_signing_keys(folder / "signing")
        self.keyring = LocalKeyring.create(folder / "ring.json", STARTED)
        self.write()

    def write(self, **legacy: Any) -> None:
        keys = {"storage": "local", "path": f"{self.folder}/ring.json", "signing": f"{self.folder}/signing"}
        places = {"media": {"places": {"near": str(self.files)}}}
        document = {
            "version": 1,
            "keys": {"lab": {**keys, "escrow": {"waived": "test"}}},
            "repositories": {"near": {"type": "posix", "path": f"{self.folder}/near"}},
            "targets": {
                "calibrify": {
                    "keys": "lab",
                    "database": {
                        "conn_id": "lab",
                        "dbname": "lab",
                        "repositories": ["near"],
                        "spool": f"{self.folder}/spool",
                    },
                    "trees": {
                        "media": {
                            "paths": ["/srv/media"],
                            "retention": {"near": {"keep_for": "30d", "min_proven": 1}},
                        }
                    },
                    "legacy": {"trees": places, **legacy},
                }
            },
        }
        (self.folder / "targets.yaml").write_text(yaml.safe_dump(document))

    def prove_new(self) -> None:
        """A backup of the tree from today, proven."""
        signing = self.folder / "signing"
        trust = TrustedSigners.load(signing / "trusted.json")
        writer, verifier = Signer.load(signing / "manifest.pem"), Signer.load(signing / "proof.pem")
        maker = Maker(PosixStorage(self.folder / "near"), self.keyring, writer, trust)
        label = BackupLabel.at(utc_now(), BackupKind.TREE, tree="media")
        published = maker.catalog.publish(
            maker.manifest(label, [], utc_now()), signer=writer, ensure_held=lambda: None
        )
        assert maker.prove(published, signer=verifier).matched


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path)
    monkeypatch.setenv("BACKSTOP_TARGETS", str(tmp_path / "targets.yaml"))
    return made


def run(operator: type, **arguments: Any) -> Any:
    return operator(task_id="task", target="calibrify", **arguments).execute(context())


def test_what_is_bad_is_named_once_and_the_rest_is_proven(site: Site):
    assert run(ListLegacyOperator) == {"proven": 0, "unproven": 3, "failed": 0}

    with pytest.raises(AirflowFailException, match=r"not to be restored.*it ends behind a file"):
        run(VerifyLegacyOperator, at_most="1")
    assert len(run(VerifyLegacyOperator, at_most="24")["proven"]) == 2
    with pytest.raises(AirflowSkipException, match="1 legacy backups have failed, any other"):
        run(VerifyLegacyOperator, at_most="24")
    assert run(ListLegacyOperator) == {"proven": 2, "unproven": 0, "failed": 1}


@pytest.mark.parametrize("retryable", [False, True])
def test_a_file_that_cannot_be_judged_keeps_no_older_one_from_its_turn(
    site: Site, monkeypatch: pytest.MonkeyPatch, retryable: bool
):
    newest = max(site.files.iterdir(), key=lambda path: path.name)
    real = DirectoryPlace.open

    def broken(place: DirectoryPlace, backup: LegacyBackup) -> Any:
        if backup.name == newest.name:
            raise (StorageUnavailableError if retryable else StorageError)("the disk is ill")
        return real(place, backup)

    monkeypatch.setattr(DirectoryPlace, "open", broken)

    kind = BackstopError if retryable else AirflowFailException
    with pytest.raises(kind, match=f"could not be judged: .*{newest.name}: the disk is ill"):
        run(VerifyLegacyOperator, at_most="24")
    assert run(ListLegacyOperator) == {"proven": 2, "unproven": 1, "failed": 0}


@pytest.mark.parametrize("at_most", ["abc", "-1", "1.5", ""])
def test_what_is_no_number_of_files_is_refused(site: Site, at_most: str):
    with pytest.raises(AirflowFailException, match=r"at_most is .* must be a number"):
        run(VerifyLegacyOperator, at_most=at_most)


def test_that_all_has_been_verified_is_said_only_when_it_has(site: Site):
    with pytest.raises(AirflowSkipException, match="3 legacy backups are unproven"):
        run(VerifyLegacyOperator, at_most="0")
    for path in site.files.iterdir():
        path.unlink()
    with pytest.raises(AirflowSkipException, match="every legacy backup has been verified"):
        run(VerifyLegacyOperator, at_most="24")
    site.write(database={"places": {"near": "/nowhere"}})
    with pytest.raises(AirflowSkipException, match="not read: /nowhere"):
        run(VerifyLegacyOperator, at_most="24")


def test_nothing_is_removed_unless_targets_yaml_says_so(site: Site):
    site.prove_new()

    plan = run(PlanRetirementOperator)
    assert plan["may_go"] == 1
    with pytest.raises(AirflowSkipException, match=r"legacy\.retire is false"):
        run(RetireLegacyOperator)
    assert len(list(site.files.iterdir())) == 3

    site.write(retire=True)
    assert run(RetireLegacyOperator)["names"] == plan["names"]
    assert len(list(site.files.iterdir())) == 2
    assert run(RetireLegacyOperator)["removed"] == 0


def test_a_place_that_is_not_there_is_a_red_task(site: Site):
    site.write(database={"places": {"near": "/nowhere"}})

    with pytest.raises(AirflowFailException, match="there is no /nowhere"):
        run(ListLegacyOperator)
