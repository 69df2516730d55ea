"""Repositories with backups, and an Airflow configuration of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tests.airflow_home  # noqa: F401
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.storage.memory import MemoryStorage
from tests.making import STARTED, Maker
from tests.operators.lab import Lab

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def makers(tmp_path: Path) -> tuple[Maker, Maker, Signer]:
    """Two empty repositories, ``local`` and ``s3``, and the key that signs proofs."""
    create_signing_keys(tmp_path / "signing")
    keyring = LocalKeyring.create(tmp_path / "keyring.json", STARTED)
    trust = TrustedSigners.load(tmp_path / "signing" / "trusted.json")
    signer = Signer.load(tmp_path / "signing" / "manifest.pem")
    local, s3 = (
        Maker(MemoryStorage(), keyring, signer, trust, name=name, target="calibrify")
        for name in ("local", "s3")
    )
    return local, s3, Signer.load(tmp_path / "signing" / "proof.pem")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A target with a cluster; commands that would contact its server are to be replaced."""
    lab = Lab(tmp_path)
    lab.enter(monkeypatch)
    return lab
