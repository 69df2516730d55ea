"""The look into a tar stream: chunk sizes do not matter, damage does."""

from __future__ import annotations

import io
import random
import tarfile

import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from backstop.errors import IntegrityError
from backstop.postgres.tar_members import TarMembers

FILES = {
    f"base/5/{number}": random.Random(number).randbytes(size)
    for number, size in enumerate([0, 1, 511, 512, 513, 8192, 20000, 0, 1024])
}


def archive(files: dict[str, bytes] = FILES, *, kind: int = tarfile.USTAR_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as tar:
        folder = tarfile.TarInfo("base")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        link = tarfile.TarInfo("pg_tblspc/16400")
        link.type, link.linkname = tarfile.SYMTYPE, "/srv/fast"
        tar.addfile(link)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def feed(members: TarMembers, stream: bytes, sizes: list[int]) -> list[int]:
    """Places in the whole stream where a member ends."""
    ends, place, turn = [], 0, 0
    while place < len(stream):
        chunk = memoryview(stream)[place : place + sizes[turn % len(sizes)]]
        ends += [place + end for end in members.feed(chunk)]
        place += len(chunk)
        turn += 1
    return ends


@settings(deadline=None)
@given(st.lists(st.integers(1, 2000), min_size=1, max_size=5))
def test_chunks_of_any_size_tell_the_same(sizes: list[int]):
    stream = archive()
    whole, cut = TarMembers("base.tar"), TarMembers("base.tar")

    assert feed(cut, stream, sizes) == feed(whole, stream, [len(stream)])
    cut.finish()
    assert cut.files == whole.files == {name: (len(body), crc32c(body)) for name, body in FILES.items()}
    assert cut.links == {"pg_tblspc/16400": "/srv/fast"}


def test_each_end_is_where_a_tar_can_be_cut():
    stream = archive()
    for end in feed(TarMembers("base.tar"), stream, [len(stream)]):
        for half in (stream[:end] + bytes(1024), stream[end:]):
            with tarfile.open(fileobj=io.BytesIO(half), mode="r:") as tar:
                for member in tar.getmembers():
                    if member.isreg():
                        assert tar.extractfile(member).read() == FILES[member.name]


def test_a_prefix_goes_before_every_name():
    members = TarMembers("16400.tar", prefix="pg_tblspc/16400/")
    feed(members, archive({"PG_18/5/1": b"x"}), [100])
    assert list(members.files) == ["pg_tblspc/16400/PG_18/5/1"]


def test_an_archive_that_ends_early_is_refused():
    members = TarMembers("base.tar")
    feed(members, archive()[:13000], [512])
    with pytest.raises(IntegrityError, match=r"base\.tar ended early, in base/5/5"):
        members.finish()


def test_a_damaged_header_is_refused():
    stream = bytearray(archive())
    stream[20] ^= 1
    with pytest.raises(IntegrityError, match="header that is damaged or out of place"):
        feed(TarMembers("base.tar"), bytes(stream), [512])


def test_headers_that_postgresql_never_writes_are_refused():
    long = {"a" * 200: b"x"}
    with pytest.raises(IntegrityError, match="unknown kind"):
        feed(TarMembers("base.tar"), archive(long, kind=tarfile.GNU_FORMAT), [512])


def test_a_size_too_large_for_octal_digits_is_read():
    member = tarfile.TarInfo("huge")
    member.size = 9 * 1024**3
    header = member.tobuf(format=tarfile.GNU_FORMAT)
    members = TarMembers("base.tar")
    members.feed(memoryview(header))
    assert members._content_left == 9 * 1024**3
