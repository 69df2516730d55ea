"""``init-keys`` and ``check-targets``: what comes before the first backup."""

from __future__ import annotations

import json

from backstop.crypto.keyring import LocalKeyring
from tests.cli.installation import CHECKOUT


def test_init_keys_keeps_what_is_there(run, installation):
    before = (installation / "ring.json").read_bytes()

    code, out, _ = run("init-keys")

    assert code == 0
    assert "left as it is" in out
    assert (installation / "ring.json").read_bytes() == before


def test_a_new_generation_wraps_from_now_on_and_the_former_one_stays(run, installation):
    ring = installation / "ring.json"
    (former,) = LocalKeyring.load(ring).generations

    code, out, _ = run("init-keys", "--new-generation")

    kept, newest = LocalKeyring.load(ring).generations
    assert code == 0
    assert kept == former
    assert newest.id in out
    assert LocalKeyring.load(ring).key_ids == (f"backstop-local/{newest.id}",)
    assert "copy the ring again" in out


def test_check_targets_passes_a_good_file_and_lists_the_mistakes_of_a_bad_one(run, installation):
    assert run("check-targets")[0] == 0
    bad = installation / "bad.yaml"
    bad.write_text("version: 2\nkeyz: {}\n")

    code, _, err = run("check-targets", "--targets", str(bad))
    as_json = json.loads(run("check-targets", "--targets", str(bad), "--json")[1])

    assert code == 2
    assert f"{bad}:1:10: version: expected 1, found 2" in err
    assert "did you mean 'keys'?" in err
    assert as_json["mistakes"][0]["line"] == 1


def test_check_targets_prints_the_schema(run):
    published = (CHECKOUT / "docs" / "targets.schema.json").read_text(encoding="utf-8")

    assert run("check-targets", "--schema") == (0, published, "")
