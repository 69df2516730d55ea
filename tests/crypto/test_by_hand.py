"""A backup can be read without Backstop: the published snippets, the SDK and zstd are enough."""

from __future__ import annotations

import io
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backstop.crypto.escrow import EscrowKeyring
from backstop.crypto.keyring import CombinedKeyring
from backstop.crypto.streams import HashingReader
from backstop.crypto.zstd_frames import FrameReader
from tests.crypto.samples import ESCROW_PASSWORD, NOW, seal

if TYPE_CHECKING:
    from backstop.crypto.keyring import LocalKeyring

DOCS = Path(__file__).parents[2] / "docs"
ZSTD = shutil.which("zstd")
PLAIN = random.Random(6).randbytes(5 * 1024 * 1024) + b"row\t" * 3_000_000  # several frames of either kind


def run(snippet: str, *arguments: Path | str, password: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    # -I: no PYTHONPATH, so that nothing of Backstop can be imported. A session without a terminal makes
    # getpass read standard input.
    return subprocess.run(
        [sys.executable, "-I", "-W", "ignore", DOCS / "by-hand" / snippet, *arguments],
        input=password + b"\n",
        capture_output=True,
        check=False,
        start_new_session=True,
    )


@pytest.mark.parametrize("plain", [PLAIN, b""], ids=["rows", "empty"])
def test_an_object_opens_with_the_key_ring_file_and_the_published_snippet(
    plain: bytes, tmp_path: Path, keyring: LocalKeyring
) -> None:
    sample = seal(plain, keyring)
    keyring.add_generation(NOW)
    (tmp_path / "stored").write_bytes(sample.stored)

    done = run("decrypt_object.py", keyring.path, tmp_path / "stored", tmp_path / "out")

    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "out").read_bytes() == plain


def test_an_object_opens_with_the_escrow_key_and_the_published_snippet(
    tmp_path: Path, keyring: LocalKeyring, escrow_files: tuple[Path, Path]
) -> None:
    public, private = escrow_files
    sample = seal(PLAIN, CombinedKeyring(keyring, EscrowKeyring.load_public(public)))
    (tmp_path / "stored").write_bytes(sample.stored)
    arguments = (
        private,
        sample.keys[1].removeprefix("backstop-escrow/"),
        tmp_path / "stored",
        tmp_path / "out",
    )

    done = run("decrypt_object_with_escrow.py", *arguments, password=ESCROW_PASSWORD)

    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "out").read_bytes() == PLAIN


@pytest.mark.parametrize("change", ["cut", "trailing"])
def test_the_snippet_notices_a_cut_and_trailing_bytes(
    change: str, tmp_path: Path, keyring: LocalKeyring
) -> None:
    stored = seal(PLAIN, keyring).stored
    (tmp_path / "stored").write_bytes(stored[: len(stored) // 2] if change == "cut" else stored + b"x")

    assert run("decrypt_object.py", keyring.path, tmp_path / "stored", tmp_path / "out").returncode != 0


@pytest.mark.system
@pytest.mark.skipif(ZSTD is None, reason="needs the zstd command")
@pytest.mark.parametrize("plain", [PLAIN, b""], ids=["rows", "empty"])
def test_what_is_inside_the_encryption_is_what_zstd_reads(plain: bytes) -> None:
    reader = FrameReader(HashingReader(io.BytesIO(plain)))
    compressed = b"".join(iter(lambda: reader.read(1024 * 1024), b""))

    done = subprocess.run([str(ZSTD), "-q", "-d"], input=compressed, capture_output=True, check=True)

    assert done.stdout == plain


def test_format_md_prints_or_names_the_snippet_as_it_is_tested() -> None:
    text = (DOCS / "format.md").read_text()
    printed = [
        block
        for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
        if "aws_encryption_sdk" in block
    ]

    assert "docs/by-hand/decrypt_object.py" in text
    assert all(block == (DOCS / "by-hand" / "decrypt_object.py").read_text() for block in printed)
