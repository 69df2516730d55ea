"""An object comes back exactly as it went in, with bounded memory, from any source."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstop.crypto.envelope import decrypt_stream, encrypt_stream, object_context
from backstop.crypto.streams import HashingReader
from backstop.crypto.zstd_frames import FrameReader
from backstop.errors import IntegrityError, StorageFullError
from tests.crypto.samples import open_sample, seal

if TYPE_CHECKING:
    from backstop.crypto.keyring import LocalKeyring

MIB = 1024 * 1024


class Dribble(io.RawIOBase):
    """A growing file: each read gives what has arrived, less than asked, and b"" only at its end."""

    def __init__(self, content: bytes, seed: int) -> None:
        self._rest = memoryview(content)
        self._random = random.Random(seed)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        taken = bytes(self._rest[: self._random.randint(1, max(1, size))])
        self._rest = self._rest[len(taken) :]
        return taken


def in_own_process(program: str, *arguments: Path) -> str:
    """Run a small program that imports Backstop; its standard output."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "plugins")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 9 * MIB])
@pytest.mark.parametrize("compressible", [True, False])
def test_content_of_any_size_comes_back_equal(
    size: int, compressible: bool, tmp_path: Path, session_keyring: LocalKeyring
) -> None:
    plain = b"row\t" * (size // 4) + b"r" * (size % 4) if compressible else random.Random(1).randbytes(size)
    sample = seal(plain, session_keyring)

    opened = open_sample(sample, tmp_path / "out", session_keyring)

    assert (tmp_path / "out").read_bytes() == plain
    assert opened.plain_bytes == size
    assert opened.stored_bytes == len(sample.stored)
    assert opened.context == sample.context


@pytest.mark.parametrize("size", [0, 1, 4 * MIB, 4 * MIB + 1, 23 * MIB])
def test_several_compressors_write_what_one_writes(size: int, session_keyring: LocalKeyring) -> None:
    plain = random.Random(2).randbytes(1000) * (size // 1000) + bytes(size % 1000)
    context = {"object": "x"}
    sink = io.BytesIO()
    sealed = encrypt_stream(io.BytesIO(plain), sink, keyring=session_keyring, context=context, compressors=3)
    one = encrypt_stream(io.BytesIO(plain), io.BytesIO(), keyring=session_keyring, context=context)

    stored = io.BytesIO(sink.getvalue())
    assert b"".join(decrypt_stream(stored, keyring=session_keyring, context=context)) == plain
    assert (sealed.plain_sha256, sealed.plain_bytes) == (one.plain_sha256, one.plain_bytes)


@pytest.mark.parametrize("compressors", [1, 3])
def test_frames_of_a_source_that_failed_never_look_like_its_end(compressors: int) -> None:
    class Failing(io.RawIOBase):
        left = 9 * MIB

        def read(self, size: int = -1) -> bytes:
            if self.left <= 0:
                raise OSError("the source broke")
            self.left -= size
            return bytes(size)

    frames = FrameReader(HashingReader(Failing()), compressors=compressors)
    for _ in range(2):
        with pytest.raises(OSError, match="the source broke"):
            frames.read(MIB)


def test_a_message_that_ends_exactly_on_a_frame_comes_back_equal(
    tmp_path: Path, session_keyring: LocalKeyring
) -> None:
    # The SDK then writes an empty final frame. Find a plaintext whose compressed form is whole frames.
    for size in range(MIB - 60, MIB):
        plain = random.Random(2).randbytes(size)
        sample = seal(plain, session_keyring)
        if sample.stored[-36:-32] == b"\0\0\0\2" and sample.stored[-20:-16] == b"\0\0\0\0":
            break
    else:
        pytest.fail("no size gave an empty final frame")

    open_sample(sample, tmp_path / "out", session_keyring)

    assert (tmp_path / "out").read_bytes() == plain


@settings(max_examples=25, deadline=None)
@given(content=st.binary(max_size=3000), repeat=st.integers(1, 2000), seed=st.integers())
def test_a_source_that_returns_less_than_asked_loses_nothing(
    content: bytes, repeat: int, seed: int, session_keyring: LocalKeyring
) -> None:
    plain = content * repeat
    context = object_context("calibrify", "l", "calibrify/data/x")
    sink = io.BytesIO()

    encrypt_stream(Dribble(plain, seed), sink, keyring=session_keyring, context=context)
    blocks = decrypt_stream(Dribble(sink.getvalue(), seed), keyring=session_keyring, context=context)

    assert b"".join(blocks) == plain


def test_the_same_content_is_stored_differently_each_time(session_keyring: LocalKeyring) -> None:
    assert seal(b"same", session_keyring).stored != seal(b"same", session_keyring).stored


def test_an_object_can_be_decrypted_without_its_manifest(
    tmp_path: Path, session_keyring: LocalKeyring
) -> None:
    sample = seal(b"for a human", session_keyring)

    opened = open_sample(sample, tmp_path / "out", session_keyring, by_manifest=False)

    assert (tmp_path / "out").read_bytes() == b"for a human"
    assert opened.context["target"] == "calibrify"


def test_the_plaintext_file_is_for_its_owner_only(tmp_path: Path, session_keyring: LocalKeyring) -> None:
    open_sample(seal(b"roles and passwords", session_keyring), tmp_path / "out", session_keyring)

    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600


def test_what_the_source_raises_while_encrypting_reaches_the_caller(session_keyring: LocalKeyring) -> None:
    class Killed(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 5 * MIB:
                self.close()
            return super().read(MIB)  # a closed file raises ValueError, which the SDK takes for an end

    with pytest.raises(ValueError, match="closed file"):
        encrypt_stream(Killed(bytes(9 * MIB)), io.BytesIO(), keyring=session_keyring, context={"object": "x"})


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), ValueError("I/O on closed file")])
def test_what_the_storage_raises_while_decrypting_is_not_called_damage(
    error: Exception, session_keyring: LocalKeyring
) -> None:
    sample = seal(random.Random(3).randbytes(3 * MIB), session_keyring)

    class Cut(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > MIB:
                raise error
            return super().read(size)

    with pytest.raises(type(error)) as caught:
        list(decrypt_stream(Cut(sample.stored), keyring=session_keyring, context=sample.context))
    assert caught.value is error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_while_encrypting_is_named(session_keyring: LocalKeyring) -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as sink,
        pytest.raises(StorageFullError, match="no space left while writing /dev/full"),
    ):
        encrypt_stream(io.BytesIO(b"x"), sink, keyring=session_keyring, context={"object": "x"})


def test_a_full_disk_while_decrypting_leaves_nothing_behind(
    tmp_path: Path, session_keyring: LocalKeyring
) -> None:
    # A file-size limit in a process of its own, standing in for a full disk: the write really fails.
    sample = seal(random.Random(4).randbytes(3 * MIB), session_keyring)
    (tmp_path / "stored").write_bytes(sample.stored)
    program = """
        import errno, resource, signal, sys
        from pathlib import Path
        from backstop.crypto import streams
        from backstop.crypto.envelope import decrypt_to_file
        from backstop.crypto.keyring import LocalKeyring
        from backstop.errors import StorageFullError
        stored, out, ring = map(Path, sys.argv[1:])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, 1024 * 1024))
        streams.errno.ENOSPC = errno.EFBIG
        try:
            with stored.open("rb") as source:
                decrypt_to_file(source, out, keyring=LocalKeyring.load(ring))
        except StorageFullError as error:
            print(error)
    """

    printed = in_own_process(program, tmp_path / "stored", tmp_path / "out", session_keyring.path)

    assert f"no space left while writing {tmp_path / 'out'}" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["stored"]


def test_memory_stays_bounded_whatever_the_size(tmp_path: Path, session_keyring: LocalKeyring) -> None:
    # A process of its own: peak memory is a process's, and other tests have raised ours.
    program = """
        import io, random, resource, sys
        from pathlib import Path
        from backstop.crypto.envelope import decrypt_to_file, encrypt_stream
        from backstop.crypto.keyring import LocalKeyring
        keyring, stored = LocalKeyring.load(Path(sys.argv[1])), Path(sys.argv[2])
        noise = random.Random(1).randbytes(4 * 1024 * 1024)

        class Source(io.RawIOBase):
            left = 200 * 1024 * 1024
            def read(self, size=-1):
                size = min(size, self.left)
                self.left -= size
                return noise[:size]

        def peak_kib():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        keyring.check()
        before_kib = peak_kib()
        with stored.open("wb") as sink:
            encrypt_stream(Source(), sink, keyring=keyring, context={"object": "x"})
        with stored.open("rb") as source:
            opened = decrypt_to_file(source, stored.with_name("out"), keyring=keyring)
        print(opened.plain_bytes, peak_kib() - before_kib)
    """

    total, grown_kib = map(int, in_own_process(program, session_keyring.path, tmp_path / "stored").split())

    assert total == 200 * MIB
    assert grown_kib < 40 * 1024


def test_a_key_outside_the_target_is_refused() -> None:
    with pytest.raises(IntegrityError, match="lims/data/x is not below calibrify/data/"):
        object_context("calibrify", "20261123T010000Z-dump", "lims/data/x")


def test_threads_that_begin_in_a_new_process_all_encrypt(session_keyring: LocalKeyring) -> None:
    """The second comes while the first is still importing what encrypts; so does the third…"""
    program = """
        import io, sys, threading, time
        from pathlib import Path
        from backstop.crypto.envelope import encrypt_stream
        from backstop.crypto.keyring import LocalKeyring

        keyring = LocalKeyring.load(Path(sys.argv[1]))

        def seal():
            encrypt_stream(io.BytesIO(b"row"), io.BytesIO(), keyring=keyring, context={"object": "x"})
            print("sealed")

        threads = [threading.Thread(target=seal) for _ in range(40)]
        for thread in threads:
            thread.start()
            time.sleep(0.01)
        for thread in threads:
            thread.join()
    """
    assert in_own_process(program, session_keyring.path).split() == ["sealed"] * 40
