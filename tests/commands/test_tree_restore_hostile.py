"""Lists and packs that no backup of ours has: nothing outside of the destination changes, also for root."""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backstop.errors import BackstopError, IntegrityError, RestoreError
from backstop.model.file_tree import Chunk, Entry, EntryKind
from tests.commands.tree_restoring import Site, snapshot
from tests.tree_making import TreeMaker, entry, sha256, tar_of_pieces

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backstop.commands.trees.plan import TreeRestorePlan


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    (site.media / "mine").write_text("as it was")
    (site.folder / "victim").mkdir()
    (site.folder / "victim" / "secret").write_text("theirs")
    return site


def outside(site: Site) -> object:
    """All but the repository, whose pins come and go."""
    return {name: what for name, what in snapshot(site.folder).items() if not name.startswith("vault")}


def link(path: Path, target: Path | str) -> Entry:
    return entry(path, EntryKind.SYMLINK, mode=0o777, link_target=os.fsencode(target))


class Odd(Entry):
    """An entry whose line says what no entry can."""

    def to_line(self) -> bytes:
        return json.dumps({**json.loads(Entry.to_line(self)), **ODD[self.path]}).encode() + b"\n"


ODD: dict[bytes, dict[str, object]] = {}


def odd(place: Path, **changes: object) -> Entry:
    plain = entry(place)
    ODD[plain.path] = changes
    return Odd(**{name: getattr(plain, name) for name in Entry.__dataclass_fields__})


LISTS: dict[str, Callable[[Site, TreeMaker], list[Entry]]] = {
    "an absolute path": lambda site, tree: [odd(site.media / "a", path="/etc/passwd")],
    "a path with ..": lambda site, tree: [odd(site.media / "a", path=f"{site.media}/../../victim/x"[1:])],
    "a path with a zero byte": lambda site, tree: [odd(site.media / "a", path=f"{site.media}/a\0b"[1:])],
    "an entry below a link": lambda site, tree: [
        link(site.media / "a", site.folder / "victim"),
        tree.file(site.media / "a" / "secret", b"written through"),
    ],
    "a folder below a link": lambda site, tree: [
        link(site.media / "a", site.folder / "victim"), entry(site.media / "a" / "new"),
    ],
    "an entry below a file": lambda site, tree: [
        tree.file(site.media / "a", b"a"), tree.file(site.media / "a" / "b", b"b"),
    ],
    "a link, then a folder of that name": lambda site, tree: [
        link(site.media / "a", site.folder / "victim"), entry(site.media / "a"),
        tree.file(site.media / "a" / "secret", b"x"),
    ],
    "a file, then a folder of that name": lambda site, tree: [
        tree.file(site.media / "a", b"a"), entry(site.media / "a")
    ],
    "a file twice": lambda site, tree: [tree.file(site.media / "a", b"a"), tree.file(site.media / "a", b"b")],
    "entries out of order": lambda site, tree: [
        tree.file(site.media / "b", b"a"), tree.file(site.media / "a", b"b")
    ],
    "an entry in no folder": lambda site, tree: [tree.file(site.media / "no" / "a", b"a")],
    "an entry outside of the roots": lambda site, tree: [tree.file(site.folder / "victim" / "x", b"a")],
    "a hard link to outside": lambda site, tree: [
        tree.file(site.media / "a", hard_link=os.fsencode(site.folder / "victim" / "secret")[1:])
    ],
    "a hard link through a link": lambda site, tree: [
        link(site.media / "a", site.folder / "victim"),
        tree.file(site.media / "b", hard_link=os.fsencode(site.media / "a" / "secret")[1:]),
    ],
    "a hard link to a folder": lambda site, tree: [
        entry(site.media / "a"), tree.file(site.media / "b", hard_link=os.fsencode(site.media / "a")[1:])
    ],
    "a hard link to itself": lambda site, tree: [
        tree.file(site.media / "b", hard_link=os.fsencode(site.media / "b")[1:])
    ],
    "a device": lambda site, tree: [odd(site.media / "a", kind="device")],
    "a folder with content": lambda site, tree: [
        odd(site.media / "a", chunks=[[0, 1, sha256(b"x"), "0-1"]])
    ],
    "a link to nothing": lambda site, tree: [link(site.media / "a", "")],
    "a link with a zero byte": lambda site, tree: [
        odd(site.media / "a", kind="symlink", target="/etc\0/passwd")
    ],
    "a mode that no file has": lambda site, tree: [odd(site.media / "a", mode="20777")],
    "an owner that no file has": lambda site, tree: [tree.file(site.media / "a", b"a", uid=2**40)],
    "a huge owner": lambda site, tree: [tree.file(site.media / "a", b"a", uid=2**70)],
    "a piece beyond the file's end": lambda site, tree: [
        tree.file(site.media / "a", b"long content", size_bytes=3)
    ],
    "a piece at a huge offset": lambda site, tree: [
        tree.file(site.media / "a", size_bytes=2**70, chunks=(Chunk(2**69, 5, sha256(b"abcde"), "0-1"),))
    ],
    "a size that no file has": lambda site, tree: [tree.file(site.media / "a", size_bytes=2**70)],
    "a size that no file system has": lambda site, tree: [tree.file(site.media / "a", size_bytes=2**63 - 1)],
    "a piece larger than any": lambda site, tree: [
        tree.file(
            site.media / "a", size_bytes=2**40, chunks=(Chunk(0, 2**39, sha256(b"bomb"), "0-1"),)
        )
    ],
    "an attribute that no file has": lambda site, tree: [
        tree.file(site.media / "a", b"a", xattrs=(("user." + "x" * 5000, b""),))
    ],
}  # fmt: skip


@pytest.mark.parametrize("what", LISTS)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["in place", "elsewhere"])
def test_a_list_with_this_changes_nothing_and_ends_in_one_clear_error(
    site: Site, what: str, elsewhere: bool
) -> None:
    tree = site.tree()
    tree.chunk(0, b"so that there is a pack")
    entries = [entry(site.media), *LISTS[what](site, tree)]
    label = tree.publish(entries, roots=[str(site.media)]).manifest.label
    before = outside(site)
    restore = site.restore(label)

    def run() -> None:
        plan: TreeRestorePlan = restore.plan(destination=site.folder / "out" if elsewhere else None)
        restored = restore.restore_beside(plan)
        assert restore.validate(restored) == ()

    with pytest.raises((IntegrityError, RestoreError)) as caught:
        run()
    assert isinstance(caught.value, BackstopError)
    assert caught.value.hint
    assert outside(site) == before


def test_a_root_that_leads_elsewhere_is_refused_in_place_and_stays_below_the_destination_elsewhere(
    site: Site,
) -> None:
    tree = site.tree()
    victim = site.folder / "victim"
    entries = [entry(victim), tree.file(victim / "secret", b"spoiled")]
    label = tree.publish(entries, roots=[str(victim)]).manifest.label
    restore = site.restore(label)

    with pytest.raises(BackstopError, match="none of the tree's paths"):
        restore.plan()
    restored = restore.restore_beside(restore.plan(destination=site.folder / "out"))
    restore.validate(restored)
    restore.swap(restored)

    assert (victim / "secret").read_text() == "theirs"
    assert (site.folder / "out" / victim.relative_to("/") / "secret").read_text() == "spoiled"


@pytest.mark.parametrize("root", ["/", "", "/..", "/srv/../etc", "relative/../.."])
def test_a_root_that_is_no_path_restores_nothing(site: Site, root: str) -> None:
    tree = site.tree()
    label = tree.publish([entry(site.media)], roots=[root]).manifest.label
    before = outside(site)

    with pytest.raises(BackstopError):
        site.restore(label, patterns=("/",)).plan()
    assert outside(site) == before


def test_links_that_lead_out_are_restored_as_links_and_never_followed(site: Site) -> None:
    tree = site.tree()
    entries = [
        entry(site.media),
        link(site.media / "a", site.folder / "victim"),
        link(site.media / "b", "../../victim/secret"),
    ]
    label = tree.publish(entries, roots=[str(site.media)]).manifest.label
    restore = site.restore(label)
    victim = snapshot(site.folder / "victim")
    stat = (site.folder / "victim" / "secret").stat()

    restored = restore.restore_beside(restore.plan())
    assert restore.validate(restored) == ()
    restore.swap(restored)

    assert (site.media / "a").is_symlink()
    assert snapshot(site.folder / "victim") == victim
    assert (site.folder / "victim" / "secret").stat().st_mtime_ns == stat.st_mtime_ns


def test_a_time_that_the_file_system_cuts_is_found_by_the_comparison(site: Site) -> None:
    tree = site.tree()
    late = tree.file(site.media / "a", mtime_ns=2**62 * 20)
    label = tree.publish([entry(site.media), late], roots=[str(site.media)]).manifest.label
    restore = site.restore(label)

    restored = restore.restore_beside(restore.plan())

    [difference] = restore.validate(restored)
    assert "/a: mtime" in difference
    with pytest.raises(RestoreError, match="not validated"):
        restore.swap(restored)


def test_an_acl_that_is_none_is_named_as_not_set(site: Site) -> None:
    tree = site.tree()
    file = tree.file(site.media / "a", xattrs=(("system.posix_acl_access", b"no acl at all"),))
    label = tree.publish([entry(site.media), file], roots=[str(site.media)]).manifest.label
    restore = site.restore(label)

    restored = restore.restore_beside(restore.plan())

    assert "system.posix_acl_access could not be set on 1 of the files" in restored.not_set[0]


def test_a_huge_hole_takes_no_room_and_no_time(site: Site) -> None:
    tree = site.tree()
    huge = tree.file(site.media / "huge", size_bytes=2**42)
    label = tree.publish([entry(site.media), huge], roots=[str(site.media)]).manifest.label
    restore = site.restore(label)

    restored = restore.restore_beside(restore.plan())

    assert restore.validate(restored) == ()
    restore.discard(restored)


def test_a_pack_that_grows_beyond_what_its_manifest_says_is_cut_off(site: Site) -> None:
    live = outside(site)
    tree = site.tree()
    file = tree.file(site.media / "a", b"content")
    tree._pieces.clear()
    tree.put_pack("0-1", bytes(200 * 1024 * 1024))
    tree.objects[-1] = replace(tree.objects[-1], plain_bytes=2048)
    label = tree.publish([entry(site.media), file], roots=[str(site.media)]).manifest.label
    restore = site.restore(label)

    with pytest.raises(IntegrityError, match="packs/1"):
        restore.restore_beside(restore.plan())
    assert outside(site) == live


def test_a_pack_larger_than_any_is_not_even_fetched(site: Site) -> None:
    tree = site.tree()
    file = tree.file(site.media / "a", b"content")
    tree._pieces.clear()
    tree.put_pack("0-1", tar_of_pieces([(sha256(b"content"), b"content")]))
    tree.objects[-1] = replace(tree.objects[-1], plain_bytes=2**40)
    label = tree.publish([entry(site.media), file], roots=[str(site.media)]).manifest.label

    with pytest.raises(IntegrityError, match="none of ours is so large"):
        site.restore(label).plan()


def test_more_names_than_there_is_room_for_are_refused_early(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = site.tree()
    entries = [entry(site.media), *(tree.file(site.media / f"{number:05}") for number in range(2_000))]
    label = tree.publish(entries, roots=[str(site.media)]).manifest.label
    nearly_full = os.statvfs_result([4096, 4096, 10**9, 10**9, 10**9, 5000, 1500, 1500, 0, 255])
    monkeypatch.setattr("backstop.commands.trees.obstacles.os.statvfs", lambda place: nearly_full)

    with pytest.raises(RestoreError, match="has room for 1500 files"):
        site.restore(label).plan()


def test_numbers_that_no_file_has_never_reach_the_index(site: Site) -> None:
    """The index of pieces holds 64 bits; what does not fit is the backup's fault, and said so."""
    tree = site.tree()
    file = tree.file(site.media / "a", b"content", mtime_ns=2**64)
    label = tree.publish([entry(site.media), file], roots=[str(site.media)]).manifest.label
    restore = site.restore(label)

    with pytest.raises(IntegrityError, match="a number that no file has") as caught:
        restore.restore_beside(restore.plan())
    assert not isinstance(caught.value.__cause__, sqlite3.Error)
