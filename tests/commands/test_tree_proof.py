"""Proofs of file trees: from a real restore of all or of a share, and each kind of damage named."""

from __future__ import annotations

import io
import logging
import os
import random
from dataclasses import replace
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from backstop.commands.proof.objects import missing_objects
from backstop.commands.proof.work import Policies, unverified
from backstop.commands.trees.expected import ExpectedFiles
from backstop.errors import ConfigurationError, ObjectMissingError, RestoreError, SourceUnavailableError
from backstop.files import metadata
from backstop.model.backup import StoredObject
from backstop.model.tree_sample import Sample
from tests.making import Maker
from tests.tree_protection import TreeProtection

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.model.backup import BackupLabel

MIB = 1024 * 1024


@pytest.fixture
def trees(tmp_path: Path) -> TreeProtection:
    trees = TreeProtection(tmp_path)
    for number in range(12):
        path = trees.live / f"{number % 3}" / f"{number:02}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(random.Random(number).randbytes(3000))
        path.chmod(0o640)
    (trees.live / "empty").mkdir()
    (trees.live / "closed").mkdir()
    (trees.live / "closed" / "to-changes.jpg").touch()
    (trees.live / "closed").chmod(0o555)
    (trees.live / "empty.txt").touch()
    (trees.live / "link").symlink_to("/nowhere")
    os.link(trees.live / "0" / "00.jpg", trees.live / "2" / "again.jpg")
    os.mkfifo(trees.live / "pipe")
    with (trees.live / "sparse").open("wb") as file:
        file.seek(20 * MIB)
        file.write(b"end")
    return trees


def many_packs(trees: TreeProtection, count: int = 6) -> None:
    """Each backup adds a pack of its own."""
    for number in range(count):
        (trees.live / f"large-{number}").write_bytes(random.Random(number).randbytes(2 * MIB))
        trees.back_up()


def test_a_backup_is_proven_by_a_restore_that_equals_its_list(trees: TreeProtection) -> None:
    label = trees.back_up()

    proof = trees.prove(label)

    assert proof.matched, proof.differences
    assert proof.checks["files"] == proof.checks["files_restored"] == 16
    assert proof.checks["bytes_restored"] >= 12 * 3000
    assert proof.checks["share"] == "1"
    assert proof.checks["objects"] == len(trees.manifest(label).objects)
    assert proof.durations.keys() >= {"check", "list", "count", "restore", "compare", "clean", "total"}
    published = trees.repository.catalog.backup(label)
    assert trees.repository.catalog.verifications(published).proven
    assert list(trees.scratch.iterdir()) == []


def test_the_live_tree_is_not_looked_at(trees: TreeProtection) -> None:
    label = trees.back_up()
    trees.live.rename(trees.folder / "moved away")

    assert trees.prove(label).matched


def test_a_share_is_drawn_by_the_seed_in_the_proof_and_restores_only_its_packs(trees: TreeProtection) -> None:
    many_packs(trees)
    label = trees.back_up()

    proof = trees.prove(label, share=0.3)

    assert proof.matched, proof.differences
    packs = {one.name for one in trees.packs(label)}
    drawn = Sample(0.3, str(proof.checks["seed"])).packs(packs)
    assert proof.checks["packs"] == len(packs)
    assert proof.checks["packs_drawn"] == len(drawn)
    assert 0 < int(proof.checks["files_restored"]) < int(proof.checks["files"])
    again = trees.prove(label, share=0.3, seed=str(proof.checks["seed"]))
    assert {**again.checks} == {**proof.checks}
    assert trees.prove(label, share=0.3).checks["seed"] != proof.checks["seed"]


def test_a_damaged_pack_is_named_with_a_file_that_needs_it(trees: TreeProtection) -> None:
    label = trees.back_up()
    [pack] = trees.packs(label)
    body = bytearray(trees.file_of(pack).read_bytes())
    body[len(body) // 2] ^= 1
    trees.file_of(pack).chmod(0o600)
    trees.file_of(pack).write_bytes(body)

    proof = trees.prove(label)

    assert not proof.matched
    assert pack.name in proof.differences[0]
    assert str(trees.live) in proof.differences[0]


def test_a_pack_of_an_earlier_backup_that_is_gone_is_named_whatever_was_drawn(trees: TreeProtection) -> None:
    many_packs(trees)
    label = trees.back_up()
    victim = next(one for one in trees.packs(label) if one.origin != label)
    trees.file_of(victim).unlink()

    proof = trees.prove(label, share=0.01)

    assert not proof.matched
    assert victim.key in proof.differences[0]
    assert "is not in" in proof.differences[0]


def test_a_pack_of_another_size_is_named_without_being_read(trees: TreeProtection) -> None:
    label = trees.back_up()
    [pack] = trees.packs(label)
    trees.file_of(pack).chmod(0o600)
    with trees.file_of(pack).open("ab") as file:
        file.write(b"more")

    [difference] = trees.prove(label).differences

    assert pack.key in difference
    assert "bytes long" in difference


def test_a_list_of_another_backup_is_not_taken_for_this_ones(trees: TreeProtection) -> None:
    first = trees.back_up()
    (trees.live / "empty.txt").write_bytes(b"x")
    second = trees.back_up()
    theirs, ours = (trees.manifest(label).object_named("files") for label in (first, second))
    trees.file_of(ours).chmod(0o600)
    body = trees.file_of(theirs).read_bytes()
    trees.file_of(ours).write_bytes(body)

    proof = trees.prove(second)

    assert not proof.matched
    assert ours.key in proof.differences[0]


def test_a_list_that_is_damaged_is_named(trees: TreeProtection) -> None:
    label = trees.back_up()
    [pack] = trees.packs(label, of_list=True)
    body = bytearray(trees.file_of(pack).read_bytes())
    body[-40] ^= 1
    trees.file_of(pack).chmod(0o600)
    trees.file_of(pack).write_bytes(body)

    proof = trees.prove(label)

    assert not proof.matched
    assert pack.key in proof.differences[0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"mode": 0o666}, "mode 0666 instead of 0640"),
        ({"mtime_ns": 5}, "mtime 1970-01-01 00:00:00.000000005 instead of 20"),
    ],
)
def test_metadata_that_does_not_come_back_is_named(trees, monkeypatch, wrong, said) -> None:
    label = trees.back_up()
    honest = metadata.give

    def careless(descriptor, entry, **how):
        honest(descriptor, replace(entry, **wrong) if entry.path.endswith(b"/07.jpg") else entry, **how)

    monkeypatch.setattr("backstop.files.place.give", careless)

    [difference] = trees.prove(label).differences

    assert difference.startswith(f"{trees.live}/1/07.jpg: ")
    assert said in difference


def test_content_that_does_not_come_back_is_named(trees: TreeProtection, monkeypatch) -> None:
    from backstop.files import place

    label = trees.back_up()
    honest = place._write
    monkeypatch.setattr(
        place, "_write", lambda file, offset, content: honest(file, offset, memoryview(bytes(len(content))))
    )

    differences = trees.prove(label).differences

    assert any(one.startswith(f"{trees.live}/0/00.jpg: other content") for one in differences)


def test_a_file_that_the_list_does_not_name_is_noticed(trees: TreeProtection, monkeypatch) -> None:
    from backstop.commands.trees.assemble import Assembly

    label = trees.back_up()
    honest = Assembly._finish

    def littering(self, needs):
        (area,) = self.areas
        os.close(os.open("stray", os.O_CREAT | os.O_WRONLY, dir_fd=area.new))
        honest(self, needs)

    monkeypatch.setattr(Assembly, "_finish", littering)

    [difference] = trees.prove(label).differences

    assert "names were restored instead of" in difference


def test_a_full_disk_says_nothing_about_the_backup(trees: TreeProtection, monkeypatch) -> None:
    label = trees.back_up()
    monkeypatch.setattr("backstop.commands.trees.obstacles._BLOCK_BYTES", 10**15)

    with pytest.raises(RestoreError, match="bytes free"):
        trees.prove(label)

    published = trees.repository.catalog.backup(label)
    assert trees.repository.catalog.verifications(published).proofs == ()
    assert list(trees.scratch.iterdir()) == []


def test_files_that_the_database_expects_are_counted_and_named_in_the_log(trees, monkeypatch, caplog) -> None:
    label = trees.back_up()
    expected = ExpectedFiles("SELECT", PurePosixPath(trees.live), lambda: pytest.fail("not asked"))
    below = str(trees.live).encode().strip(b"/")
    paths = [below + b"/0/00.jpg", below + b"/9/99.jpg"]
    monkeypatch.setattr("backstop.commands.trees.expected._asked", lambda _: iter(paths))

    with caplog.at_level(logging.WARNING):
        proof = trees.prove(label, expected=expected)

    assert proof.matched
    assert (proof.checks["expected_files"], proof.checks["missing_files"]) == (2, 1)
    assert f"{trees.live}/9/99.jpg" in caplog.text
    assert "00.jpg" not in caplog.text


def test_a_database_that_is_down_keeps_no_backup_from_being_proven(trees: TreeProtection) -> None:
    label = trees.back_up()

    def gone():
        raise SourceUnavailableError("db.example.org does not answer")

    proof = trees.prove(label, expected=ExpectedFiles("SELECT", PurePosixPath("/srv"), gone))

    assert proof.matched
    assert proof.checks["expected_files"] == "the database could not be asked"


def test_a_dump_is_refused(trees: TreeProtection) -> None:
    dump = Maker(trees.storage, trees.keyring, trees.manifest_signer, trees.trust).publish()

    with pytest.raises(ConfigurationError, match="holds no file tree"):
        trees.prove(dump.manifest.label)


def test_each_tree_is_worked_off_by_its_own_policy(trees: TreeProtection) -> None:
    media = [trees.back_up(), trees.back_up()]
    trees.tree = "config"
    config = [trees.back_up(), trees.back_up()]

    def work(**policies: str) -> list[BackupLabel]:
        return [one.label for one in unverified([trees.repository], Policies(trees=policies))]

    assert work(media="daily", config="each") == [media[1], config[1], config[0]]
    trees.prove(config[1])
    assert work(media="daily", config="daily") == [media[1]]
    assert work() == []


class Versioned:
    """A storage that keeps versions: what is not current is not listed."""

    location = "s3://bucket"

    def __init__(self, versions: dict[tuple[str, str], bytes]) -> None:
        self.versions = versions

    def list(self, prefix: str) -> list[object]:
        return []

    def open(self, key: str, *, version_id: str = "") -> io.BytesIO:
        try:
            return io.BytesIO(self.versions[key, version_id])
        except KeyError:
            raise ObjectMissingError(f"no {key}") from None


def test_an_object_behind_a_delete_marker_is_counted_by_its_version() -> None:
    key = "calibrify/data/trees/media/20261123T010000Z-tree-media/a/packs/{}"
    objects = [
        StoredObject(key.format(number), "chunks", f"a-{number}", 0, 5, "", "", version_id="v1")
        for number in range(3)
    ]
    storage = Versioned({(key.format(0), "v1"): b"12345", (key.format(1), "v1"): b"123"})
    repository = SimpleNamespace(storage=storage, location=storage.location)

    found = missing_objects(repository, SimpleNamespace(objects=objects))

    assert found == [
        f"object {key.format(1)} is 3 bytes long; its manifest says 5",
        f"object {key.format(2)} is not in s3://bucket",
    ]
