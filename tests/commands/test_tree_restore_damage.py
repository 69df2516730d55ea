"""Damaged and missing packs end a restore with the file and the pack named; nothing is healed in silence."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backstop.errors import IntegrityError, ObjectMissingError
from tests.commands.tree_restoring import Site, snapshot
from tests.tree_making import entry, sha256, tar_of_pieces

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.trees.restore import TreeRestore
    from backstop.model.backup import BackupLabel, StoredObject


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    for number in range(3):
        (site.media / f"{number}").write_bytes(os.urandom(100_000))
    return site


def pack_of(site: Site, label: BackupLabel) -> StoredObject:
    manifest = site.maker.catalog.backup(label).manifest
    return next(one for one in manifest.objects if one.name == "0-1")


def nothing_was_done(site: Site, live: object) -> bool:
    """The live tree is as it was, and nothing lies beside it or in scratch."""
    return (
        snapshot(site.media) == live
        and [path.name for path in site.media.parent.iterdir()] == ["media"]
        and list((site.folder / "scratch").iterdir()) == []
    )


def attempt(restore: TreeRestore) -> None:
    restore.restore_beside(restore.plan())


def test_a_damaged_pack_is_named_with_a_file_that_needs_it(site: Site) -> None:
    label, live = site.back_up(), snapshot(site.media)
    path = site.folder / "vault" / "repository" / pack_of(site, label).key
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)

    with pytest.raises(IntegrityError, match=rf"{site.media}/0: pack 0-1: object .*packs/1"):
        attempt(site.restore(label))
    assert nothing_was_done(site, live)


def test_a_missing_pack_is_named_before_anything_is_written(site: Site) -> None:
    label, live = site.back_up(), snapshot(site.media)
    (site.folder / "vault" / "repository" / pack_of(site, label).key).unlink()

    with pytest.raises(ObjectMissingError, match=r"lacks 1 of its .*packs/1"):
        site.restore(label).plan()
    assert nothing_was_done(site, live)


def test_a_pack_that_nothing_wanted_needs_may_be_missing(site: Site) -> None:
    tree = site.tree(pack_bytes=1)
    label = tree.back_up(site.media).manifest.label
    (site.folder / "vault" / "repository" / pack_of(site, label).key).unlink()

    assert site.restore(label).plan(only=[str(site.media / "1")]).files == 1


@pytest.mark.parametrize("wrong", ["lacks piece", "has other content as piece", "has 5 bytes as piece"])
def test_a_piece_that_is_not_what_its_name_says_is_named_with_its_file(site: Site, wrong: str) -> None:
    live = snapshot(site.media)
    tree = site.tree()
    file = tree.file(site.media / "0", b"content")
    name = file.chunks[0].sha256
    tree._pieces = {
        "lacks piece": {sha256(b"x"): b"x"},
        "has other content as piece": {name: b"CONTENT"},
        "has 5 bytes as piece": {name: b"short"},
    }[wrong]
    tree._names = dict.fromkeys(tree._pieces, "0-1")
    label = tree.publish([entry(site.media), file], roots=[str(site.media)]).manifest.label

    with pytest.raises(IntegrityError, match=f"{site.media}/0: pack 0-1 .*{wrong}"):
        attempt(site.restore(label))
    assert nothing_was_done(site, live)


def test_a_pack_that_the_manifest_lacks_is_named(site: Site) -> None:
    tree = site.tree()
    file = tree.file(site.media / "0", b"content")
    file = replace(file, chunks=(replace(file.chunks[0], pack="0-77"),))
    label = tree.publish([entry(site.media), file], roots=[str(site.media)]).manifest.label

    with pytest.raises(IntegrityError, match="names pack 0-77; its manifest does not"):
        site.restore(label).plan()


def test_each_pack_is_fetched_once_however_its_pieces_are_scattered(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = site.tree(pack_bytes=150_000)
    for number in range(3, 20):
        (site.media / f"{number}").write_bytes(os.urandom(60_000))
        (site.media / f"again {number}").write_bytes((site.media / f"{number}").read_bytes())
    label = tree.back_up(site.media).manifest.label
    opened: list[str] = []
    storage = site.maker.storage
    real = type(storage).open

    def counted(self: object, key: str, **options: object) -> object:
        opened.append(key)
        return real(self, key, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(type(storage), "open", counted)
    restore = site.restore(label, jobs=3)
    plan = restore.plan()
    opened.clear()
    restored = restore.restore_beside(plan)

    packs = [key for key in opened if "/packs/" in key]
    assert len(packs) == len(set(packs)) > 5
    assert restore.validate(restored) == ()


def a_device() -> bytes:
    """A tar whose member has the name of a piece, and is a disk."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo(sha256(b"content"))
        member.type, member.size, member.devmajor = tarfile.BLKTYPE, 7, 8
        archive.addfile(member)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("pack", "wrong"),
    [
        (a_device(), "no piece of a file"),
        (b"", "is empty"),
        (b"no tar at all" * 100, "damaged or out of place"),
        (tar_of_pieces([(sha256(b"content"), b"content")])[:600], "ends early"),
        (tar_of_pieces([(sha256(b"content"), b"content")]).rstrip(b"\0"), "ends early"),
        (tar_of_pieces([(sha256(b"content"), b"content")]) + b"more", "something behind its end"),
        (tar_of_pieces([("../../etc/passwd", b"content")]), "no piece"),
        (tar_of_pieces([("/etc/passwd", b"content")]), "no piece"),
        (tar_of_pieces([(sha256(b"content") + "x", b"content")]), "no piece"),
        (tar_of_pieces([(sha256(b""), b"")]), "no piece of a file"),
    ],
)
def test_a_pack_that_is_anything_else_than_a_tar_of_pieces_is_refused(
    site: Site, pack: bytes, wrong: str
) -> None:
    tree = site.tree()
    file = tree.file(site.media / "0", b"content")
    tree._pieces.clear()
    tree.put_pack("0-1", pack)
    label = tree.publish([entry(site.media), file], roots=[str(site.media)]).manifest.label

    with pytest.raises(IntegrityError, match=wrong):
        attempt(site.restore(label))
