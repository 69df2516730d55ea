"""Labels, manifests and proofs survive their JSON form and refuse nonsense."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.errors import IntegrityError
from backstop.model.backup import BackupKind, BackupLabel, Manifest, Signature, StoredObject
from backstop.model.canonical import canonical_json, format_time, parse_time
from backstop.model.proof import Proof
from backstop.targets.fields import NAME_PATTERN

MOMENT = datetime(2026, 11, 23, 1, 0, 0, 123456, tzinfo=timezone.utc)

MANIFEST = Manifest(
    label=BackupLabel("20261123T010000Z-dump"),
    target="calibrify",
    repository_id="0011",
    attempt="aabb",
    epoch=3,
    started_at=MOMENT,
    snapshot_at=MOMENT + timedelta(seconds=1),
    finished_at=MOMENT + timedelta(minutes=2),
    system_id="7300000000000000000",
    timeline=1,
    server_version=180004,
    database="calibrify",
    tools={"pg_dump": "18.4"},
    keys=("k1",),
    objects=(
        StoredObject("calibrify/data/x/toc", "file", "toc.dat", 10, 20, "aa", "bb", "v1"),
        StoredObject("calibrify/data/x/t/1", "tar", "", 5, 9, "cc", "dd"),
    ),
    parent=BackupLabel("20261122T010000Z-full"),
    refers_to=(BackupLabel("20261121T010000Z-full"),),
    signature=Signature("k", "ff"),
)

PROOF = Proof(
    label=MANIFEST.label,
    target="calibrify",
    repository_id="0011",
    manifest_sha256="ee",
    started_at=MOMENT,
    finished_at=MOMENT,
    matched=False,
    differences=("table x: missing",),
    durations={"total": 1.5},
    checks={"tables": 1},
    server_version=180004,
    isolation="own user",
    host="worker-1",
    signature=Signature("k", "ff"),
)


def test_a_manifest_is_the_same_after_json():
    assert Manifest.from_dict(json.loads(canonical_json(MANIFEST.to_dict()))) == MANIFEST
    assert MANIFEST.plain_bytes == 15
    assert MANIFEST.stored_bytes == 29
    assert MANIFEST.server_major == 18


def test_a_proof_is_the_same_after_json():
    assert Proof.from_dict(json.loads(canonical_json(PROOF.to_dict()))) == PROOF


def test_an_unsigned_document_stays_unsigned():
    unsigned = MANIFEST.to_dict() | {"signature": None}

    assert Manifest.from_dict(unsigned).signature is None
    assert Proof.from_dict(PROOF.to_dict() | {"signature": None}).signature is None


@pytest.mark.parametrize(
    "change",
    [{"format": 2}, {"label": "x"}, {"started_at": "yesterday"}, {"objects": [{"key": 1}]}, {"epoch": None}],
)
def test_a_malformed_manifest_is_refused(change: dict[str, object]):
    document = MANIFEST.to_dict() | change
    if change == {"epoch": None}:
        del document["epoch"]

    with pytest.raises(IntegrityError):
        Manifest.from_dict(document)


def test_a_malformed_proof_is_refused():
    document = PROOF.to_dict()
    del document["host"]

    with pytest.raises(IntegrityError, match="malformed"):
        Proof.from_dict(document)


def test_an_object_is_found_by_its_name_and_its_absence_is_an_error():
    assert MANIFEST.object_named("toc.dat").plain_bytes == 10
    with pytest.raises(IntegrityError, match="lists no object"):
        MANIFEST.object_named("globals.sql")


@pytest.mark.parametrize("text", ["", "20261123T010000Z", "20261123T010000Z-zip", "../x-dump", "x"])
def test_what_is_no_label_is_refused(text: str):
    with pytest.raises(ValueError, match="not a backup label"):
        BackupLabel(text)


@given(
    st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(timezone.utc)),  # noqa: DTZ001
    st.sampled_from(BackupKind),
    st.from_regex(NAME_PATTERN, fullmatch=True),
)
def test_a_label_says_its_second_and_kind_and_of_a_tree_the_name(
    moment: datetime, kind: BackupKind, name: str
):
    label = BackupLabel.at(moment, kind, tree=name if kind is BackupKind.TREE else "")

    assert label.kind is kind
    assert label.tree == (name if kind is BackupKind.TREE else "")
    assert label.component == ("base" if kind.physical else f"tree:{name}" if label.tree else "dump")
    assert label.text.startswith(moment.strftime("%Y%m%dT%H%M%SZ"))


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
def test_times_keep_their_microsecond(moment: datetime):
    assert parse_time(format_time(moment)) == moment.astimezone(timezone.utc)


def test_a_time_without_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        format_time(datetime(2026, 1, 1))  # noqa: DTZ001
