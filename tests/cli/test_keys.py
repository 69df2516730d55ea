"""``show-keys`` and ``rotate-keys`` on a tree that is backed up before, between and after two new keys."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import backstop.commands.keys.removal as removal
from backstop.cli.main import main
from backstop.crypto.escrow import EscrowKeyring
from backstop.crypto.keyring import LocalKeyring
from backstop.errors import NotFoundError

EXIT_IN_USE = 4


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    (tmp_path / "media").mkdir()
    (tmp_path / "targets.yaml").write_text(
        f"""\
version: 1
keys:
  lab: {{storage: local, path: {tmp_path}/ring.json, signing: {tmp_path}/signing, escrow: {{waived: test}}}}
repositories:
  near: {{type: posix, path: {tmp_path}/near}}
targets:
  calibrify:
    keys: lab
    database: {{conn_id: lab_backup, dbname: calibrify, repositories: [near]}}
    trees: {{media: {{paths: [{tmp_path}/media], spool: {tmp_path}/spool}}}}
"""
    )
    monkeypatch.setenv("BACKSTOP_TARGETS", str(tmp_path / "targets.yaml"))
    assert main(["init-keys"]) == 0
    capsys.readouterr()

    def run(*argv: str, code: int = 0):
        found = main([*argv, "--json"])
        out, err = capsys.readouterr()
        assert found == code, err + out
        return json.loads(out)

    return run


def back_up(run, folder, content: str) -> str:
    (folder / "media" / "file.txt").write_text(content)
    return run("back-up-files", "--tree", "media")["label"]


@pytest.fixture
def three(run, tmp_path):
    """Labels and contents of backups under three keys, oldest first."""
    labels = {back_up(run, tmp_path, "under the first key"): "under the first key"}
    for number in ("second", "third"):
        run("rotate-keys", "--now")
        content = f"under the {number} key"
        labels[back_up(run, tmp_path, content)] = content
    return labels


def keys(tmp_path):
    return [one.id for one in LocalKeyring.load(tmp_path / "ring.json").generations]


def test_backups_of_three_keys_are_all_restored(run, three, tmp_path):
    for number, (label, content) in enumerate(three.items()):
        into = tmp_path / f"back{number}"
        run("restore-files", "--tree", "media", "--label", label, "--to", str(into), "--yes")
        assert (into / str(tmp_path).lstrip("/") / "media" / "file.txt").read_text() == content


def test_removing_a_key_without_a_name_makes_none(run, tmp_path):
    before = keys(tmp_path)

    run("rotate-keys", "--remove", "", code=NotFoundError.exit_code)

    assert keys(tmp_path) == before


def test_which_key_protects_what_is_told(run, three, tmp_path):
    protects = {one["key"]: one for one in run("show-keys")["protect"]}

    assert set(protects) == {f"backstop-local/{key}" for key in keys(tmp_path)}
    assert [one["backups"] for one in protects.values()] == [1, 1, 1]
    assert {one["only_key_of"] for one in protects.values()} == {1}


def test_a_key_is_not_removed_before_its_last_backup(run, three, tmp_path, monkeypatch):
    monkeypatch.setattr(removal, "SETTLED", timedelta(0))
    first = keys(tmp_path)[0]
    ring = (tmp_path / "ring.json").read_bytes()

    refused = run("rotate-keys", "--remove", first, code=EXIT_IN_USE)["error"]["message"]

    assert f"key {first} is needed by 1 backups" in refused
    assert next(iter(three)) in refused
    assert (tmp_path / "ring.json").read_bytes() == ring

    shutil.rmtree(tmp_path / "near" / "calibrify")  # as if all had expired
    run("rotate-keys", "--remove", first)
    assert first not in keys(tmp_path)


def test_a_key_stays_while_a_repository_is_not_where_it_was(run, tmp_path, monkeypatch):
    monkeypatch.setattr(removal, "SETTLED", timedelta(0))
    back_up(run, tmp_path, "under the first key")
    run("rotate-keys", "--now")
    first = keys(tmp_path)[0]
    (tmp_path / "near").rename(tmp_path / "unmounted")

    refused = run("rotate-keys", "--remove", first, code=EXIT_IN_USE)["error"]["message"]

    assert "repository near of calibrify could not be looked at" in refused
    assert first in keys(tmp_path)


def test_wal_that_only_an_old_key_opens_keeps_it(run, tmp_path, monkeypatch):
    import io

    from backstop.crypto.envelope import encrypt_stream

    monkeypatch.setattr(removal, "SETTLED", timedelta(0))
    back_up(run, tmp_path, "anything")
    first = keys(tmp_path)[0]
    sealed = io.BytesIO()
    encrypt_stream(
        io.BytesIO(b"wal"), sealed, keyring=LocalKeyring.load(tmp_path / "ring.json"), context={"target": "x"}
    )
    shutil.rmtree(tmp_path / "near" / "calibrify")
    wal = tmp_path / "near/calibrify/data/wal/7/00000001/000000010000000000000001-0123456789abcdef"
    wal.parent.mkdir(parents=True)
    wal.write_bytes(sealed.getvalue())
    run("rotate-keys", "--now")

    refused = run("rotate-keys", "--remove", first, code=EXIT_IN_USE)["error"]["message"]

    assert "needed by 0 backups and 1 objects of WAL, such as 000000010000000000000001-" in refused


def test_a_ring_is_renewed_when_it_is_due_and_not_before(run, tmp_path):
    assert "wraps until" in run("rotate-keys")["done"][0]
    assert len(keys(tmp_path)) == 1

    path = tmp_path / "ring.json"
    path.unlink()
    LocalKeyring.create(path, datetime.now(timezone.utc) - timedelta(days=91))
    assert "has the new key" in run("rotate-keys")["done"][0]
    assert len(keys(tmp_path)) == 2


def test_a_backup_of_several_keys_is_lost_with_any_of_them(run, tmp_path):
    back_up(run, tmp_path, "under the first key")
    run("rotate-keys", "--now")
    (tmp_path / "media" / "other.txt").write_text("under the second key")
    run("back-up-files", "--tree", "media")  # refers to the pack of the first

    protects = {one["key"]: one for one in run("show-keys")["protect"]}

    first, second = (f"backstop-local/{key}" for key in keys(tmp_path))
    assert (protects[first]["backups"], protects[first]["only_key_of"]) == (2, 2)
    assert (protects[second]["backups"], protects[second]["only_key_of"]) == (1, 1)


def test_a_key_stays_for_a_target_that_has_other_keys_since(run, tmp_path, monkeypatch):
    monkeypatch.setattr(removal, "SETTLED", timedelta(0))
    back_up(run, tmp_path, "under the first key")
    first = keys(tmp_path)[0]
    run("rotate-keys", "--now")
    targets = tmp_path / "targets.yaml"
    other = f"{{storage: local, path: {tmp_path}/new.json, signing: {tmp_path}/signing}}"
    text = targets.read_text().replace("    keys: lab\n", "    keys: new\n")
    targets.write_text(text.replace("keys:\n", f"keys:\n  new: {other}\n", 1))

    refused = run("rotate-keys", "--keys", "lab", "--remove", first, code=EXIT_IN_USE)["error"]["message"]

    assert f"key {first} is needed by 1 backups" in refused


@pytest.mark.parametrize("change", [("  calibrify:", "  renamed:"), ("[near]", "[far]")])
def test_a_key_stays_for_backups_that_no_target_names_any_more(run, tmp_path, monkeypatch, change):
    monkeypatch.setattr(removal, "SETTLED", timedelta(0))
    back_up(run, tmp_path, "under the first key")
    first = keys(tmp_path)[0]
    run("rotate-keys", "--now")
    targets = tmp_path / "targets.yaml"
    far = f"repositories:\n  far: {{type: posix, path: {tmp_path}/far}}\n"
    targets.write_text(targets.read_text().replace(*change).replace("repositories:\n", far, 1))
    (tmp_path / "far").mkdir(mode=0o700)
    (tmp_path / "far" / "repository.json").write_text('{"format":1,"id":"0123456789abcdef"}')
    if change[1] == "  renamed:":
        run("back-up-files", "--tree", "media")

    refused = run("rotate-keys", "--remove", first, code=EXIT_IN_USE)["error"]["message"]

    assert f"key {first} is needed by 1 backups" in refused
    assert first in keys(tmp_path)


def test_who_cannot_see_what_else_a_repository_holds_removes_no_key_or_vouches_for_it(
    run, tmp_path, monkeypatch
):
    monkeypatch.setattr(removal, "SETTLED", timedelta(0))
    first = keys(tmp_path)[0]
    back_up(run, tmp_path, "under the first key")
    run("rotate-keys", "--now")
    shutil.rmtree(tmp_path / "near" / "calibrify")  # as if all had expired
    targets = tmp_path / "targets.yaml"
    unused = f"repositories:\n  far: {{type: posix, path: {tmp_path}/far}}\n"
    targets.write_text(targets.read_text().replace("repositories:\n", unused, 1))

    refused = run("rotate-keys", "--remove", first, code=EXIT_IN_USE)["error"]["message"]

    assert "far, for targets that are described no more, could not be looked at" in refused
    run("rotate-keys", "--remove", first, "--described")
    assert first not in keys(tmp_path)


def offline_key(tmp_path) -> str:
    """Its id. New backups are wrapped with its public half, too."""
    pem = (
        rsa.generate_private_key(public_exponent=65537, key_size=4096)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    path = tmp_path / "escrow.pub"
    path.write_bytes(pem)
    path.chmod(0o644)
    targets = tmp_path / "targets.yaml"
    targets.write_text(targets.read_text().replace("{waived: test}", f"{{public_key: {path}}}"))
    (key,) = EscrowKeyring.load_public(path).key_ids
    return key


def test_what_an_offline_key_does_not_open_is_named_until_it_does(run, tmp_path):
    label = back_up(run, tmp_path, "before there was an offline key")
    offline = offline_key(tmp_path)

    (lack,) = run("show-keys")["not_opened"]
    assert (lack["key"], lack["backups"]) == (offline, 1)
    assert lack["examples"] == [f"{label} in near"]

    # A new backup that refers to the pack of then is not opened either, though its manifest names the key.
    (tmp_path / "media" / "other.txt").write_text("since")
    referring = run("back-up-files", "--tree", "media")["label"]
    (lack,) = run("show-keys")["not_opened"]
    assert lack["examples"] == [f"{referring} in near", f"{label} in near"]

    # As when the first has expired, and its packs are kept for the second.
    next((tmp_path / "near/calibrify/meta/manifests").rglob(f"{label}*")).unlink()
    (lack,) = run("show-keys", "--wal")["not_opened"]
    assert lack["examples"] == [f"{referring} in near"]


def test_an_offline_key_that_opens_everything_is_not_complained_of(run, tmp_path):
    offline_key(tmp_path)
    back_up(run, tmp_path, "anything")

    assert run("show-keys", "--wal")["not_opened"] == []


def test_what_a_restore_would_take_opens_and_is_named(run, three, tmp_path):
    opened = run("check-keys")["opened"]

    assert [(one["what"], one["error"]) for one in opened] == [
        ("oldest tree:media", None),
        ("newest tree:media", None),
    ]
    assert [one["keys"] for one in opened] == [
        [f"backstop-local/{keys(tmp_path)[0]}"],
        [f"backstop-local/{keys(tmp_path)[2]}"],
    ]


def test_a_key_that_has_gone_from_the_ring_is_missed_the_same_night(run, three, tmp_path):
    path = tmp_path / "ring.json"
    document = json.loads(path.read_text())
    document["keys"] = document["keys"][1:]
    path.write_text(json.dumps(document))

    oldest, newest = run("check-keys", code=1)["opened"]

    assert "no key of the ring opens" in oldest["error"]
    assert newest["error"] is None
