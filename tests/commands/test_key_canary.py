"""The oldest and the newest of a repository, opened with keys of AWS KMS as whoever restores may use them.

KMS is moto's server, a MOCK, which decrypts with disabled keys and for everybody: its refusals are planted.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.commands.keys.canary import open_canaries
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.kms import KmsKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.model.backup import BackupLabel
from backstop.storage.memory import MemoryStorage
from tests.commands.test_kms import MockKms
from tests.making import STARTED, Maker
from tests.trees import ProtectedTree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def kms() -> Iterator[MockKms]:
    mock = MockKms()
    yield mock
    mock.stop()


@pytest.fixture
def maker(kms: MockKms, tmp_path: Path) -> Maker:
    """Two dumps, each wrapped by a key of its own."""
    create_signing_keys(tmp_path / "signing")
    signer = Signer.load(tmp_path / "signing" / "manifest.pem")
    trust = TrustedSigners.load(tmp_path / "signing" / "trusted.json")
    maker = Maker(MemoryStorage(), KmsKeyring([kms.new_key()], client_for=kms.clients), signer, trust)
    maker.publish()
    maker.keyring = KmsKeyring([kms.new_key()], client_for=kms.clients)
    maker.publish(started_at=STARTED + timedelta(days=1))
    return maker


def arns(maker: Maker) -> list[str]:
    return [published.manifest.keys[0] for published in maker.catalog.backups().backups]


def test_both_ends_open_while_the_role_that_restores_may_use_both_keys(kms: MockKms, maker: Maker) -> None:
    ring = KmsKeyring(arns(maker), client_for=kms.clients)

    found = [(one.what, one.why) for one in open_canaries(maker.repository, keyring=ring)]

    assert found == [("oldest dump", ""), ("newest dump", "")]


def test_a_signed_manifest_without_objects_is_named_and_the_others_are_still_opened(
    kms: MockKms, maker: Maker
) -> None:
    label = BackupLabel("20261125T010000Z-dump")
    forged = maker.manifest(label, [], STARTED + timedelta(days=2))
    maker.catalog.publish(forged, signer=maker.signer, ensure_held=lambda: None)

    found = list(open_canaries(maker.repository, keyring=KmsKeyring(arns(maker)[:1], client_for=kms.clients)))

    assert [one.what for one in found] == ["oldest dump", "newest dump"]
    assert [bool(one.why) for one in found] == [False, True]
    assert label.text in found[1].why


@pytest.mark.parametrize("code", ["AccessDeniedException", "DisabledException", "KMSInvalidStateException"])
def test_a_key_that_no_longer_opens_for_that_role_is_named_with_the_next_step(
    kms: MockKms, maker: Maker, code: str
) -> None:
    ring = KmsKeyring(arns(maker), client_for=kms.refusing("Decrypt", code))

    oldest, newest = open_canaries(maker.repository, keyring=ring)

    for one, arn in zip((oldest, newest), arns(maker), strict=True):
        assert code in one.why
        assert arn in one.why
        assert "policy" in one.step


def test_a_former_key_that_was_left_out_is_missed_by_the_oldest_alone(kms: MockKms, maker: Maker) -> None:
    first, second = arns(maker)

    oldest, newest = open_canaries(maker.repository, keyring=KmsKeyring([second], client_for=kms.clients))

    assert first in oldest.why
    assert newest.why == ""


def test_a_repository_of_which_no_manifest_can_be_believed_is_not_well(kms: MockKms, maker: Maker) -> None:
    ring = KmsKeyring(arns(maker), client_for=kms.clients)
    for info in list(maker.storage.list(f"{maker.catalog.target}/meta/manifests/")):
        maker.storage.delete(info.key)
        maker.storage.put_once(info.key, b"{}")

    found = list(open_canaries(maker.repository, keyring=ring))

    assert [one.what for one in found] == ["backups"]
    assert found[0].why


def test_a_tree_whose_packs_of_an_earlier_backup_no_longer_open_is_not_well(tmp_path: Path) -> None:
    protected = ProtectedTree(tmp_path, {"local": MemoryStorage()}, now=STARTED)
    for number in range(20):
        (protected.source / f"file{number}").write_bytes(os.urandom(3000))
    protected.back_up()
    rotated = protected.keyring.add_generation(protected.clock())
    protected.keyring = rotated
    (protected.source / "more").write_bytes(b"more")
    protected.back_up()
    newest_key_alone = LocalKeyring(rotated.path, rotated.generations[-1:])

    found = list(open_canaries(protected.repository(), keyring=newest_key_alone))

    newest = [one for one in found if one.what.startswith("newest")]
    assert [bool(one.why) for one in newest] == [False, True]
    assert rotated.generations[0].id in newest[1].why
