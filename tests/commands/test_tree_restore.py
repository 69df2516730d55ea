"""Files come back as they were: beside first, validated, then exchanged; what they replace is kept."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.commands.trees.find import find_tree_backup
from backstop.commands.trees.plan import RestoredTree, TreeRestorePlan, TreeSwapOutcome
from backstop.errors import ConfigurationError, NotFoundError, RestoreError
from backstop.repository.pins import readers
from tests.commands.tree_restoring import NOW, STAMP, Site, carry_out, snapshot
from tests.making import STARTED
from tests.tree_making import entry

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def config(site: Site) -> Path:
    """A folder with configuration that is backed up by globs."""
    folder = site.folder / "etc"
    folder.mkdir()
    for name in ("calibrify-a.service", "calibrify-b.service", "other.service"):
        (folder / name).write_text(f"as backed up: {name}")
    return folder


def test_a_tree_comes_back_in_place_and_the_former_one_is_kept(site: Site) -> None:
    (site.media / "2024").mkdir()
    (site.media / "2024" / "a.jpg").write_bytes(b"first")
    (site.media / "b.jpg").write_bytes(b"second")
    before = snapshot(site.media)
    label = site.back_up()
    (site.media / "2024" / "a.jpg").write_bytes(b"spoiled")
    (site.media / "b.jpg").unlink()
    (site.media / "new").write_bytes(b"new")
    spoiled = snapshot(site.media)

    outcome = carry_out(site.restore(label))

    assert snapshot(site.media) == before
    kept = site.media.with_name(f"media.before-{STAMP}")
    assert snapshot(kept) == spoiled
    assert outcome.kept == (str(kept),)
    assert sorted(path.name for path in site.media.parent.iterdir()) == ["media", kept.name]
    assert list((site.folder / "scratch").iterdir()) == []


def test_nothing_live_is_touched_before_the_swap(site: Site) -> None:
    (site.media / "a").write_bytes(b"first")
    label = site.back_up()
    (site.media / "a").write_bytes(b"second")
    live = snapshot(site.media)
    restore = site.restore(label)

    restored = restore.restore_beside(restore.plan())
    assert restore.validate(restored) == ()

    assert snapshot(site.media) == live
    [beside] = [path for path in site.media.parent.iterdir() if path != site.media]
    assert beside.stat().st_mode & 0o7777 == 0o700
    restore.discard(restored)
    assert list(site.media.parent.iterdir()) == [site.media]


def test_a_dry_run_counts_and_names_what_would_change(site: Site) -> None:
    for name in ("same", "rewritten", "chmod", "deleted"):
        (site.media / name).write_bytes(name.encode())
    (site.media / "link").symlink_to("same")
    label = site.back_up()
    (site.media / "rewritten").write_bytes(b"other content")
    (site.media / "chmod").chmod(0o600)
    (site.media / "deleted").unlink()
    (site.media / "link").unlink()
    (site.media / "link").symlink_to("chmod")
    (site.media / "new").mkdir()
    (site.media / "new" / "below").write_bytes(b"")
    live = snapshot(site.media)

    plan = site.restore(label).plan()

    assert (plan.adds, plan.deletes) == (1, 2)
    changed = [line for line in plan.samples if line.startswith("changes")]
    assert [line.split(" (")[0] for line in changed] == [
        f"changes {site.media}", f"changes {site.media}/chmod",
        f"changes {site.media}/link", f"changes {site.media}/rewritten",
    ]  # fmt: skip
    assert "mode 0600 instead of 0644" in changed[1]
    assert f"adds {site.media}/deleted" in plan.samples
    assert f"deletes {site.media}/new/below" in plan.samples
    assert plan.plain_bytes == sum(map(len, ("same", "rewritten", "chmod", "deleted")))
    assert snapshot(site.media) == live
    assert plan.warnings == ("this backup has never been proven by a restore",)


def test_plans_and_what_follows_travel_between_tasks_as_json(site: Site) -> None:
    odd = site.folder / os.fsdecode(b"with blank \xff")
    odd.mkdir()
    (odd / "a").write_bytes(b"a")
    label = site.back_up(odd)
    (odd / "a").write_bytes(b"b")
    settings = {"patterns": (str(odd),), "after_restore": [["/bin/echo", "reloaded"]]}

    plan = TreeRestorePlan.from_dict(site.restore(label, **settings).plan().to_dict())
    restored = RestoredTree.from_dict(site.restore(label, **settings).restore_beside(plan).to_dict())
    assert site.restore(label, **settings).validate(restored) == ()
    outcome = TreeSwapOutcome.from_dict(site.restore(label, **settings).swap(restored).to_dict())

    assert (odd / "a").read_bytes() == b"a"
    assert outcome.commands[0].output == "reloaded"
    site.restore(label, **settings).undo(outcome)
    assert (odd / "a").read_bytes() == b"b"


def test_one_file_comes_back_and_nothing_else_changes(site: Site) -> None:
    for name in ("a.conf", "b.conf"):
        (site.media / name).write_text(f"as backed up: {name}")
    label = site.back_up()
    for name in ("a.conf", "b.conf"):
        (site.media / name).write_text("spoiled")

    outcome = carry_out(site.restore(label), only=[str(site.media / "a.conf")])

    assert (site.media / "a.conf").read_text() == "as backed up: a.conf"
    assert (site.media / "b.conf").read_text() == "spoiled"
    # Hidden, so that no pattern such as sites-enabled/* takes it for configuration.
    assert outcome.kept == (str(site.media / f".a.conf.before-{STAMP}"),)
    assert (site.media / f".a.conf.before-{STAMP}").read_text() == "spoiled"


def test_a_folder_comes_back_whole(site: Site) -> None:
    (site.media / "2024").mkdir()
    (site.media / "2024" / "a").write_bytes(b"a")
    label = site.back_up()
    (site.media / "2024" / "a").unlink()
    (site.media / "2024" / "b").write_bytes(b"b")
    (site.media / "2025").mkdir()

    carry_out(site.restore(label), only=[str(site.media / "2024")])

    assert [path.name for path in (site.media / "2024").iterdir()] == ["a"]
    assert (site.media / "2025").is_dir()


def test_a_file_comes_back_with_the_folders_it_lay_in(site: Site) -> None:
    (site.media / "2024" / "may").mkdir(parents=True)
    (site.media / "2024").chmod(0o750)
    for name in ("a", "b"):
        (site.media / "2024" / "may" / name).write_bytes(name.encode())
    label = site.back_up()
    (site.media / "2024").rename(site.folder / "gone")

    carry_out(site.restore(label), only=[str(site.media / "2024" / "may" / "a")])

    assert snapshot(site.media) == {
        "2024": oct(0o40750), "2024/may": oct(0o40755), "2024/may/a": (oct(0o100644), b"a")
    }  # fmt: skip


def test_a_glob_brings_back_what_it_matched_and_takes_away_what_is_new(site: Site, config: Path) -> None:
    pattern = str(config / "calibrify*.service")
    label = site.back_up(*sorted(config.glob("calibrify*.service")))
    (config / "calibrify-a.service").unlink()
    (config / "calibrify-b.service").write_text("spoiled")
    (config / "calibrify-new.service").write_text("new")
    (config / "other.service").write_text("not ours")
    restore = site.restore(label, patterns=(pattern,))
    plan = restore.plan()
    assert (plan.adds, plan.changes, plan.deletes) == (1, 1, 1)

    carry_out(restore)

    assert snapshot(config) == {
        "calibrify-a.service": (oct(0o100644), b"as backed up: calibrify-a.service"),
        "calibrify-b.service": (oct(0o100644), b"as backed up: calibrify-b.service"),
        "other.service": (oct(0o100644), b"not ours"),
        f".calibrify-b.service.before-{STAMP}": (oct(0o100644), b"spoiled"),
        f".calibrify-new.service.before-{STAMP}": (oct(0o100644), b"new"),
    }
    assert [path.name for path in config.glob("calibrify*")] == ["calibrify-a.service", "calibrify-b.service"]


def test_a_glob_that_is_asked_for_takes_away_nothing_outside_of_the_tree(site: Site, config: Path) -> None:
    label = site.back_up(config / "calibrify-a.service")
    restore = site.restore(label, patterns=(str(config / "calibrify-a.service"),))

    assert restore.plan(only=[str(config / "*.service")]).deletes == 0
    carry_out(restore, only=[str(config / "*.service")])

    assert (config / "other.service").exists()


def test_what_the_tree_leaves_out_is_not_taken_away_by_a_glob(site: Site, config: Path) -> None:
    tree = site.tree()
    label = tree.back_up(config / "calibrify-a.service", exclude=("*-b.service",)).manifest.label

    carry_out(site.restore(label, patterns=(str(config / "calibrify*.service"),)))

    assert (config / "calibrify-b.service").exists()


def test_two_restores_within_a_second_keep_both_former_trees(site: Site) -> None:
    (site.media / "a").write_bytes(b"1")
    label = site.back_up()

    carry_out(site.restore(label))
    carry_out(site.restore(label))

    assert sorted(path.name for path in site.media.parent.iterdir()) == [
        "media", f"media.before-{STAMP}", f"media.before-{STAMP}-1"
    ]  # fmt: skip


def test_names_of_255_bytes_can_be_roots(site: Site) -> None:
    root = site.folder / ("x" * 255)
    root.mkdir()
    (root / "a").write_bytes(b"a")
    label = site.back_up(root)
    (root / "a").write_bytes(b"b")

    outcome = carry_out(site.restore(label, patterns=(str(root),)))

    assert (root / "a").read_bytes() == b"a"
    assert outcome.kept[0].endswith(f"xxx.before-{STAMP}")


def test_hard_links_stay_one_file_also_when_their_first_name_is_not_restored(site: Site) -> None:
    (site.media / "d").mkdir()
    (site.media / "a").write_bytes(b"shared")
    for name in ("b", "c"):
        (site.media / "d" / name).hardlink_to(site.media / "a")
    label = site.back_up()

    carry_out(site.restore(label), only=[str(site.media / "d")], destination=site.folder / "out")
    carry_out(site.restore(label))

    there = site.folder / "out" / site.media.relative_to("/") / "d"
    assert (there / "b").read_bytes() == b"shared"
    for folder in (there, site.media / "d"):
        assert (folder / "b").samefile(folder / "c")
    assert (site.media / "a").samefile(site.media / "d" / "b")
    assert (there / "b").stat().st_nlink == 2


def test_a_glob_restores_elsewhere_under_whole_paths(site: Site) -> None:
    (site.media / "d").mkdir()
    for name in ("d/a.jpg", "d/b.txt", "c.jpg"):
        (site.media / name).write_bytes(name.encode())
    destination = site.folder / "out"
    destination.mkdir()  # an empty folder may be there

    carry_out(site.restore(site.back_up()), only=[str(site.media / "**.jpg")], destination=destination)

    there = destination / site.media.relative_to("/")
    assert sorted(str(path.relative_to(there)) for path in there.rglob("*")) == ["c.jpg", "d", "d/a.jpg"]
    assert sorted(path.name for path in site.folder.iterdir()) == ["out", "scratch", "srv", "vault"]


def test_a_destination_that_holds_something_is_refused(site: Site) -> None:
    label = site.back_up()

    with pytest.raises(RestoreError, match="exists already"):
        site.restore(label).plan(destination=site.media.parent)


def test_what_the_backup_has_not_is_refused_by_name(site: Site) -> None:
    (site.media / "a").write_bytes(b"a")
    label = site.back_up()

    with pytest.raises(NotFoundError, match=f"does not hold {site.media}/b"):
        site.restore(label).plan(only=[str(site.media / "a"), str(site.media / "b")])
    with pytest.raises(NotFoundError, match="does not hold"):
        site.restore(label).plan(only=[str(site.media / "*.jpg")])
    with pytest.raises(ConfigurationError, match="no absolute path"):
        site.restore(label).plan(only=["a"])


def test_in_place_only_the_trees_own_paths_are_written_to(site: Site) -> None:
    label = site.back_up(site.folder / "vault")

    with pytest.raises(ConfigurationError, match="none of the tree's paths"):
        site.restore(label).plan()


def test_a_link_where_a_folder_was_is_not_followed(site: Site) -> None:
    (site.media / "d").mkdir()
    (site.media / "d" / "a").write_bytes(b"a")
    label = site.back_up()
    (site.folder / "victim").mkdir()
    (site.folder / "victim" / "a").write_bytes(b"theirs")
    (site.media / "d" / "a").unlink()
    (site.media / "d").rmdir()
    (site.media / "d").symlink_to(site.folder / "victim")

    with pytest.raises(RestoreError, match="is no folder now"):
        site.restore(label).plan(only=[str(site.media / "d" / "a")])
    carry_out(site.restore(label))

    assert (site.folder / "victim" / "a").read_bytes() == b"theirs"
    assert (site.media / "d" / "a").read_bytes() == b"a"
    assert not (site.media / "d").is_symlink()


def test_too_little_room_is_said_before_anything_is_fetched(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.media / "a").write_bytes(b"x" * 100_000)
    label = site.back_up()
    full = os.statvfs_result([4096, 4096, 1000, 10, 10, 1000, 500, 500, 0, 255])
    monkeypatch.setattr("backstop.commands.trees.obstacles.os.statvfs", lambda place: full)

    with pytest.raises(RestoreError, match="has 40960 bytes free, and the restore takes 1"):
        site.restore(label).plan()


def test_a_changed_copy_is_found_and_never_swapped_in(site: Site) -> None:
    for name in ("content", "mode", "mtime", "missing"):
        (site.media / name).write_bytes(name.encode())
    label = site.back_up()
    restore = site.restore(label)
    restored = restore.restore_beside(restore.plan())
    with pytest.raises(RestoreError, match="was not validated"):
        restore.swap(restored)
    [copy] = site.media.parent.glob(".backstop-*/new/media")
    status = (copy / "content").stat()
    (copy / "content").write_bytes(b"CONTENT")
    os.utime(copy / "content", ns=(status.st_atime_ns, status.st_mtime_ns))
    (copy / "mode").chmod(0o600)
    os.utime(copy / "mtime", ns=(1, 1))
    folder = copy.stat()
    (copy / "missing").unlink()
    (copy / "extra").write_bytes(b"")
    (copy / "extra 2").write_bytes(b"")
    os.utime(copy, ns=(folder.st_atime_ns, folder.st_mtime_ns))

    differences = restore.validate(restored)

    assert [line.removeprefix(str(site.media)).split(" instead")[0] for line in differences] == [
        "/content: other content in the 7 bytes at 0", "/missing is missing",
        "/mode: mode 0600", "/mtime: mtime 1970-01-01 00:00:00.000000001", "there are 6 files of any kind",
    ]  # fmt: skip
    with pytest.raises(RestoreError, match="was not validated"):
        restore.swap(restored)


def test_a_copy_that_was_exchanged_after_its_validation_is_not_swapped_in(site: Site) -> None:
    (site.media / "a").write_bytes(b"a")
    restore = site.restore(site.back_up())
    restored = restore.restore_beside(restore.plan())
    restore.validate(restored)
    [copy] = site.media.parent.glob(".backstop-*/new/media")
    copy.rename(copy.with_name("put aside"))
    copy.mkdir()

    with pytest.raises(RestoreError, match="is not what was validated"):
        restore.swap(restored)


def test_a_later_restore_clears_away_what_an_earlier_one_left_wherever_it_was(site: Site) -> None:
    (site.media / "deep").mkdir()
    (site.media / "deep" / "a").write_bytes(b"a")
    label = site.back_up()
    restore = site.restore(label)
    first = restore.restore_beside(restore.plan(only=[str(site.media / "deep" / "a")]))

    second = restore.restore_beside(restore.plan(only=[str(site.media / "deep")]))

    assert second.notes == (
        f"removed {site.media}/deep/.backstop-{first.token}, which an earlier restore had left",
    )
    with pytest.raises(RestoreError, match="there is no restored copy"):
        restore.validate(first)
    assert restore.validate(second) == ()


def test_the_restore_of_another_tree_is_left_alone(site: Site) -> None:
    (site.media / "a").write_bytes(b"a")
    media = site.restore(site.back_up())
    restored = media.restore_beside(media.plan())
    other = site.restore(site.tree(tree="other").back_up(site.media).manifest.label)

    assert other.restore_beside(other.plan()).notes == ()
    assert media.validate(restored) == ()


def test_expiry_is_kept_away_while_a_backup_is_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.media / "a").write_bytes(b"a")
    label = site.back_up()
    seen = []
    restore = site.restore(label)
    monkeypatch.setattr(
        "backstop.commands.trees.restore.Assembly.run",
        lambda *_, **__: seen.append(readers(site.maker.storage, site.maker.target, label, now=NOW)),
    )

    with pytest.raises(RestoreError, match="was not restored"):
        restore.restore_beside(restore.plan())

    assert len(seen[0]) == 1
    assert readers(site.maker.storage, site.maker.target, label, now=NOW) == ()


def test_the_newest_backup_of_the_tree_is_found_or_that_of_a_time(site: Site) -> None:
    first, second = site.back_up(), site.back_up()
    site.tree(tree="other").back_up(site.media)
    repositories = [site.maker.repository]
    between = STARTED + timedelta(hours=2)

    assert find_tree_backup(repositories, "media")[1] == second
    assert find_tree_backup(repositories, "media", at=between)[1] == first
    assert find_tree_backup(repositories, "media", label=first.text)[1] == first
    with pytest.raises(NotFoundError, match="no backup of media by 2026"):
        find_tree_backup(repositories, "media", at=STARTED)
    with pytest.raises(NotFoundError, match="is no backup of media"):
        find_tree_backup(repositories, "media", label="20261123T010000Z-tree-other")


def test_roots_can_lie_within_what_another_root_leaves_out(site: Site) -> None:
    (site.media / "cache" / "keep").mkdir(parents=True)
    (site.media / "cache" / "keep" / "a").write_bytes(b"a")
    (site.media / "cache" / "b").write_bytes(b"b")
    tree = site.tree()
    entries = [
        one
        for one in tree.scan([os.fsencode(site.media)[1:]])
        if not one.path.endswith((b"cache", b"cache/b"))
    ]
    roots = [str(site.media), str(site.media / "cache" / "keep")]
    label = tree.publish(entries, roots=roots).manifest.label

    carry_out(site.restore(label))

    assert sorted(snapshot(site.media)) == ["cache", "cache/keep", "cache/keep/a"]


def test_a_file_of_many_pieces_comes_back_from_several_packs(site: Site) -> None:
    content = os.urandom(1_000_000) * 50 + b"end"
    (site.media / "large").write_bytes(content)
    (site.media / "small").write_bytes(b"small")
    label = site.tree(pack_bytes=16 * 1024 * 1024).back_up(site.media).manifest.label
    (site.media / "large").unlink()

    carry_out(site.restore(label, jobs=4))

    assert (site.media / "large").read_bytes() == content


def test_a_setuid_program_that_is_given_to_another_owner_does_not_run_as_that(site: Site) -> None:
    program = site.media / "program"
    program.write_bytes(b"of an ordinary user")
    maker = site.tree()
    whose = {"uid": os.getuid() + 1000, "gid": os.getgid() + 1000, "mode": 0o6755}
    entries = [
        entry(str(site.media)),
        maker.file(str(program), b"of an ordinary user", **whose),
        entry(str(site.media / "shared"), mode=0o2775),
    ]
    restore = site.restore(
        maker.publish(entries, roots=[str(site.media)]).manifest.label,
        owner=f"{os.getuid()}:{os.getgid()}",
    )

    restored = restore.restore_beside(restore.plan())
    assert restore.validate(restored) == ()
    restore.swap(restored)

    assert program.stat().st_mode & 0o7777 == 0o755
    assert (site.media / "shared").stat().st_mode & 0o7777 == 0o2775
    assert any("setuid" in sentence and str(program) in sentence for sentence in restored.not_set)


def test_folders_deeper_than_a_path_can_say_come_back(site: Site) -> None:
    names = ["d" * 200] * 30
    maker = site.tree()
    folders = [
        entry(f"{site.media}/{'/'.join(names[:depth])}".rstrip("/")) for depth in range(len(names) + 1)
    ]
    deepest = maker.file(b"/" + folders[-1].path + b"/file", b"deep")
    label = maker.publish([*folders, deepest], roots=[str(site.media)]).manifest.label

    carry_out(site.restore(label))
    outcome = carry_out(site.restore(label))

    assert len(outcome.kept) == 1
    shutil.rmtree(outcome.kept[0])  # pytest's own way cannot
    shutil.rmtree(site.media)


def test_what_the_tree_leaves_out_goes_with_the_folder_and_is_warned_of(site: Site) -> None:
    label = site.tree().back_up(site.media, exclude=("*.tmp",)).manifest.label
    (site.media / "a.tmp").write_text("left out")
    restore = site.restore(label)

    assert "deletes may be what the tree leaves out (*.tmp)" in restore.plan().warnings[0]
    carry_out(restore)

    assert (site.media.parent / f"media.before-{STAMP}" / "a.tmp").read_text() == "left out"
