"""KMS is gone and so is the machine: the runbook's own line opens the backup with the key from the safe.

KMS was moto's server, a MOCK. The clean machine has what the safe and the repository hold: targets.yaml, the
list of trusted signers, the escrow key, the stored objects. No key ring, no Airflow, no inventory.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from backstop.cli.main import main
from backstop.crypto.escrow import EscrowKeyring
from backstop.crypto.keyring import CombinedKeyring
from backstop.crypto.kms import KmsKeyring
from backstop.crypto.signing import Signer, TrustedSigners
from backstop.storage.posix import PosixStorage
from tests.commands.test_kms import MockKms
from tests.making import Maker
from tests.runbook.page import sections

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is left after the fire: the folder of the safe, and the repository beside it."""
    safe, site = tmp_path / "safe", tmp_path / "site"
    safe.mkdir(mode=0o700)
    site.mkdir(mode=0o700)
    private = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    (safe / "escrow.pem").touch(mode=0o600)
    (safe / "escrow.pem").write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (site / "escrow.pub").write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    kms = MockKms()
    try:
        arn = kms.new_key()
        text = _targets(tmp_path, arn, kms.url)
        (site / "targets.yaml").write_text(text)
        monkeypatch.setenv("BACKSTOP_TARGETS", str(site / "targets.yaml"))
        assert main(["init-keys"]) == 0
        maker = Maker(
            PosixStorage(tmp_path / "near"),
            CombinedKeyring(
                KmsKeyring([arn], client_for=kms.clients), EscrowKeyring.load_public(site / "escrow.pub")
            ),
            Signer.load(site / "signing" / "manifest.pem"),
            TrustedSigners.load(site / "signing" / "trusted.json"),
        )
        maker.publish(files={"1.dat": b"rows of before the fire"})
    finally:
        kms.stop()
    (safe / "targets.yaml").write_text(text.replace(f"{site}/", f"{safe}/"))
    (safe / "signing").mkdir(mode=0o700)
    shutil.copy(site / "signing" / "trusted.json", safe / "signing")
    shutil.rmtree(site)
    return safe


def _targets(folder: Path, arn: str, url: str) -> str:
    return f"""\
version: 1
keys:
  cloud:
    storage: aws-kms
    key_arn: {arn}
    endpoint_url: {url}
    signing: {folder}/site/signing
    escrow: {{public_key: {folder}/site/escrow.pub}}
repositories:
  near: {{type: posix, path: {folder}/near}}
targets:
  calibrify:
    keys: cloud
    database: {{conn_id: lab_backup, dbname: calibrify, repositories: [near]}}
"""


def type_there(line: str, safe: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """On a machine that has nothing but Backstop: a new home, and nothing inherited."""
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, *shlex.split(line.removeprefix("python "))],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": "plugins",
            "HOME": str(home),
            "BACKSTOP_TARGETS": str(safe / "targets.yaml"),
        },
    )


def lines_of_the_page(safe: Path, into: Path) -> list[str]:
    """Those of part C, with this machine's names in the place of the page's."""
    return [
        command.text.replace("/media/safe", str(safe)).replace("/var/tmp/dump", str(into))  # noqa: S108 the name on the page
        for command in sections()["The key is disabled"]
        if command.part == "C" and "decrypt" in command.text
    ]


def test_the_key_from_the_safe_alone_opens_the_backup_on_a_clean_machine(safe: Path, tmp_path: Path):
    (line,) = lines_of_the_page(safe, tmp_path / "dump")

    done = type_there(line, safe, tmp_path / "home")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "dump" / "1.dat").read_bytes() == b"rows of before the fire"


@pytest.mark.long
def test_without_it_the_same_machine_says_that_kms_does_not_answer_and_writes_nothing(
    safe: Path, tmp_path: Path
):
    (line,) = lines_of_the_page(safe, tmp_path / "dump")
    without, _, _ = line.partition(" --escrow-key")

    done = type_there(without, safe, tmp_path / "home")

    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "arn:aws:kms:eu-central-1" in done.stderr
    assert "rows" not in done.stdout
    assert not (tmp_path / "dump").exists()
