"""A file that is cut off, damaged, or hostile is refused; one that is whole is read to its end."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from backstop.commands.legacy.archive import Archive
from backstop.commands.legacy.gunzip import Gunzip, buffered
from backstop.commands.legacy.unpack import unpack
from backstop.errors import IntegrityError, RestoreError
from backstop.files.removal import remove_tree


def gunzip(data: bytes) -> bytes:
    return buffered(Gunzip(io.BytesIO(data), "old.gz", advance=lambda _: None)).read()


def members(data: bytes) -> list[tuple[str, str]]:
    return [(os.fsdecode(one.name), one.kind) for one in Archive(io.BytesIO(data), "old.tar.gz")]


def tar(folder: Path, *options: str) -> bytes:
    argv = ["tar", *options, "-cf", "-", "-C", str(folder), "."]
    return subprocess.run(argv, check=True, capture_output=True).stdout


def made(*infos: tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for one in infos:
            info, content = one if isinstance(one, tuple) else (one, b"")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def made_pax(**records: Any) -> bytes:
    """One member with records that :mod:`tarfile` would not write as they are."""
    one = info("a", type=records.pop("type", tarfile.REGTYPE))
    return info("a").create_pax_global_header(records) + one.tobuf(tarfile.USTAR_FORMAT) + bytes(1024)


def info(name: str, **changes: Any) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    for key, value in changes.items():
        setattr(found, key, value)
    return found


def unpacked(data: bytes, destination: Path) -> Any:
    destination.mkdir()
    written: dict[str, str] = {}
    archive = Archive(io.BytesIO(data), "old.tar.gz")
    done = unpack(
        archive,
        destination,
        name="old.tar.gz",
        written=lambda path, sha: written.update({os.fsdecode(path): sha}),
    )
    return done, written


# -- gzip ---------------------------------------------------------------------------------------------------


def test_several_gzip_members_one_behind_the_other_are_one_content():
    content = os.urandom(300_000)

    assert gunzip(gzip.compress(content[:100]) + gzip.compress(b"") + gzip.compress(content[100:])) == content


def test_a_gzip_stream_cut_anywhere_is_refused():
    data = gzip.compress(b"scale\n" * 20)

    for end in range(len(data)):
        with pytest.raises(IntegrityError, match=r"ends before its gzip stream|is no gzip"):
            gunzip(data[:end])


def test_nothing_may_stand_behind_the_last_member():
    for rubbish in (b"\0" * 512, b"x", b"\x1f", gzip.compress(b"x")[:-1]):
        with pytest.raises(IntegrityError, match=r"something behind the end|ends before its gzip"):
            gunzip(gzip.compress(b"scale") + rubbish)


@pytest.mark.parametrize("position", [5, -8, -1])
def test_a_changed_byte_is_noticed(position: int):
    data = bytearray(gzip.compress(b"scale 17;" * 1000))
    if position < 0:
        data[position] ^= 1
    else:
        data[len(data) // 2] ^= 0x10

    with pytest.raises(IntegrityError, match="is damaged"):
        gunzip(bytes(data))


def test_memory_does_not_grow_with_what_is_compressed_well():
    bomb = gzip.compress(bytes(200_000_000), 9)
    raw = Gunzip(io.BytesIO(bomb), "old.gz", advance=lambda _: None)
    longest = 0
    buffer = bytearray(65536)
    while count := raw.readinto(buffer):
        longest = max(longest, count)

    assert (raw.content_bytes, longest) == (200_000_000, 65536)


def test_a_multitude_of_empty_members_costs_no_more_than_its_length():
    empty = gzip.compress(b"", mtime=0)

    started = time.process_time()
    assert gunzip(empty * (2_000_000 // len(empty)) + gzip.compress(b"scale")) == b"scale"

    assert time.process_time() - started < 2


# -- tar ----------------------------------------------------------------------------------------------------


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    (folder / "a folder" / ("d" * 120)).mkdir(parents=True)
    (folder / "a folder" / ("d" * 120) / ("n" * 200)).write_bytes(b"long")
    (folder / "photo one.jpg").write_bytes(os.urandom(5000))
    (folder / os.fsdecode(b"\xff\n name")).write_bytes(b"x")
    (folder / "empty").touch()
    (folder / "link").symlink_to("/etc/passwd")
    os.link(folder / "photo one.jpg", folder / "twin.jpg")
    (folder / "photo one.jpg").chmod(0o640)
    os.utime(folder / "photo one.jpg", (1_700_000_000, 1_700_000_000))
    return folder


@pytest.mark.parametrize("form", ["gnu", "pax", "posix"])
def test_what_tar_wrote_comes_back_file_by_file(media: Path, tmp_path: Path, form: str):
    done, written = unpacked(tar(media, f"--format={form}"), tmp_path / "back")

    back = tmp_path / "back"
    assert subprocess.run(["diff", "-r", "--no-dereference", media, back], check=False).returncode == 0
    assert (back / "photo one.jpg").stat().st_ino == (back / "twin.jpg").stat().st_ino
    found = (back / "photo one.jpg").stat()
    assert (found.st_mode & 0o7777, found.st_mtime) == (0o640, 1_700_000_000)
    assert (done.links, done.folders) == (2, 3)
    assert len(written) == done.files == 4


def test_an_archive_cut_at_any_block_is_refused(media: Path):
    data = tar(media)

    assert ("./empty", "file") in members(data)
    end_mark = len(data.rstrip(b"\0")) // 512 * 512 + 512
    for end in range(0, end_mark + 1024, 512):
        with pytest.raises(IntegrityError, match=r"old\.tar\.gz"):
            members(data[:end])


def test_an_archive_with_something_behind_its_end_is_refused(media: Path):
    data = tar(media)

    with pytest.raises(IntegrityError, match="has something behind its end"):
        members(data + data)


def test_a_changed_header_is_noticed(media: Path):
    data = bytearray(tar(media))
    data[3] ^= 1

    with pytest.raises(IntegrityError, match="is damaged, or no tar archive"):
        members(bytes(data))


@pytest.mark.parametrize(
    ("archive", "complaint"),
    [
        (made((info("../out"), b"x")), "leads out"),
        (made((info("a/../../out"), b"x")), "leads out"),
        (made((info("/srv/out"), b"x")), "is absolute"),
        (
            made(info("a", type=tarfile.SYMTYPE, linkname="/srv"), (info("a/out"), b"x")),
            "is a link, and something",
        ),
        (
            made((info("a/out"), b"x"), info("a", type=tarfile.SYMTYPE, linkname="/srv")),
            "is a link, and something",
        ),
        (made(info("a", type=tarfile.LNKTYPE, linkname="/etc/passwd")), "is absolute"),
        (made(info("a", type=tarfile.LNKTYPE, linkname="../secret")), "leads out"),
        (made(info("a", type=tarfile.LNKTYPE, linkname="nothing")), "cannot be linked"),
        (made(info("a", type=tarfile.DIRTYPE), info("b", type=tarfile.LNKTYPE, linkname="a")), "no file"),
        (made((info("a/b"), b"x"), (info("a"), b"y")), "is a folder, and something"),
        (made((info("."), b"x")), "no name of a file"),
    ],
)
def test_no_name_leads_out_of_the_new_folder(tmp_path: Path, archive: bytes, complaint: str):
    (tmp_path / "secret").write_text("outside")

    with pytest.raises((IntegrityError, RestoreError), match=complaint):
        unpacked(archive, tmp_path / "back")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "secret"]
    assert (tmp_path / "secret").read_text() == "outside"


@pytest.mark.parametrize(
    ("archive", "complaint"),
    [
        (made((info("/".join(["a"] * 201)), b"x")), "lies too deep"),
        (made((info("a" * 256), b"x")), "longer than 255 bytes"),
        (made(info("a", type=tarfile.SYMTYPE, linkname="")), "no name of a file"),
        (made(info("a", type=tarfile.SYMTYPE, linkname="b" * 4096)), "no name of a file"),
        (made_pax(linkpath="b\0c", type=tarfile.SYMTYPE), "no name of a file"),
        (made_pax(size="-1"), "negative size"),
        (made_pax(mtime="nan"), "a time of change that is none"),
        (made_pax(mtime="inf"), "a time of change that is none"),
        (made_pax(uid=str(10**20)), "an owner or group that no system has"),
        (made_pax(gid="-7"), "an owner or group that no system has"),
    ],
)
def test_what_no_system_can_make_is_the_archives_fault(tmp_path: Path, archive: bytes, complaint: str):
    with pytest.raises(IntegrityError, match=complaint):
        unpacked(archive, tmp_path / "back")


def test_a_path_of_200_long_names_is_unpacked_and_removed(tmp_path: Path):
    deep = "/".join(["n" * 250] * 200)

    done, _ = unpacked(made((info(deep), b"x")), tmp_path / "back")
    remove_tree(os.fsencode(tmp_path / "back"))

    assert done.files == 1
    assert not (tmp_path / "back").exists()


def test_a_file_below_a_file_is_refused(tmp_path: Path):
    with pytest.raises(RestoreError, match="is no folder here"):
        unpacked(made((info("a"), b"x"), (info("a/b"), b"y")), tmp_path / "back")


def test_a_link_that_leads_away_is_made_and_never_followed(tmp_path: Path):
    done, _ = unpacked(made(info("a", type=tarfile.SYMTYPE, linkname="/nowhere")), tmp_path / "back")

    assert (tmp_path / "back" / "a").readlink() == Path("/nowhere")
    assert done.links == 1


def test_of_a_file_that_was_appended_again_the_last_counts(tmp_path: Path):
    unpacked(made((info("a"), b"old"), (info("a"), b"new")), tmp_path / "back")

    assert (tmp_path / "back" / "a").read_bytes() == b"new"


def test_devices_are_not_made_but_named(tmp_path: Path):
    done, _ = unpacked(
        made(info("null", type=tarfile.CHRTYPE), info("p", type=tarfile.FIFOTYPE)), tmp_path / "b"
    )

    assert done.not_made == ["device 'null' was not made", "fifo 'p' was not made"]
    assert list((tmp_path / "b").iterdir()) == []
