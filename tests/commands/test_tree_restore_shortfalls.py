"""What a file system or its user cannot give back to files: named, and excused in those very files alone."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from backstop.errors import StorageFullError
from backstop.files.shortfalls import OWNER, SETUID, Excuses, Shortfalls
from tests.commands.tree_restoring import Site
from tests.tree_making import entry

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.model.backup import BackupLabel

REFUSED, IGNORED = 4001, 4002


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def published(site: Site, **files: dict[str, Any]) -> BackupLabel:
    maker = site.tree()
    entries = [maker.file(str(site.media / name), b"content", **changes) for name, changes in files.items()]
    return maker.publish([entry(str(site.media)), *entries], roots=[str(site.media)]).manifest.label


def test_an_owner_that_cannot_be_set_excuses_no_other_file(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fchown

    def fchown(descriptor: int, uid: int, gid: int) -> None:
        if uid == REFUSED:
            raise PermissionError(errno.EPERM, "not yours to give")
        if uid != IGNORED:  # which some network file systems say is done
            real(descriptor, uid, gid)

    monkeypatch.setattr(os, "fchown", fchown)
    whose = {"gid": os.getgid()}
    restore = site.restore(published(site, a={"uid": REFUSED, **whose}, b={"uid": IGNORED, **whose}))

    restored = restore.restore_beside(restore.plan())

    assert [sentence for sentence in restored.not_set if f"{site.media}/a" in sentence] == [
        f"the owner could not be set on 1 of the files: {site.media}/a"
    ]
    mine = f"{os.getuid()}:{os.getgid()}"
    assert restore.validate(restored) == (f"{site.media}/b: owner {mine} instead of {IGNORED}:{os.getgid()}",)


@pytest.mark.parametrize("number", [errno.E2BIG, errno.ERANGE, errno.ENOSPC])
def test_an_attribute_too_large_for_the_file_system_is_named_and_costs_nothing_else(
    site: Site, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse_large_attributes(monkeypatch, number)
    restore = site.restore(published(site, a=attributes("user.large"), b=attributes("user.small")))

    restored = restore.restore_beside(restore.plan())

    assert [sentence for sentence in restored.not_set if "attributes" in sentence] == [
        f"the extended attributes of the kind user could not be set on 1 of the files: {site.media}/a"
    ]
    assert restore.validate(restored) == ()
    restore.swap(restored)
    assert os.listxattr(site.media / "a") == []
    assert os.getxattr(site.media / "b", "user.small") == b"value"


def test_no_room_for_an_attribute_on_a_full_disk_is_a_full_disk(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_large_attributes(monkeypatch, errno.ENOSPC)
    restore = site.restore(published(site, a=attributes("user.large")))
    plan = restore.plan()
    monkeypatch.setattr(os, "statvfs", lambda place: SimpleNamespace(f_bavail=10, f_frsize=4096))

    with pytest.raises(StorageFullError, match="no space left"):
        restore.restore_beside(plan)


def refuse_large_attributes(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    real = os.setxattr

    def setxattr(place: int, name: str, value: bytes, **options: Any) -> None:
        if name == "user.large":
            raise OSError(number, os.strerror(number))
        real(place, name, value, **options)

    monkeypatch.setattr(os, "setxattr", setxattr)


def attributes(name: str) -> dict[str, Any]:
    return {"xattrs": ((name, b"value"),)}


def test_what_excuses_a_file_is_the_same_after_it_was_written_down() -> None:
    shortfalls = Shortfalls()
    for kind, path in [(OWNER, b"a"), (SETUID, b"a"), (OWNER, b"b\xff")]:
        shortfalls.add(kind, path)

    read = Excuses.from_json(shortfalls.excuses.to_json())

    assert (read.of(b"a"), read.of(b"b\xff"), read.of(b"c")) == ({OWNER, SETUID}, {OWNER}, frozenset())


def test_memory_for_excuses_is_bounded_and_what_does_not_fit_excuses_its_kind_alone() -> None:
    shortfalls = Shortfalls(most_paths=2)
    for number in range(3):
        shortfalls.add(OWNER, b"%d" % number)
    shortfalls.add(SETUID, b"0")

    read = Excuses.from_json(shortfalls.excuses.to_json())

    assert len(read.paths) == 2
    assert (read.of(b"0"), read.of(b"2"), read.of(b"other")) == ({OWNER, SETUID}, {OWNER}, {OWNER})
