"""``decrypt``: a backup or one object, as private files that Backstop is not needed to read."""

from __future__ import annotations

import errno
import json
import os
import stat

import pytest

FIRST = "20261123T010000Z-dump"


def test_a_backup_is_decrypted_into_a_private_directory(run, maker, installation):
    maker().publish(files={"1.dat": b"rows"}, packed={"2.dat": b"more"})
    into = installation / "out"

    code, out, _ = run("decrypt", "--label", "latest", "--into", str(into))

    assert code == 0
    assert sorted(file.name for file in into.iterdir()) == [
        "1.dat", "2.dat", "fingerprint.json", "globals.sql", "toc.dat",
    ]  # fmt: skip
    assert (into / "1.dat").read_bytes() == b"rows"
    assert stat.S_IMODE(into.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in into.iterdir()} == {0o600}
    assert f"pg_restore -d <empty database> {into}" in out


def test_one_object_is_decrypted_into_a_private_file(run, maker, installation):
    manifest = maker().publish(files={"1.dat": b"rows"}).manifest
    into = installation / "one"

    code, out, _ = run(
        "decrypt", "--object", manifest.object_named("1.dat").key, "--into", str(into), "--json"
    )

    assert code == 0
    assert into.read_bytes() == b"rows"
    assert stat.S_IMODE(into.stat().st_mode) == 0o600
    assert json.loads(out)["plain_bytes"] == 4


def test_decrypt_overwrites_nothing(run, maker, installation):
    manifest = maker().publish().manifest
    taken = installation / "taken"
    taken.write_text("keep")

    whole = run("decrypt", "--label", FIRST, "--into", str(taken))
    one = run("decrypt", "--object", manifest.objects[0].key, "--into", str(taken))

    assert (whole[0], one[0]) == (1, 1)
    assert "exists already" in whole[2]
    assert taken.read_text() == "keep"


@pytest.mark.parametrize(
    "key", ["toc.dat", "calibrify/data/wal/x", f"calibrify/data/database/{FIRST}/0/none"]
)
def test_a_key_that_no_backup_has_is_not_found(run, maker, installation, key):
    maker().publish()

    code, _, err = run("decrypt", "--object", key, "--into", str(installation / "x"))

    assert code == 3
    assert key in err


def test_a_damaged_object_ends_with_code_4_and_leaves_nothing(run, maker, installation):
    manifest = maker().publish(files={"1.dat": b"x" * 100_000}).manifest
    path = installation / "near" / manifest.object_named("1.dat").key
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)

    code, _, err = run("decrypt", "--label", FIRST, "--into", str(installation / "out"))

    assert code == 4
    assert manifest.object_named("1.dat").key in err
    assert [path.name for path in installation.iterdir() if "out" in path.name] == []


def test_a_lost_key_ring_is_named_with_what_to_do(run, maker, installation):
    maker().publish()
    (installation / "ring.json").unlink()

    code, _, err = run("decrypt", "--label", FIRST, "--into", str(installation / "out"))

    assert code == 1
    assert f"key ring {installation}/ring.json does not exist" in err
    assert "escrow" in err


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EACCES, "out cannot be written: Permission denied"),
        (errno.ENOSPC, "no space left at"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_a_place_that_cannot_be_written_is_named(
    run, maker, installation, monkeypatch, whole: bool, code: int, words: str
):
    stored = maker().publish().manifest.objects[0]

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), "something temporary")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    monkeypatch.setattr("tempfile.mkstemp", refuse)
    monkeypatch.setattr("backstop.crypto.envelope.decrypt_to_file", refuse)
    what = ["--label", "latest"] if whole else ["--object", stored.key]
    returned, _, err = run("decrypt", *what, "--into", str(installation / "out"))

    assert returned == 1
    assert words in err
    assert "defect" not in err
