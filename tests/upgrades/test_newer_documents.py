"""What a later release has written in its own form is named as such, never misread or taken for damage."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from backstop.cli.main import main
from backstop.commands.trees import listing
from backstop.commands.trees.listing import listing_document
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import TrustedSigners
from backstop.errors import ConfigurationError, FormatTooNewError, KeyUnavailableError
from backstop.model.acceptance import Acceptance
from backstop.model.backup import BackupLabel, Manifest
from backstop.model.canonical import canonical_json
from backstop.model.evidence import BEFORE_THE_FIRST, EvidenceKind, EvidenceRecord
from backstop.model.format_version import Readers
from backstop.model.hold import HoldDocument, Release
from backstop.model.incident import Event, EventKind
from backstop.model.legacy_proof import LegacyProof
from backstop.model.proof import Proof
from backstop.repository.claims import Claim
from backstop.repository.lock import Lease
from backstop.storage.memory import MemoryStorage
from backstop.targets import load_targets
from tests.cli.installation import install
from tests.making import Maker

NOW = datetime(2026, 11, 23, 2, tzinfo=timezone.utc)
LABEL = BackupLabel("20261123T010000Z-dump")
HOLD = HoldDocument(
    id="0" * 16, label=LABEL, target="calibrify", reason="audit", who="ada", placed_at=NOW, until=None
)
EVIDENCE = EvidenceRecord(
    target="calibrify", repository_id="0" * 16, number=1, kind=EvidenceKind.PROOF, subject=str(LABEL),
    happened_at=NOW, recorded_at=NOW, previous_sha256=BEFORE_THE_FIRST, document={},
)  # fmt: skip
CLAIM = Claim("0" * 16, "another", "db1", 7, NOW)
NEWER = r"has format 2(, for which Backstop [0-9.]+ is needed)?; this is Backstop [0-9.]+, which reads 1"


@pytest.mark.parametrize(
    "read",
    [
        lambda: Manifest.from_dict({"format": 2, "label": str(LABEL), "tools": {"backstop": "0.9.0"}}),
        lambda: Proof.from_dict({"format": 2, "label": str(LABEL)}),
        lambda: LegacyProof.from_dict({"format": 2, "name": "full_20231201.sql.gz"}),
        lambda: HoldDocument.from_dict({**json.loads(HOLD.to_json()), "format": 2}),
        lambda: Release.from_dict({"format": 2, "type": "release"}),
        lambda: Acceptance.from_dict({"format": 2, "type": "acceptance"}),
        lambda: EvidenceRecord.from_dict({**EVIDENCE.to_dict(), "format": 2}),
        lambda: Event.from_dict({"format": 2, "kind": EventKind.NOTED.value}, number=1),
        lambda: Claim.from_json(canonical_json({**json.loads(CLAIM.to_json()), "format": 2}), "lease"),
    ],
    ids=[
        "manifest", "proof", "legacy proof", "hold", "release", "acceptance", "evidence", "incident", "lease",
    ],
)  # fmt: skip
def test_a_newer_document_is_named_as_one(read):
    with pytest.raises(FormatTooNewError, match=NEWER):
        read()


def test_a_manifest_names_the_release_that_wrote_it():
    with pytest.raises(FormatTooNewError, match=r"has format 2, for which Backstop 0\.9\.0 is needed"):
        Manifest.from_dict({"format": 2, "label": str(LABEL), "tools": {"backstop": "0.9.0"}})


def test_a_lease_of_a_newer_kind_is_not_taken_over():
    storage = MemoryStorage("s")
    Lease.acquire(storage, "calibrify", "dump", holder="another", clock=lambda: NOW, ttl=timedelta(minutes=3))
    [(key, body)] = [(info.key, storage.read(info.key)) for info in storage.list("")]
    storage.put_once(key.replace("-000000", "-000001"), canonical_json({**json.loads(body), "format": 2}))

    with pytest.raises(FormatTooNewError, match=NEWER):
        Lease.acquire(storage, "calibrify", "dump", holder="me", clock=lambda: NOW + timedelta(days=1))


def test_a_hold_of_a_newer_kind_still_holds(tmp_path, monkeypatch, capsys):
    folder = install(tmp_path, monkeypatch)
    Maker.in_folder(folder, "near").publish()
    holds = folder / "near" / "calibrify" / "meta" / "holds" / str(LABEL)
    holds.mkdir(parents=True)
    (holds / "1.json").write_bytes(canonical_json({**json.loads(HOLD.to_json()), "format": 2}))

    capsys.readouterr()
    main(["holds"])

    assert str(LABEL) in capsys.readouterr().out


def test_a_list_of_files_of_a_newer_kind_is_named_as_one(tmp_path, monkeypatch):
    manifest = Maker.in_folder(install(tmp_path, monkeypatch), "near").publish().manifest
    body = listing_document(tree="media", roots=(), exclude=(), segments=(), entries=0)

    with pytest.raises(FormatTooNewError, match=NEWER):
        listing._document(canonical_json({**body, "format": 2}), manifest)


def test_newer_keys_are_not_misread(tmp_path, monkeypatch):
    folder = install(tmp_path, monkeypatch)
    for name, load in (("ring.json", LocalKeyring.load), ("signing/trusted.json", TrustedSigners.load)):
        path = folder / name
        document = json.loads(path.read_text())
        path.chmod(0o600)
        path.write_text(json.dumps({**document, "format": 2}))

        with pytest.raises(KeyUnavailableError, match="format 2; this program reads 1"):
            load(path)


def test_a_targets_yaml_of_a_newer_version_is_refused_at_its_line(tmp_path):
    path = tmp_path / "targets.yaml"
    path.write_text("version: 2\nnew_section: {}\ntargets: {}\n")

    with pytest.raises(
        ConfigurationError, match=r"targets\.yaml:1:10: version: this file is for a newer Backstop"
    ):
        load_targets(path)


def test_each_version_goes_to_its_own_reader():
    readers: Readers[str] = Readers(
        "card", {1: lambda raw: f"old {raw['n']}", 2: lambda raw: f"new {raw['n']}"}
    )

    assert [readers.read({"format": version, "n": 7}, name="x") for version in (1, 2)] == ["old 7", "new 7"]
    with pytest.raises(FormatTooNewError, match=r"card x has format 3; .* which reads 1, 2"):
        readers.read({"format": 3, "n": 7}, name="x")


def test_a_manifest_is_written_again_in_the_version_that_it_was_signed_in(tmp_path, monkeypatch):
    published = Maker.in_folder(install(tmp_path, monkeypatch), "near").publish()

    again = Manifest.from_dict({**published.manifest.to_dict()})

    assert again.format == 1
    assert again.to_dict() == published.manifest.to_dict()
