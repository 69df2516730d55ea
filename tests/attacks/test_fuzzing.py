"""Documents and archives of any content: whoever reads them says what is wrong, and never falls over it."""

from __future__ import annotations

import io
import json
import os
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backstop.commands.tar_reader import TarReader
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.errors import BackstopError
from backstop.model.acceptance import Acceptance
from backstop.model.backup import Manifest
from backstop.model.canonical import format_time
from backstop.model.evidence import EvidenceRecord
from backstop.model.file_tree import Entry
from backstop.model.fingerprint import Fingerprint
from backstop.model.hold import HoldDocument, Release
from backstop.model.incident import Event, EventKind
from backstop.model.incident_state import state_of
from backstop.model.legacy_proof import LegacyProof
from backstop.model.proof import Proof
from backstop.repository.claims import Claim
from backstop.repository.hold_documents import StoredHold, judge
from backstop.repository.incidents import IncidentJournal
from backstop.storage.memory import MemoryStorage
from backstop.targets import load_targets
from tests.making import STARTED, Maker, tar_of

if TYPE_CHECKING:
    from collections.abc import Iterator

# `make test-long` asks for more.
QUICK = settings(
    max_examples=int(os.environ.get("BACKSTOP_EXAMPLES", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["2026-11-23T01:00:00Z", "20261123T010000Z-dump", "0" * 64, "", "../../etc", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn, document: Any) -> Any:
    """The document with one to three of its values, at any depth, replaced, removed or given a neighbour."""
    made = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        place = made
        while True:
            if not isinstance(place, dict | list) or not place:
                break
            keys = sorted(place) if isinstance(place, dict) else range(len(place))
            key = draw(st.sampled_from(list(keys)))
            deeper = place[key]
            if isinstance(deeper, dict | list) and deeper and draw(st.booleans()):
                place = deeper
                continue
            match draw(st.sampled_from(["replace", "remove", "add"])):
                case "replace":
                    place[key] = draw(JSON)
                case "remove":
                    del place[key]
                case _ if isinstance(place, dict):
                    place[draw(st.text(max_size=6))] = draw(JSON)
                case _:
                    place.append(draw(JSON))
            break
    return made


@pytest.fixture(scope="module")
def maker(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    create_signing_keys(folder / "signing")
    maker = Maker(
        MemoryStorage(),
        LocalKeyring.create(folder / "ring.json", STARTED),
        Signer.load(folder / "signing" / "manifest.pem"),
        TrustedSigners.load(folder / "signing" / "trusted.json"),
    )
    published = maker.publish()
    maker.prove(published, signer=Signer.load(folder / "signing" / "proof.pem"))
    maker.published = published
    return maker


@contextmanager
def refused_with_a_next_step() -> Iterator[None]:
    """What is inside may be refused, and by our errors alone."""
    error: BackstopError | None = None
    try:
        yield
    except BackstopError as raised:
        error = raised
    assert error is None or error.hint


def stored(maker, key: str, document: Any) -> None:
    _, info = maker.storage._objects[key]
    maker.storage._objects[key] = (json.dumps(document).encode(), info)


@QUICK
@given(st.data())
def test_a_manifest_of_any_content_is_believed_whole_or_refused_by_name(maker, data):
    published = maker.published
    key = maker.catalog.manifest_key(published.manifest.label)
    document = data.draw(damaged(published.manifest.to_dict()) | JSON)
    good = maker.storage._objects[key]
    stored(maker, key, document)
    try:
        for one in maker.catalog.each():
            assert isinstance(one, BackstopError) or one == published
    finally:
        maker.storage._objects[key] = good


@QUICK
@given(st.data())
def test_a_proof_of_any_content_is_believed_whole_or_not_at_all(maker, data):
    (key,) = (info.key for info in maker.storage.list("calibrify/meta/proofs/"))
    good, info = maker.storage._objects[key]
    true = maker.catalog.verifications(maker.published).proofs
    stored(maker, key, data.draw(damaged(json.loads(good)) | JSON))
    try:
        found = maker.catalog.verifications(maker.published)
        assert found.proofs in ((), true)
    finally:
        maker.storage._objects[key] = (good, info)


EVENT: dict[str, Any] = {
    "at": format_time(STARTED), "format": 1, "kind": "declared", "order": 1, "uid": "0123456789abcdef",
    "data": {"by": "x", "what": "y", "components": [], "clock_from": format_time(STARTED), "before": None},
}  # fmt: skip


def journal_of(maker) -> IncidentJournal:
    return IncidentJournal([maker.repository], "calibrify", clock=lambda: STARTED)


@QUICK
@given(st.data())
def test_an_incident_of_any_content_is_read_or_left_out(maker, data):
    storage = MemoryStorage()
    document = data.draw(damaged(EVENT) | JSON)
    incident = "incident-20261123T010000Z-0000"
    key = f"calibrify/meta/incidents/{incident}/1.json"
    body = json.dumps(document).encode()
    maker.storage._objects[key] = (body, storage.put_once(key, body))
    try:
        with refused_with_a_next_step():
            journal_of(maker).open_incidents()
            journal_of(maker).append(incident, EventKind.NOTED, {"by": "x", "text": "y"})
            state_of(incident, journal_of(maker).events(incident))
    finally:
        for key in [one for one in maker.storage._objects if incident in one]:
            del maker.storage._objects[key]


HOLD: dict[str, Any] = {
    "format": 1, "id": "0", "label": "20261123T010000Z-dump", "placed_at": format_time(STARTED),
    "reason": "x", "target": "calibrify", "type": "hold", "until": None, "who": "y",
}  # fmt: skip
RELEASE: dict[str, Any] = {
    "format": 1, "hold_sha256": "0" * 64, "label": "20261123T010000Z-dump", "target": "calibrify",
    "released_at": format_time(STARTED), "type": "release", "who": "y",
    "signature": {"ed25519": "0" * 128, "key": "0" * 16},
}  # fmt: skip


@QUICK
@given(damaged(HOLD) | damaged(RELEASE) | JSON)
def test_a_hold_or_a_release_of_any_content_is_a_hold_or_nothing(maker, document):
    label = maker.published.manifest.label
    stored = StoredHold(1, "calibrify/meta/holds/x/1.json", json.dumps(document).encode())
    for hold in judge(label, "calibrify", [stored], trust=maker.catalog.trust):
        assert hold.in_force(STARTED) or hold.until
        str(hold).encode()


@QUICK
@given(
    st.sampled_from(
        [
            Manifest,
            Proof,
            HoldDocument,
            Release,
            Acceptance,
            EvidenceRecord,
            LegacyProof,
            Fingerprint,
        ]
    ),
    st.dictionaries(st.text(max_size=12), JSON, max_size=6),
)
def test_a_document_of_no_sense_is_refused_as_damaged(kind, document):
    with pytest.raises(BackstopError):
        kind.from_dict(document)


@QUICK
@given(st.dictionaries(st.text(max_size=12), JSON, max_size=6))
def test_an_event_of_no_sense_is_refused_as_damaged(document):
    with pytest.raises(BackstopError):
        Event.from_dict(document, number=1)


@QUICK
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()) | st.just(b"[" * 99_999))
def test_a_lease_of_any_content_is_read_or_refused(body):
    with refused_with_a_next_step():
        Claim.from_json(body, "somewhere")


LINE = b'{"path": "etc/x", "type": "file", "mode": 420, "chunks": [[0, 1, "' + b"0" * 64 + b'", "p"]]}\n'


@QUICK
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode() + b"\n") | st.just(LINE))
def test_a_line_of_a_list_of_files_is_an_entry_or_refused(line):
    with refused_with_a_next_step():
        Entry.from_line(line)


@QUICK
@given(st.data())
def test_an_archive_of_any_content_is_read_to_its_end_or_refused(data):
    whole = tar_of({"a": b"x" * 700, "b/c": b"", "d": b"y" * 513})
    body = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, 2560))] = data.draw(st.integers(0, 255))
    cut = bytes(body[: data.draw(st.integers(0, len(body)))])
    for archive in (bytes(body), cut):
        reader = TarReader("pack", iter([archive[:300], archive[300:]]))
        with refused_with_a_next_step():
            for member in reader:
                assert isinstance(member, tarfile.TarInfo)
                for _ in reader.content():
                    pass
    assert [one.name for one in TarReader("pack", iter([whole]))] == ["a", "b/c", "d"]
    assert io.BytesIO(whole).read(1)


TARGETS: dict[str, Any] = {
    "version": 1,
    "keys": {"lab": {"storage": "local", "path": "/k", "signing": "/s", "escrow": {"waived": "x"}}},
    "repositories": {
        "near": {"type": "posix", "path": "/r"},
        "s3": {"type": "s3", "bucket": "lab-backups", "lock": {"mode": "compliance"}},
    },
    "targets": {
        "calibrify": {
            "keys": "lab",
            "database": {
                "conn_id": "a", "dbname": "calibrify", "repositories": ["near", "s3"],
                "retention": {"near": "30d"},
            },
            "trees": {"media": {"paths": ["/srv/media"], "schedule": "0 2 * * *"}},
            "drill": {"probes": [{"name": "x", "sql": "SELECT 1", "expect": 1}]},
        }
    },
}  # fmt: skip


@QUICK
@given(damaged(TARGETS) | JSON)
def test_targets_of_any_content_are_a_configuration_or_a_list_of_mistakes(tmp_path, document):
    file = tmp_path / "targets.yaml"
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    with refused_with_a_next_step():
        load_targets(file)


@QUICK
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_a_file_that_is_no_yaml_is_one_clear_error(tmp_path, text):
    file = tmp_path / "targets.yaml"
    file.write_text(text, encoding="utf-8", newline="")
    with refused_with_a_next_step():
        load_targets(file)
