"""Each kind of backup is proven in its own way."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from backstop.commands.progress import Silent
from backstop.commands.proof import base as verify_base
from backstop.commands.proof import dump as verify
from backstop.commands.proof import tree as verify_tree
from backstop.commands.proof.prove import ProofSettings, prove
from backstop.model.backup import BackupLabel
from tests.protection import utc_now


@pytest.mark.parametrize(
    ("label", "way"),
    [
        ("20261123T010000Z-dump", ("dump", "settings of dumps", None, None)),
        ("20261123T010000Z-full", ("base", "settings of copies", "admin", "calibrify")),
        ("20261123T010000Z-incr", ("base", "settings of copies", "admin", "calibrify")),
        ("20261123T010000Z-tree-media", ("tree", "settings of media", None, None)),
    ],
)
def test_a_dump_and_files_are_restored_and_a_base_backup_recovered(monkeypatch, label, way):
    asked = []

    def remember(kind):
        def proven(*, label, settings, superuser=None, database=None, **_):
            asked.append((kind, settings, superuser, database))
            return f"proof of {label}"

        return proven

    monkeypatch.setattr(verify, "verify_backup", remember("dump"))
    monkeypatch.setattr(verify_tree, "verify_tree", remember("tree"))
    monkeypatch.setattr(verify_base, "verify_base_backup", remember("base"))

    proof = prove(
        repository=SimpleNamespace(),
        label=BackupLabel(label),
        keyring=SimpleNamespace(),
        signer=SimpleNamespace(),
        settings=ProofSettings(
            dump="settings of dumps",
            base="settings of copies",
            superuser="admin",
            database="calibrify",
            trees={"media": "settings of media"},
        ),
        clock=utc_now,
        progress=Silent(),
    )

    assert proof == f"proof of {label}"
    assert asked == [way]
