"""Two directories as repositories, for verbs that need no server, no Airflow and no inventory."""

from __future__ import annotations

import pytest

from backstop.crypto.signing import Signer
from tests.cli.installation import install, runner
from tests.making import Maker


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """A targets.yaml with ``near`` and ``far``, keys made by init-keys, nothing else."""
    return install(tmp_path, monkeypatch)


@pytest.fixture
def run(installation, capsys):
    return runner(capsys)


@pytest.fixture
def maker(installation):
    def maker(name: str = "near") -> Maker:
        return Maker.in_folder(installation, name)

    return maker


@pytest.fixture
def verifier(installation):
    return Signer.load(installation / "signing" / "proof.pem")
