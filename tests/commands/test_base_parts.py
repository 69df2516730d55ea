"""Parts of a base backup are whole tars, in bounded memory, and an abort never looks like an end."""

from __future__ import annotations

import io
import random
import tarfile
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstop.commands.base.parts import PartCutter, PartQueue, encode_parts, part_bytes_for
from backstop.errors import BackstopError, IntegrityError

if TYPE_CHECKING:
    from typing import BinaryIO

SIZES = [0, 100, 512, 5000, 70000, 512, 1, 30000]
FILES = {f"file{number}": random.Random(number).randbytes(size) for number, size in enumerate(SIZES)}


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class Collecting:
    """In the place of an ObjectWriter."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}

    def write(self, source: BinaryIO, *, layout: str, name: str, object_name: str) -> None:
        content = b""
        while block := source.read(4 * 1024 * 1024):
            content += block
        assert layout == "base"
        assert name == object_name
        self.parts[name] = content


def cut(
    archives: dict[str, bytes], *, part_bytes: int, chunk_bytes: int
) -> tuple[PartCutter, dict[str, bytes]]:
    parts, collected = PartQueue(), Collecting()
    encoder = threading.Thread(target=encode_parts, args=(parts, collected))
    encoder.start()
    cutter = PartCutter(parts, part_bytes=part_bytes)
    for tablespace, stream in archives.items():
        cutter.begin(tablespace)
        for place in range(0, len(stream), chunk_bytes):
            cutter.add(memoryview(stream)[place : place + chunk_bytes])
    cutter.finish()
    encoder.join()
    return cutter, collected.parts


def unpacked(parts: dict[str, bytes], tablespace: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name, content in parts.items():
        if name.startswith(f"{tablespace}/"):
            # Two zero blocks, and nothing that a reader would have to ignore.
            assert len(content) % 512 == 0
            assert content.endswith(bytes(1024))
            with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
                for member in tar.getmembers():
                    found[member.name] = tar.extractfile(member).read()
    return found


@settings(deadline=None, max_examples=40)
@given(part_bytes=st.integers(1, 200_000), chunk_bytes=st.integers(300, 40_000))
def test_parts_together_hold_every_file_and_each_is_a_whole_tar(part_bytes: int, chunk_bytes: int):
    apart = {"PG_18/5/7": b"seven" * 1000}
    archives = {"16400": archive(apart), "base": archive(FILES)}

    cutter, parts = cut(archives, part_bytes=part_bytes, chunk_bytes=chunk_bytes)

    assert unpacked(parts, "16400") == apart
    assert unpacked(parts, "base") == FILES
    assert cutter.parts == len(parts)
    assert set(cutter.files) == {*FILES, "pg_tblspc/16400/PG_18/5/7"}
    assert "base/000001" in parts
    if part_bytes == 1:
        assert len(parts) == len(FILES) + 1


def test_a_file_of_several_blocks_stays_in_one_part():
    content = random.Random(1).randbytes(9 * 1024 * 1024 + 7)
    files = {"before": b"x", "large": content, "behind": b"y"}

    _, parts = cut({"base": archive(files)}, part_bytes=1024 * 1024, chunk_bytes=32768)

    assert unpacked(parts, "base") == files
    assert len(parts) == 2


def test_a_small_cluster_is_cut_into_smaller_parts():
    mib = 1024 * 1024
    assert part_bytes_for(0) == 32 * mib
    assert part_bytes_for(1024 * mib) == 64 * mib
    assert part_bytes_for(1024 * 1024 * mib) == 256 * mib
    assert part_bytes_for(1024 * 1024 * mib, most_bytes=mib) == mib


def test_an_empty_tablespace_is_an_empty_tar():
    _, parts = cut({"16400": archive({})}, part_bytes=1000, chunk_bytes=700)
    assert parts == {"16400/000001": bytes(1024)}


def test_an_archive_that_stops_in_the_middle_is_refused():
    cutter = PartCutter(PartQueue())
    cutter.begin("base")
    cutter.add(memoryview(archive(FILES)[:700]))
    with pytest.raises(IntegrityError, match="ended early"):
        cutter.begin("16400")


def test_an_abort_reaches_an_encoder_as_an_error_and_never_as_an_end():
    parts = PartQueue()
    parts.put("base/000001")
    parts.put(b"first block")
    failures: list[BaseException] = []

    class Reading(Collecting):
        def write(self, source: BinaryIO, *, layout: str, name: str, object_name: str) -> None:
            try:
                super().write(source, layout=layout, name=name, object_name=object_name)
            except BackstopError as error:
                failures.append(error)
                raise

    def encode() -> None:
        with pytest.raises(BackstopError, match="given up"):
            encode_parts(parts, Reading())

    encoder = threading.Thread(target=encode)
    encoder.start()
    threading.Timer(0.2, parts.abort).start()
    encoder.join(5)
    assert not encoder.is_alive()
    assert len(failures) == 1


def test_a_receiver_waits_for_its_encoder_in_bounded_memory():
    parts = PartQueue()
    put = []

    def fill() -> None:
        with suppress(BackstopError):
            for number in range(100):
                parts.put(bytes(10))
                put.append(number)

    receiver = threading.Thread(target=fill)
    receiver.start()
    receiver.join(0.5)
    assert receiver.is_alive()
    assert len(put) < 10
    parts.abort()
    receiver.join(5)
    assert not receiver.is_alive()
