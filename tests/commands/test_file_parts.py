"""A cluster's files are shared out into parts that can be unpacked one by one."""

from __future__ import annotations

import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from backstop.commands.base.file_parts import FilePart, file_header, padding, plan_parts, tar_blocks
from backstop.commands.base.parts import BlockSource
from backstop.crypto.zstd_frames import FRAME_BYTES
from backstop.errors import SourceError
from backstop.postgres.cluster_files import ClusterArchive, ClusterFile, ClusterFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def file(name: str, size_bytes: int) -> ClusterFile:
    return ClusterFile(name, f"/nowhere/{name}", size_bytes, None)


def archive(name: str, *sizes: int, location: str | None = None) -> ClusterArchive:
    return ClusterArchive(
        name,
        location,
        folders=[ClusterFolder("one", 0o700, 1, 1, 7)],
        files=[file(f"one/{number}", size) for number, size in enumerate(sizes)],
    )


def test_every_file_is_in_one_part_the_largest_part_first():
    parts = plan_parts(
        [archive("16400", 5, 5, location="/srv/x"), archive("base", 3, 30, 1, 9, 9)], part_bytes=10
    )

    assert [(part.name, part.size_bytes) for part in parts] == [
        ("base/000001", 33),
        ("16400/000001", 10),
        ("base/000002", 10),
        ("base/000003", 9),
    ]
    assert sorted(part.name for part in parts) == [
        "16400/000001",
        "base/000001",
        "base/000002",
        "base/000003",
    ]
    assert sorted(one.name for part in parts if part.prefix == "" for one in part.files) == [
        f"one/{number}" for number in range(5)
    ]
    assert {part.prefix for part in parts if part.name.startswith("16400")} == {"pg_tblspc/16400/"}
    # Folders stand in one part alone, the first of their archive.
    assert [part.name for part in parts if part.folders] == ["base/000001", "16400/000001"]


def test_an_archive_without_files_is_one_part():
    (part,) = plan_parts([archive("base")], part_bytes=10)
    assert (part.name, part.files, len(part.folders)) == ("base/000001", [], 1)


def test_a_part_is_a_tar_archive_in_blocks_of_one_frame(tmp_path: Path):
    sizes = {"one/a": FRAME_BYTES * 2 + 5, "one/b": 0, "one/c": 700, "one/gone": 9}
    folders = [
        ClusterFolder("one", 0o750, 5, 6, 7),
        ClusterFolder("pg_tblspc", 0o700, 5, 6, 7),
        ClusterFolder("pg_tblspc/16400", 0o777, 5, 6, 7, link="/srv/x"),
    ]
    part = FilePart("base/000001", "", folders, [file(name, size) for name, size in sizes.items()])

    def content(prefix: str, one: ClusterFile) -> Iterator[bytes]:
        if one.name == "one/gone":
            return
        yield file_header(one.name, size_bytes=one.size_bytes, mode=0o640, uid=5, gid=6, modified_at=8)
        yield bytes([1]) * one.size_bytes
        yield padding(one.size_bytes)

    blocks = list(tar_blocks(part, content))

    assert {len(block) for block in blocks[:-1]} == {FRAME_BYTES}
    assert 0 < len(blocks[-1]) < FRAME_BYTES
    whole = b"".join(blocks)
    assert whole.endswith(bytes(1024))
    with tarfile.open(fileobj=io.BytesIO(whole)) as found:
        members = {one.name: (one.type, one.size, one.linkname, one.mode) for one in found}
        assert found.extractfile("one/c").read() == bytes([1]) * 700  # type: ignore[union-attr]
    assert members == {
        "one": (tarfile.DIRTYPE, 0, "", 0o750),
        "pg_tblspc": (tarfile.DIRTYPE, 0, "", 0o700),
        "pg_tblspc/16400": (tarfile.SYMTYPE, 0, "/srv/x", 0o777),
        "one/a": (tarfile.REGTYPE, sizes["one/a"], "", 0o640),
        "one/b": (tarfile.REGTYPE, 0, "", 0o640),
        "one/c": (tarfile.REGTYPE, 700, "", 0o640),
    }
    (tmp_path / "part.tar").write_bytes(whole)
    listed = subprocess.run(["tar", "-tf", tmp_path / "part.tar"], check=True, capture_output=True, text=True)
    assert len(listed.stdout.splitlines()) == 6


def test_blocks_are_read_like_a_file():
    source = BlockSource(iter([b"abc", b"defgh", b"i"]))
    assert [source.read(4) for _ in range(5)] == [b"abc", b"defg", b"h", b"i", b""]


def test_a_name_that_no_tar_has_room_for_is_refused():
    with pytest.raises(SourceError, match="too long a name for tar"):
        file_header("x" * 100, size_bytes=0, mode=0, uid=0, gid=0, modified_at=0)
    assert len(file_header("x" * 99, size_bytes=9 * 1024**3, mode=0, uid=0, gid=0, modified_at=0)) == 512
