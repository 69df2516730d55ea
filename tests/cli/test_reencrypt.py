"""``reencrypt`` on a tree, by what is typed: rotate, encrypt anew, and read it without the old key."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

import backstop.commands.keys.removal as removal
from backstop.crypto.keyring import LocalKeyring
from tests.cli.test_keys import EXIT_IN_USE, back_up, run  # noqa: F401  (a fixture)


def without_the_oldest_key(path):
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps({**document, "keys": document["keys"][1:]}))


def test_the_content_is_restored_with_the_new_key_alone(run, tmp_path):  # noqa: F811
    old = back_up(run, tmp_path, "secret")
    key = LocalKeyring.load(tmp_path / "ring.json").key_ids[0]
    run("rotate-keys", "--now")
    assert run("reencrypt", "--key", key, "--dry-run")["wanted"] == [old]

    report = run("reencrypt", "--key", key.partition("/")[2])

    assert report["complete"]
    new = report["successors"][old]
    without_the_oldest_key(tmp_path / "ring.json")
    run("restore-files", "--tree", "media", "--label", new, "--to", str(tmp_path / "restored"), "--yes")
    found = [path.read_text() for path in (tmp_path / "restored").rglob("file.txt")]
    assert found == ["secret"]


def test_a_compromised_key_is_gone_in_the_end_and_everything_is_still_restored(run, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(removal, "SETTLED", timedelta(0))
    contents = {back_up(run, tmp_path, content): content for content in ("first", "second")}
    key = LocalKeyring.load(tmp_path / "ring.json").generations[0].id
    run("rotate-keys", "--now")
    new = run("reencrypt", "--key", key)["successors"]
    assert key in run("rotate-keys", "--remove", key, code=EXIT_IN_USE)["error"]["message"]

    for label in new.values():
        run("verify", "--label", label)
    run("expire", "--yes")
    run("rotate-keys", "--remove", key)

    for number, (old, content) in enumerate(contents.items()):
        into = tmp_path / f"back{number}"
        run("restore-files", "--tree", "media", "--label", new[old], "--to", str(into), "--yes")
        assert next(into.rglob("file.txt")).read_text() == content


@pytest.mark.parametrize(
    ("key", "said"), [("typed-wrong", "no key has that id"), (None, "still wraps new backups")]
)
def test_a_key_that_is_none_and_a_key_that_is_in_use_are_refused(run, tmp_path, key, said, capsys):  # noqa: F811
    back_up(run, tmp_path, "secret")
    key = key or LocalKeyring.load(tmp_path / "ring.json").key_ids[0]

    from backstop.cli.main import main

    assert main(["reencrypt", "--key", key]) != 0
    assert said in capsys.readouterr().err
