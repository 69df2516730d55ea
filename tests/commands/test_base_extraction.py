"""Parts of a base backup that PostgreSQL did not write: nothing of them lands anywhere."""

from __future__ import annotations

import io
import tarfile

import pytest

from backstop.commands.base.extraction import Extraction, link_tablespaces
from backstop.errors import IntegrityError


def part(*members: tarfile.TarInfo) -> list[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member in members:
            member.size = 4 if member.isreg() else 0
            archive.addfile(member, io.BytesIO(b"evil") if member.isreg() else None)
    return [buffer.getvalue()]


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.fixture
def extraction(tmp_path):
    for name in ("data", "tablespaces"):
        (tmp_path / name).mkdir()
    return Extraction(tmp_path / "data", tmp_path / "tablespaces")


@pytest.mark.parametrize(
    "hostile",
    [
        member("../escaped"),
        member("/var/escaped"),
        member("base/../../escaped"),
        member("base//escaped"),
        member(".//escaped/../../x"),
        member("base/1", tarfile.SYMTYPE, "/etc"),
        member("pg_tblspc/../x", tarfile.SYMTYPE, "/etc"),
        member("pg_tblspc/16384x", tarfile.SYMTYPE, "/etc"),
        member("base/hard", tarfile.LNKTYPE, "/etc/passwd"),
        member("base/device", tarfile.CHRTYPE),
        member("base/pipe", tarfile.FIFOTYPE),
        member("base/sparse", tarfile.GNUTYPE_SPARSE),
    ],
    ids=lambda info: info.name,
)
def test_a_member_that_leads_elsewhere_is_refused_and_not_written(extraction, tmp_path, hostile):
    with pytest.raises(IntegrityError):
        extraction.part("base/000001", part(hostile))

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["data", "tablespaces"]


def test_a_part_of_something_that_is_no_tablespace_is_refused(extraction):
    with pytest.raises(IntegrityError, match="is no tablespace"):
        extraction.part("../000001", part(member("PG_VERSION")))


def test_a_file_that_two_parts_bring_is_refused(extraction):
    extraction.part("base/000001", part(member("PG_VERSION")))

    with pytest.raises(IntegrityError, match="exists twice"):
        extraction.part("base/000002", part(member("PG_VERSION")))


def test_links_of_tablespaces_are_noted_and_made_by_us_alone(extraction, tmp_path):
    extraction.part("base/000001", part(member("pg_tblspc/16384", tarfile.SYMTYPE, "/srv/live")))

    assert extraction.origins == {16384: "/srv/live"}
    assert not (tmp_path / "data/pg_tblspc/16384").exists()

    link_tablespaces(tmp_path / "data", {16384: tmp_path / "tablespaces/16384"})
    assert (tmp_path / "data/pg_tblspc/16384").readlink() == tmp_path / "tablespaces/16384"


def test_a_tablespace_that_lay_in_place_is_linked_like_any_other(extraction, tmp_path):
    """allow_in_place_tablespaces: the data directory has a folder where others have a link."""
    extraction.part("base/000001", part(member("pg_tblspc/16384", tarfile.DIRTYPE)))
    extraction.part("16384/000001", part(member("PG_18_202506291/5/16385")))

    link_tablespaces(tmp_path / "data", {16384: tmp_path / "tablespaces/16384"})

    assert (tmp_path / "data/pg_tblspc/16384/PG_18_202506291/5/16385").read_bytes() == b"evil"


def test_a_tar_that_ends_early_is_refused(extraction):
    content = b"".join(part(member("PG_VERSION"), member("base/1")))

    with pytest.raises(IntegrityError, match="not a tar file"):
        extraction.part("base/000001", [content[:514]])


@pytest.mark.parametrize("block_bytes", [1, 511, 512, 700, 10_240, 100_000])
def test_files_come_out_equal_whatever_the_size_of_the_blocks(extraction, block_bytes):
    files = {"PG_VERSION": b"18\n", "base/1/1259": b"page" * 4096, "base/1/empty": b"", "last": b"x" * 513}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    stream = buffer.getvalue()

    extraction.part("base/000001", (stream[i : i + block_bytes] for i in range(0, len(stream), block_bytes)))

    assert {name: (extraction.data / name).read_bytes() for name in files} == files
    assert {name: size for name, (size, _) in extraction.files.items()} == {
        name: len(content) for name, content in files.items()
    }


def test_a_part_is_read_to_its_end_although_its_files_have_ended(extraction):
    content, asked = part(member("PG_VERSION")), []

    def blocks():
        yield from content
        asked.append("the frame behind")
        yield bytes(512)

    extraction.part("base/000001", blocks())

    assert asked == ["the frame behind"]


@pytest.mark.parametrize("cut", [0, 100, 512, 514, 1024, 1500])
def test_a_tar_cut_anywhere_is_refused(extraction, cut):
    content = b"".join(part(member("PG_VERSION"), member("base/1")))

    with pytest.raises(IntegrityError, match="not a tar file"):
        extraction.part("base/000001", [content[:cut]])
