"""Two directories as repositories and their keys, for tests of verbs that need no server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

CHECKOUT = Path(__file__).parents[2]


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *, retention: str = "") -> Path:
    """A targets.yaml with ``near`` and ``far`` for the dumps of ``calibrify``, and what init-keys makes.

    :param retention: as it stands in targets.yaml: ``{near: 30d}``.
    """
    paths = f"path: {folder}/ring.json, signing: {folder}/signing"
    rules = f", retention: {retention}" if retention else ""
    (folder / "targets.yaml").write_text(
        f"""\
version: 1
keys: {{lab: {{storage: local, {paths}, escrow: {{waived: test}}}}}}
repositories:
  far: {{type: posix, path: {folder}/far}}
  near: {{type: posix, path: {folder}/near}}
targets:
  calibrify:
    keys: lab
    database: {{conn_id: lab_backup, dbname: calibrify, repositories: [near, far]{rules}}}
"""
    )
    monkeypatch.setenv("BACKSTOP_TARGETS", str(folder / "targets.yaml"))
    monkeypatch.delenv("BACKSTOP_CREDENTIALS", raising=False)
    monkeypatch.delenv("BACKSTOP_DEBUG", raising=False)
    assert main(["init-keys"]) == 0
    return folder


def runner(capsys: pytest.CaptureFixture[str], *verb: str) -> Callable[..., tuple[int, str, str]]:
    """Runs a verb; gives back its exit code, stdout and stderr.

    :param verb: what every call begins with.
    """
    capsys.readouterr()

    def run(*argv: str) -> tuple[int, str, str]:
        code = main([*verb, *argv])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def in_a_process(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A verb in a process of its own, which inherits nothing but ``PATH``."""
    return subprocess.run(
        [sys.executable, "-m", "backstop", *argv],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "plugins", **environment},
    )
