"""What ``decrypt`` does beside writing files, which tests/cli/test_decrypt.py shows."""

from __future__ import annotations

import pytest

from backstop.commands import decrypt
from backstop.commands.progress import Silent
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.repository.pins import readers
from backstop.storage.memory import MemoryStorage
from tests.making import STARTED, Maker


@pytest.mark.parametrize("whole", [True, False])
def test_expiry_sees_a_reader_as_long_as_it_takes(tmp_path, monkeypatch, whole):
    create_signing_keys(tmp_path / "signing")
    maker = Maker(
        MemoryStorage(),
        LocalKeyring.create(tmp_path / "ring.json", STARTED),
        Signer.load(tmp_path / "signing" / "manifest.pem"),
        TrustedSigners.load(tmp_path / "signing" / "trusted.json"),
    )
    manifest = maker.publish().manifest
    seen = []

    def look(*_, destination, **__):
        seen.extend(readers(maker.storage, maker.target, manifest.label, now=STARTED))
        destination.mkdir()

    monkeypatch.setattr(decrypt, "fetch_backup", look)
    monkeypatch.setattr(decrypt, "fetch_object", look)
    told = {
        "keyring": maker.keyring,
        "destination": tmp_path / "out",
        "clock": lambda: STARTED,
        "progress": Silent(),
    }

    if whole:
        decrypt.decrypt_backup(maker.repository, manifest.label, jobs=1, **told)
    else:
        decrypt.decrypt_object(maker.repository, manifest.objects[0].key, **told)

    (reader,) = seen
    assert reader.holder.startswith("decrypt")
    assert readers(maker.storage, maker.target, manifest.label, now=STARTED) == ()
