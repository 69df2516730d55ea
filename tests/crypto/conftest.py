"""Key rings for the crypto tests; all real, in temporary directories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)

from backstop.crypto.keyring import LocalKeyring
from tests.crypto.samples import ESCROW_PASSWORD, NOW

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def keyring(tmp_path: Path) -> LocalKeyring:
    return LocalKeyring.create(tmp_path / "keys" / "keyring.json", NOW)


@pytest.fixture(scope="session")
def session_keyring(tmp_path_factory: pytest.TempPathFactory) -> LocalKeyring:
    """For read-only use: Hypothesis, and objects shared by a module."""
    return LocalKeyring.create(tmp_path_factory.mktemp("keys") / "keyring.json", NOW)


@pytest.fixture(scope="session")
def escrow_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Public and (password-protected) private half of one RSA-4096 key; slow to make, so made once."""
    directory = tmp_path_factory.mktemp("escrow")
    key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    public, private = directory / "escrow.pub.pem", directory / "escrow.pem"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    public.chmod(0o644)
    private.touch(0o600)
    private.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(ESCROW_PASSWORD))
    )
    return public, private
