"""Fetching: a directory that pg_restore can use, whole and checked, or nothing."""

from __future__ import annotations

import io
import stat
import tarfile
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from backstop.commands.database.fetch import fetch_backup, fetch_object, read_object
from backstop.commands.progress import Silent
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.errors import (
    IntegrityError,
    KeyUnavailableError,
    NotFoundError,
    ObjectMissingError,
    RestoreError,
)
from backstop.storage.posix import PosixStorage
from tests.making import Maker, tar_of

NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)


@pytest.fixture
def maker(tmp_path):
    keyring = LocalKeyring.create(tmp_path / "keyring.json", NOW)
    create_signing_keys(tmp_path / "signing")
    return Maker(
        PosixStorage(tmp_path / "repository"),
        keyring,
        Signer.load(tmp_path / "signing" / "manifest.pem"),
        TrustedSigners.load(tmp_path / "signing" / "trusted.json"),
    )


@pytest.fixture
def fetch(maker, tmp_path):
    def fetch(manifest, destination=None, **changes):
        arguments = {"keyring": maker.keyring, "jobs": 3, "progress": Silent(), **changes}
        return fetch_backup(
            maker.repository, manifest, destination=destination or tmp_path / "out" / "dump", **arguments
        )

    (tmp_path / "out").mkdir()
    return fetch


class Counting:
    def __init__(self) -> None:
        self.phases: list[tuple[str, int | None]] = []
        self.done_bytes = 0

    def phase(self, name, *, total_bytes=None):
        self.phases.append((name, total_bytes))

    def advance(self, done_bytes):
        self.done_bytes += done_bytes


def nothing_is_left(tmp_path) -> bool:
    return list((tmp_path / "out").iterdir()) == []


def test_files_and_packed_files_come_back_as_one_private_directory(maker, fetch):
    big = bytes(range(256)) * 20_000
    manifest = maker.publish(files={"1.dat": big}, packed={"2.dat": b"two", "3.dat": b""}).manifest

    folder = fetch(manifest)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "toc.dat": b"PGDMP", "globals.sql": b"-- roles", "fingerprint.json": b"{}",
        "1.dat": big, "2.dat": b"two", "3.dat": b"",
    }  # fmt: skip
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_progress_adds_up_to_the_stored_bytes(maker, fetch):
    manifest = maker.publish(files={"1.dat": b"x" * 3_000_000}).manifest
    progress = Counting()

    fetch(manifest, progress=progress)

    assert progress.phases == [("fetch", manifest.stored_bytes)]
    assert progress.done_bytes == manifest.stored_bytes


def test_a_damaged_object_leaves_no_directory_and_names_the_object(maker, fetch, tmp_path):
    manifest = maker.publish(files={"1.dat": b"x" * 3_000_000}).manifest
    stored = manifest.object_named("1.dat")
    path = tmp_path / "repository" / stored.key
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)

    with pytest.raises(IntegrityError, match=stored.key):
        fetch(manifest)
    assert nothing_is_left(tmp_path)


def test_two_swapped_objects_are_noticed(maker, fetch, tmp_path):
    manifest = maker.publish(files={"1.dat": b"a" * 100_000, "2.dat": b"b" * 100_000}).manifest
    one, two = (tmp_path / "repository" / manifest.object_named(name).key for name in ("1.dat", "2.dat"))
    first, second = one.read_bytes(), two.read_bytes()
    for path, content in ((one, second), (two, first)):
        path.chmod(0o600)
        path.write_bytes(content)

    with pytest.raises(IntegrityError):
        fetch(manifest)
    assert nothing_is_left(tmp_path)


def test_missing_objects_are_named_before_anything_is_fetched(maker, fetch, tmp_path):
    manifest = maker.publish(files={"1.dat": b"a"}, packed={"2.dat": b"b"}).manifest
    gone = manifest.object_named("1.dat").key
    (tmp_path / "repository" / gone).unlink()
    progress = Counting()

    with pytest.raises(ObjectMissingError, match=f"lacks 1 of its 5 objects.*{gone}"):
        fetch(manifest, progress=progress)
    assert progress.phases == []


def test_a_cut_object_is_noticed_before_anything_is_fetched(maker, fetch, tmp_path):
    manifest = maker.publish(files={"1.dat": b"a" * 5_000_000}).manifest
    path = tmp_path / "repository" / manifest.object_named("1.dat").key
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(IntegrityError, match="bytes long; its manifest says"):
        fetch(manifest)


def test_another_key_ring_opens_nothing(maker, fetch, tmp_path):
    manifest = maker.publish().manifest
    stranger = LocalKeyring.create(tmp_path / "other.json", NOW)

    with pytest.raises(KeyUnavailableError):
        fetch(manifest, keyring=stranger)
    assert nothing_is_left(tmp_path)


def test_an_object_of_another_target_is_refused(maker, fetch):
    manifest = maker.publish().manifest
    foreign = replace(manifest, target="elsewhere")

    with pytest.raises(IntegrityError):
        fetch(foreign)


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "a/b", "..", ".hidden", ""])
def test_a_tar_member_cannot_leave_its_directory(maker, fetch, tmp_path, name):
    manifest = maker.publish(packed={name: b"x"}).manifest

    with pytest.raises(IntegrityError, match="may not have that name"):
        fetch(manifest)
    assert nothing_is_left(tmp_path)
    assert not (tmp_path / "escape").exists()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE]
)
def test_a_tar_member_that_is_no_regular_file_is_refused(maker, fetch, tmp_path, kind):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("2.dat")
        member.type = kind
        member.linkname = "/etc/passwd"
        archive.addfile(member)
    manifest = maker.publish(packed=buffer.getvalue()).manifest

    with pytest.raises(IntegrityError, match="is no regular file"):
        fetch(manifest)
    assert nothing_is_left(tmp_path)


def test_the_same_file_in_two_objects_is_refused(maker, fetch):
    manifest = maker.publish(packed={"toc.dat": b"another table of contents"}).manifest

    with pytest.raises(IntegrityError, match="exists twice"):
        fetch(manifest)


def test_a_pack_that_is_no_tar_is_refused(maker, fetch):
    manifest = maker.publish(packed=b"no tar at all" * 100).manifest

    with pytest.raises(IntegrityError, match="is not a tar file"):
        fetch(manifest)


def test_a_pack_cut_inside_a_member_is_refused(maker, fetch):
    manifest = maker.publish(packed=tar_of({"2.dat": b"x" * 10_000})[:5_000]).manifest

    with pytest.raises(IntegrityError, match="is not a tar file"):
        fetch(manifest)


def test_a_dump_without_its_table_of_contents_is_refused(maker, fetch):
    manifest = maker.publish().manifest
    rest = tuple(stored for stored in manifest.objects if stored.name != "toc.dat")

    with pytest.raises(IntegrityError, match=r"lists no object 'toc\.dat'"):
        fetch(replace(manifest, objects=rest))


def test_a_directory_with_something_in_it_is_never_touched(maker, fetch, tmp_path):
    manifest = maker.publish().manifest
    taken = tmp_path / "out" / "dump"
    taken.mkdir()
    (taken / "mine").write_text("keep")

    with pytest.raises(RestoreError, match="exists already"):
        fetch(manifest)
    assert (taken / "mine").read_text() == "keep"


def test_an_empty_directory_may_be_filled(maker, fetch, tmp_path):
    (tmp_path / "out" / "dump").mkdir(mode=0o755)

    folder = fetch(maker.publish().manifest)

    assert (folder / "toc.dat").exists()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_missing_parent_directory_is_named(maker, fetch, tmp_path):
    with pytest.raises(NotFoundError, match="there is no directory"):
        fetch(maker.publish().manifest, tmp_path / "nowhere" / "dump")


def test_a_small_object_is_read_into_memory(maker):
    manifest = maker.publish(files={"fingerprint.json": b'{"tables": []}'}).manifest

    assert (
        read_object(maker.repository, manifest, "fingerprint.json", keyring=maker.keyring)
        == b'{"tables": []}'
    )


def test_an_object_too_large_for_memory_is_refused(maker):
    manifest = maker.publish(files={"fingerprint.json": b"x" * 1000}).manifest

    with pytest.raises(IntegrityError, match="holds 1000 bytes"):
        read_object(maker.repository, manifest, "fingerprint.json", keyring=maker.keyring, max_bytes=999)


def test_one_object_becomes_one_private_file(maker, tmp_path):
    manifest = maker.publish(files={"1.dat": b"content"}).manifest
    file = tmp_path / "1.dat"

    fetch_object(
        maker.repository, manifest, manifest.object_named("1.dat"),
        keyring=maker.keyring, destination=file, progress=Silent(),
    )  # fmt: skip

    assert file.read_bytes() == b"content"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
