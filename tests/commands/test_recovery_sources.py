"""What a cluster is recovered from, where one base backup makes no sense."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from backstop.commands.recovery.sources import recovery_sources
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.model.backup import BackupLabel
from backstop.storage.memory import MemoryStorage
from tests.making import STARTED, Maker

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    "changed",
    [
        {"start_lsn": "nowhere"},
        {"end_lsn": None},
        {"timeline": None},
        {"summary": {"wal_segment_bytes": "x"}},
    ],
    ids=str,
)
def test_a_base_backup_that_our_key_signed_without_a_place_in_wal_stops_no_recovery(tmp_path, changed):
    create_signing_keys(tmp_path / "signing")
    signer = Signer.load(tmp_path / "signing" / "manifest.pem")
    trust = TrustedSigners.load(tmp_path / "signing" / "trusted.json")
    maker = Maker(MemoryStorage(), LocalKeyring.create(tmp_path / "ring.json", STARTED), signer, trust)
    good = replace(
        maker.manifest(BackupLabel("20261123T010000Z-full"), [], STARTED),
        start_lsn="0/2000028",
        end_lsn="0/2000100",
    )
    later = {"started_at": STARTED + DAY, "snapshot_at": STARTED + DAY, "finished_at": STARTED + DAY}
    forged = replace(good, label=BackupLabel("20261124T010000Z-full"), **{**later, **changed})
    for one in (good, forged):
        maker.catalog.publish(one, signer=signer, ensure_held=lambda: None)

    sources = recovery_sources(maker.repository, target="calibrify", keyring=maker.keyring)

    assert [base.label for base in sources.bases] == [good.label.text]
