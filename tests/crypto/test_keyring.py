"""Key rings: made once, guarded, several generations, and clear about what they cannot open."""

from __future__ import annotations

import json
import os
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.crypto.escrow import EscrowKeyring
from backstop.crypto.keyring import CombinedKeyring, LocalKeyring
from backstop.errors import IntegrityError, KeyUnavailableError
from tests.crypto.samples import ESCROW_PASSWORD, NOW, open_sample, seal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_new_ring_is_a_file_for_its_owner_only_and_loads_again(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "keyring.json"

    made = LocalKeyring.create(path, NOW)

    assert path.stat().st_mode & 0o777 == 0o600
    assert LocalKeyring.load(path).key_ids == made.key_ids
    assert [entry.name for entry in path.parent.iterdir()] == ["keyring.json"]


def test_a_ring_is_never_overwritten_by_creating_one(keyring: LocalKeyring) -> None:
    before = keyring.path.read_bytes()

    with pytest.raises(KeyUnavailableError, match=r"keyring\.json already exists"):
        LocalKeyring.create(keyring.path, NOW)

    assert keyring.path.read_bytes() == before
    assert len(list(keyring.path.parent.iterdir())) == 1


def test_of_many_who_create_a_ring_at_once_exactly_one_succeeds(tmp_path: Path) -> None:
    outcomes: list[str] = []

    def create() -> None:
        try:
            outcomes.append(LocalKeyring.create(tmp_path / "keyring.json", NOW).key_ids[0])
        except KeyUnavailableError:
            outcomes.append("refused")

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes.count("refused") == 7
    assert LocalKeyring.load(tmp_path / "keyring.json").key_ids[0] in outcomes


def test_a_new_generation_wraps_and_the_old_still_opens(keyring: LocalKeyring, tmp_path: Path) -> None:
    old = seal(b"before the rotation", keyring)

    rotated = keyring.add_generation(NOW + timedelta(days=90))
    new = seal(b"after the rotation", rotated)

    assert new.keys == rotated.key_ids != old.keys == keyring.key_ids
    for ring in (rotated, LocalKeyring.load(keyring.path)):
        open_sample(old, tmp_path / "old", ring)
        open_sample(new, tmp_path / "new", ring)
    assert (tmp_path / "old").read_bytes() == b"before the rotation"
    with pytest.raises(KeyUnavailableError):
        open_sample(new, tmp_path / "refused", keyring)


def test_two_rotations_at_once_lose_no_generation(keyring: LocalKeyring) -> None:
    threads = [
        threading.Thread(target=keyring.add_generation, args=(NOW + timedelta(days=day),)) for day in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(LocalKeyring.load(keyring.path).generations) == 7


def test_a_missing_ring_is_named_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailableError, match=r"key ring .*/keyring\.json does not exist") as caught:
        LocalKeyring.load(tmp_path / "keyring.json")
    assert "escrow" in caught.value.hint


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_ring_that_others_can_read_is_refused(mode: int, keyring: LocalKeyring) -> None:
    keyring.path.chmod(mode)

    with pytest.raises(KeyUnavailableError, match=f"is open to other users .mode {mode:04o}") as caught:
        LocalKeyring.load(keyring.path)
    assert f"chmod 600 {keyring.path}" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_ring_of_another_user_is_refused(keyring: LocalKeyring) -> None:
    os.chown(keyring.path, 12345, -1)

    with pytest.raises(KeyUnavailableError, match="belongs to user id 12345"):
        LocalKeyring.load(keyring.path)


def test_a_directory_in_the_place_of_a_ring_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailableError, match="cannot be read"):
        LocalKeyring.load(tmp_path)


def _without_keys(document: dict) -> None:
    document["keys"] = []


def _newer_format(document: dict) -> None:
    document["format"] = 2


def _other_key(document: dict) -> None:
    document["keys"][0]["key"] = "A" * 43 + "="


def _short_key(document: dict) -> None:
    document["keys"][0]["key"] = "AAAA"


def _doubled(document: dict) -> None:
    document["keys"] *= 2


def _nameless(document: dict) -> None:
    del document["keys"][0]["id"]


@pytest.mark.parametrize(
    "change", [_without_keys, _newer_format, _other_key, _short_key, _doubled, _nameless]
)
def test_a_ring_that_was_edited_is_refused(change: Callable[[dict], None], keyring: LocalKeyring) -> None:
    document = json.loads(keyring.path.read_text())
    change(document)
    keyring.path.write_text(json.dumps(document))

    with pytest.raises(KeyUnavailableError, match=r"keyring\.json is malformed"):
        LocalKeyring.load(keyring.path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"format": 1}', b"\xff\xfe", b"[" * 100_000]
)
def test_a_ring_that_is_no_ring_is_refused(content: bytes, keyring: LocalKeyring) -> None:
    keyring.path.write_bytes(content)

    with pytest.raises(KeyUnavailableError, match=r"keyring\.json is malformed"):
        LocalKeyring.load(keyring.path)


def test_no_representation_and_no_error_shows_a_key(keyring: LocalKeyring) -> None:
    secret = keyring.generations[0].key
    written = json.loads(keyring.path.read_text())["keys"][0]["key"]
    keyring.path.write_text(keyring.path.read_text()[:-4])

    with pytest.raises(KeyUnavailableError) as caught:
        LocalKeyring.load(keyring.path)

    shown = f"{keyring!r} {keyring.generations!r} {keyring.encryption_keys()!r} {caught.value!r}"
    shown += f" {caught.value} {caught.value.__cause__!r} {caught.value.__suppress_context__}"
    assert written not in shown
    assert repr(secret)[2:-1] not in shown
    assert secret.hex() not in shown
    assert caught.value.__suppress_context__


def test_the_wrong_ring_is_a_missing_key_and_not_damage(keyring: LocalKeyring, tmp_path: Path) -> None:
    sample = seal(b"content", keyring)
    other = LocalKeyring.create(tmp_path / "other.json", NOW)

    for by_manifest in (True, False):
        with pytest.raises(KeyUnavailableError, match="no key of the ring opens") as caught:
            open_sample(sample, tmp_path / "out", other, by_manifest=by_manifest)
        assert keyring.key_ids[0] in str(caught.value)
        assert other.key_ids[0] in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_key_of_the_right_name_and_other_bytes_does_not_open(keyring: LocalKeyring, tmp_path: Path) -> None:
    from dataclasses import replace

    sample = seal(b"content", keyring)
    impostor = LocalKeyring(keyring.path, [replace(keyring.generations[0], key=bytes(32))])

    with pytest.raises(IntegrityError, match="does not open"):
        open_sample(sample, tmp_path / "out", impostor)


def test_a_ring_that_works_passes_its_check(keyring: LocalKeyring) -> None:
    assert keyring.check() == ()


def test_an_object_opens_with_any_one_key_of_a_combined_ring(
    tmp_path: Path, escrow_files: tuple[Path, Path]
) -> None:
    first, second = (LocalKeyring.create(tmp_path / name, NOW) for name in ("first", "second"))
    public, private = escrow_files
    combined = CombinedKeyring(first, second, EscrowKeyring.load_public(public))
    sample = seal(b"content", combined)
    escrow = EscrowKeyring.load_private(private, password=ESCROW_PASSWORD)

    for ring in (first, second, escrow, combined, CombinedKeyring(second, escrow)):
        open_sample(sample, tmp_path / "out", ring)
        assert (tmp_path / "out").read_bytes() == b"content"

    assert sample.keys == combined.key_ids == (*first.key_ids, *second.key_ids, *escrow.key_ids)
    assert combined.check() == ()


def test_the_public_half_of_the_escrow_key_opens_nothing(
    keyring: LocalKeyring, tmp_path: Path, escrow_files: tuple[Path, Path]
) -> None:
    public = EscrowKeyring.load_public(escrow_files[0])
    sample = seal(b"content", CombinedKeyring(keyring, public))

    with pytest.raises(KeyUnavailableError, match=r"the ring opens nothing"):
        open_sample(sample, tmp_path / "out", public)


def test_an_escrow_key_that_others_can_swap_is_refused(
    tmp_path: Path, escrow_files: tuple[Path, Path]
) -> None:
    path = tmp_path / "escrow.pub.pem"
    path.write_bytes(escrow_files[0].read_bytes())
    path.chmod(0o666)

    with pytest.raises(KeyUnavailableError, match="can be changed by other users"):
        EscrowKeyring.load_public(path)


def test_the_private_escrow_key_needs_its_password(escrow_files: tuple[Path, Path]) -> None:
    with pytest.raises(KeyUnavailableError, match="needs a password"):
        EscrowKeyring.load_private(escrow_files[1])
    with pytest.raises(KeyUnavailableError, match="does not open"):
        EscrowKeyring.load_private(escrow_files[1], password=b"guess")


def test_of_an_escrow_key_that_is_not_there_it_is_said_that_it_is_in_the_safe(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailableError, match="does not exist") as caught:
        EscrowKeyring.load_private(tmp_path / "escrow.pem")

    assert "in the safe" in caught.value.hint


def test_a_short_or_foreign_escrow_key_is_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    short = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    foreign = ed25519.Ed25519PrivateKey.generate().public_key()
    pems = [key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in (short, foreign)]

    for pem in (*pems, b"no key at all"):
        path = tmp_path / "escrow.pub.pem"
        path.write_bytes(pem)
        path.chmod(0o644)
        with pytest.raises(KeyUnavailableError, match="not an RSA key of at least 4096 bits"):
            EscrowKeyring.load_public(path)
