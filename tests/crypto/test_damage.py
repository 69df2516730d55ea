"""Damage of any kind is refused, named, and leaves no file behind."""

from __future__ import annotations

import io
import random
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from backstop.crypto.envelope import decrypt_stream, decrypt_to_file, encrypt_stream
from backstop.errors import BackstopError, IntegrityError, KeyUnavailableError
from tests.crypto.samples import Sample, open_sample, seal

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.crypto.keyring import LocalKeyring
    from backstop.crypto.message import Opened
    from backstop.model.backup import StoredObject

MIB = 1024 * 1024
SDK_FRAME = 4 + 12 + MIB + 16  # sequence number, IV, content, tag
PLAIN_BYTES = 9 * MIB + 17


@pytest.fixture(scope="module")
def sample(session_keyring: LocalKeyring) -> Sample:
    """Incompressible, three zstd frames, ten SDK frames."""
    return seal(random.Random(5).randbytes(PLAIN_BYTES), session_keyring)


@pytest.fixture(scope="module")
def small(session_keyring: LocalKeyring) -> Sample:
    return seal(b"calibration\t42\n" * 100, session_keyring)


def header_bytes(sample: Sample) -> int:
    """Where the first SDK frame starts: nine full frames and the final one are at the end."""
    (last,) = struct.unpack(">I", sample.stored[-(16 + _final_content(sample)) - 4 :][:4])
    final_frame = 4 + 4 + 12 + 4 + last + 16
    return len(sample.stored) - final_frame - 9 * SDK_FRAME


def _final_content(sample: Sample) -> int:
    # 9 MiB + 17 incompressible bytes are stored as 9 MiB + a little: the final frame is that little.
    for size in range(MIB):
        start = len(sample.stored) - 16 - size
        if sample.stored[start - 24 : start - 16] == b"\xff\xff\xff\xff\x00\x00\x00\x0a":
            return size
    raise AssertionError("no final frame found")


def refused(sample: Sample, tmp_path: Path, keyring: LocalKeyring, message: str) -> None:
    """The object is refused, with and without its manifest, by name, and nothing is left."""
    for by_manifest in (True, False):
        with pytest.raises(IntegrityError, match=message) as caught:
            open_sample(sample, tmp_path / "out", keyring, by_manifest=by_manifest)
        assert caught.value.hint
        if by_manifest:
            assert sample.expected.key in str(caught.value)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("frames", range(10))
def test_an_object_cut_exactly_between_two_encrypted_frames_is_refused(
    frames: int, sample: Sample, tmp_path: Path, session_keyring: LocalKeyring
) -> None:
    cut = sample.stored[: header_bytes(sample) + frames * SDK_FRAME]

    refused(sample.with_bytes(cut), tmp_path, session_keyring, "ended before its final frame")


@pytest.mark.parametrize("offset", [0, 1, 2, 40, 100, 300, 500, 700, 2 * MIB, -40, -17, -16, -1])
def test_an_object_cut_anywhere_is_refused(
    offset: int, sample: Sample, tmp_path: Path, session_keyring: LocalKeyring
) -> None:
    refused(
        sample.with_bytes(sample.stored[:offset]), tmp_path, session_keyring, "ended before its final frame"
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_small_object_cut_at_any_byte_is_refused(
    data: st.DataObject, small: Sample, session_keyring: LocalKeyring
) -> None:
    cut = data.draw(st.integers(0, len(small.stored) - 1))

    with pytest.raises(IntegrityError, match="ended before its final frame"):
        list(
            decrypt_stream(
                io.BytesIO(small.stored[:cut]),
                keyring=session_keyring,
                context=small.context,
                expected=small.expected,
            )
        )


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_called_damage(
    data: st.DataObject, small: Sample, session_keyring: LocalKeyring
) -> None:
    stored = bytearray(small.stored)
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(IntegrityError):
        list(
            decrypt_stream(
                io.BytesIO(bytes(stored)),
                keyring=session_keyring,
                context=small.context,
                expected=small.expected,
            )
        )


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_is_refused_without_a_manifest_too(
    data: st.DataObject, small: Sample, session_keyring: LocalKeyring
) -> None:
    stored = bytearray(small.stored)
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    # Where the wrapping key's id was hit, an unknown key is all that can be said.
    with pytest.raises((IntegrityError, KeyUnavailableError)):
        list(decrypt_stream(io.BytesIO(bytes(stored)), keyring=session_keyring))


@settings(max_examples=300, deadline=None)
@given(junk=st.binary(max_size=400))
def test_any_other_bytes_are_refused_with_one_of_our_errors(
    junk: bytes, session_keyring: LocalKeyring
) -> None:
    with pytest.raises(BackstopError):
        list(decrypt_stream(io.BytesIO(junk), keyring=session_keyring))


@pytest.mark.parametrize("change", ["dropped", "swapped", "duplicated"])
def test_frames_moved_about_are_refused(
    change: str, sample: Sample, tmp_path: Path, session_keyring: LocalKeyring
) -> None:
    start = header_bytes(sample)
    head, body = sample.stored[:start], sample.stored[start:]
    frames = [body[i * SDK_FRAME : (i + 1) * SDK_FRAME] for i in range(9)]
    final = body[9 * SDK_FRAME :]
    if change == "dropped":
        del frames[3]
    elif change == "swapped":
        frames[2], frames[3] = frames[3], frames[2]
    else:
        frames.insert(4, frames[4])

    refused(sample.with_bytes(head + b"".join(frames) + final), tmp_path, session_keyring, "is damaged")


@pytest.mark.parametrize("trailing", [b"\0", b"trailing", bytes(2 * MIB)])
def test_bytes_after_the_final_frame_are_refused(
    trailing: bytes, sample: Sample, tmp_path: Path, session_keyring: LocalKeyring
) -> None:
    refused(
        sample.with_bytes(sample.stored + trailing),
        tmp_path,
        session_keyring,
        "has bytes after its final frame",
    )


def test_a_second_message_behind_the_first_is_refused(
    small: Sample, tmp_path: Path, session_keyring: LocalKeyring
) -> None:
    refused(small.with_bytes(small.stored * 2), tmp_path, session_keyring, "has bytes after its final frame")


def test_an_object_in_the_place_of_another_is_refused(tmp_path: Path, session_keyring: LocalKeyring) -> None:
    first, second = (seal(b"same content", session_keyring, number=number) for number in (1, 2))

    for expected, found in ((first, second), (second, first)):
        with pytest.raises(IntegrityError, match=f"t/{expected.expected.name[0]} was written for another"):
            open_sample(expected.with_bytes(found.stored), tmp_path / "out", session_keyring)
    assert list(tmp_path.iterdir()) == []


def test_an_object_of_another_target_is_refused(tmp_path: Path, session_keyring: LocalKeyring) -> None:
    ours = seal(b"same content", session_keyring)
    theirs = seal(b"same content", session_keyring, target="lims")

    with pytest.raises(IntegrityError, match=r"was written for another object: .*lims"):
        open_sample(ours.with_bytes(theirs.stored), tmp_path / "out", session_keyring)


def test_a_context_with_more_or_fewer_entries_is_refused(
    small: Sample, session_keyring: LocalKeyring
) -> None:
    for context in ({**small.context, "more": "x"}, {"target": "calibrify"}, {}):
        with pytest.raises(IntegrityError, match="was written for another object"):
            list(decrypt_stream(io.BytesIO(small.stored), keyring=session_keyring, context=context))


def test_an_older_object_of_the_same_name_is_refused(tmp_path: Path, session_keyring: LocalKeyring) -> None:
    expected = seal(b"today's rows", session_keyring)
    older = seal(b"yesterday's!", session_keyring)

    with pytest.raises(IntegrityError, match="is not, byte for byte"):
        open_sample(expected.with_bytes(older.stored), tmp_path / "out", session_keyring)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plain_bytes": 1_501}, "holds 1500 bytes; its manifest says 1501"),
        ({"plain_bytes": 1_499}, "holds more than the 1499 bytes it should"),
        ({"plain_sha256": "0" * 64}, "has other content"),
        ({"stored_sha256": "0" * 64}, "is not, byte for byte"),
        ({"stored_bytes": 1}, "bytes long; its manifest says 1"),
    ],
)
def test_a_manifest_that_says_otherwise_wins(
    change: dict[str, int | str],
    message: str,
    small: Sample,
    tmp_path: Path,
    session_keyring: LocalKeyring,
) -> None:
    other = replace(small, expected=replace(small.expected, **change))  # type: ignore[arg-type]

    with pytest.raises(IntegrityError, match=message):
        open_sample(other, tmp_path / "out", session_keyring)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"plain_bytes": 1_501}, {"stored_sha256": "0" * 64}, {"stored_bytes": 1}])
def test_whoever_hashes_the_plaintext_himself_has_every_other_check_all_the_same(
    change: dict[str, int | str], small: Sample, tmp_path: Path, session_keyring: LocalKeyring
) -> None:
    other = replace(small.expected, **change)  # type: ignore[arg-type]

    def decrypt(expected: StoredObject) -> Opened:
        return decrypt_to_file(
            io.BytesIO(small.stored),
            tmp_path / "out",
            keyring=session_keyring,
            expected=expected,
            hash_plain=False,
        )

    with pytest.raises(IntegrityError):
        decrypt(other)
    assert list(tmp_path.iterdir()) == []
    assert decrypt(small.expected).plain_sha256 == ""


def test_a_refused_object_leaves_the_file_that_was_there(
    small: Sample, tmp_path: Path, session_keyring: LocalKeyring
) -> None:
    destination = tmp_path / "out"
    destination.write_bytes(b"the good copy")

    with pytest.raises(IntegrityError):
        open_sample(small.with_bytes(small.stored[:-1]), destination, session_keyring)

    assert destination.read_bytes() == b"the good copy"
    assert list(tmp_path.iterdir()) == [destination]


def sealed_raw(compressed: bytes, keyring: LocalKeyring, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A message that authenticates, around bytes of our choice: what a taken-over writer could make."""
    import backstop.crypto.zstd_frames as zstd_frames

    class AsItIs:
        closed = False

        def __init__(self, source: object, *, compressors: int) -> None:
            self.read = io.BytesIO(compressed).read

    sink = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr(zstd_frames, "FrameReader", AsItIs)
        encrypt_stream(io.BytesIO(), sink, keyring=keyring, context={"object": "x"})
    return sink.getvalue()


def compressed(content: bytes, **options: bool) -> bytes:
    settings = {"write_content_size": True, "write_checksum": True, **options}
    return zstandard.ZstdCompressor(level=1, **settings).compress(content)


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (compressed(bytes(64 * MIB)), "a zstd frame is larger than"),
        (compressed(b"x" * 999, write_content_size=False), "does not state its size"),
        (compressed(b"x" * 999, write_checksum=False), "has no checksum"),
        (compressed(b"x" * 999)[:-3], "the last zstd frame is cut"),
        (compressed(b"x" * 999)[:-1] + b"\0", "a zstd frame does not decompress"),
        (compressed(b"x" * 999) + b"junk!", "not a zstd frame"),
        (b"plain text, not compressed", "not a zstd frame"),
        (b"", "no zstd frame in it"),
        (b"\x50\x2a\x4d\x18" + struct.pack("<I", 8) + bytes(8), "zstd frame"),
    ],
)
def test_an_authentic_message_with_other_frames_inside_is_refused(
    inner: bytes,
    message: str,
    session_keyring: LocalKeyring,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored = sealed_raw(inner, session_keyring, monkeypatch)

    with pytest.raises(IntegrityError, match=message):
        list(decrypt_stream(io.BytesIO(stored), keyring=session_keyring))


def test_a_decompression_bomb_stops_at_the_size_its_manifest_gives(
    small: Sample, session_keyring: LocalKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = sealed_raw(compressed(bytes(4 * MIB)) * 1000, session_keyring, monkeypatch)

    with pytest.raises(IntegrityError, match="holds more than the 1500 bytes it should"):
        next(decrypt_stream(io.BytesIO(stored), keyring=session_keyring, expected=small.expected))
