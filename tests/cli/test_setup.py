"""``init-keys`` and ``check-targets``: what comes before the first backup."""

from __future__ import annotations

import json
import re
from datetime import timedelta

from moto.server import ThreadedMotoServer

from backstop.credentials import default_credentials
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.kms import kms_clients
from backstop.model.access import AccessRole
from backstop.targets import load_targets
from backstop.wiring import open_evidence_signer
from tests.cli.installation import CHECKOUT
from tests.mocked_kms import new_signing_key


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
    bad.write_text("version: 0\nkeyz: {}\n")

    code, _, err = run("check-targets", "--targets", str(bad))
    as_json = json.loads(run("check-targets", "--targets", str(bad), "--json")[1])

    assert code == 2
    assert f"{bad}:1:10: version: expected 1, found 0" in err
    assert "did you mean 'keys'?" in err
    assert as_json["mistakes"][0]["line"] == 1


def test_check_targets_prints_the_schema(run):
    published = (CHECKOUT / "docs" / "targets.schema.json").read_text(encoding="utf-8")

    assert run("check-targets", "--schema") == (0, published, "")


def test_init_keys_trusts_the_key_of_kms_that_signs_evidence(run, installation, monkeypatch):
    """Against moto: a MOCK of AWS KMS."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mock")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mock")
        arn = new_signing_key(kms_clients(endpoint_url=url))
        key = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
        text = (installation / "targets.yaml").read_text()
        kms = f"storage: aws-kms, key_arn: '{key}', evidence_key_arn: '{arn}', endpoint_url: '{url}', "
        text = re.sub(r"storage: local, path: [^,]+, ", kms, text).replace(", escrow: {waived: test}", "")
        (installation / "targets.yaml").write_text(text)

        code, out, _ = run("init-keys")
        again = run("init-keys")[1]

        signer = open_evidence_signer(
            load_targets(installation / "targets.yaml"), "calibrify", default_credentials(AccessRole.VERIFIER)
        )
    finally:
        server.stop()
    assert code == 0
    assert f"{arn} ({signer.key_id}) is trusted now" in out
    assert "is trusted already" in again
    trusted = json.loads((installation / "signing" / "trusted.json").read_text())["signers"]
    assert [one["algorithm"] for one in trusted if one["key"] == signer.key_id] == ["ecdsa-p256-sha256"]
    assert len(trusted) == 3


def fleet_of(installation, **files):
    """The installation's targets.yaml as a directory: what is shared, and the target's file."""
    import yaml

    document = yaml.safe_load((installation / "targets.yaml").read_text())
    targets = document.pop("targets")
    directory = installation / "targets"
    directory.mkdir(mode=0o700)
    (directory / "backstop.yaml").write_text(yaml.safe_dump({**document, "pools": {"s3": 8}}))
    for name, section in targets.items():
        (directory / f"{name}.yaml").write_text(yaml.safe_dump({"targets": {name: section}}))
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)
    return directory


def test_check_targets_names_a_broken_file_of_a_directory_and_what_it_disables(run, installation):
    directory = fleet_of(installation, web="targets:\n  web: {ownr: me}\n")

    code, out, err = run("check-targets", "--targets", str(directory))
    as_json = json.loads(run("check-targets", "--targets", str(directory), "--json")[1])

    assert code == 2
    assert f"{directory}/web.yaml:2:9: targets.web.ownr: unknown key; did you mean 'owner'?" in err
    assert "disabled until this is corrected: web" in err
    assert "targets that work: calibrify" in out
    assert {mistake["file"] for mistake in as_json["mistakes"]} == {f"{directory}/web.yaml"}


def test_a_verb_asked_for_a_disabled_target_says_why_and_for_another_works(run, installation):
    directory = fleet_of(installation, web="targets: [")

    code, _, err = run("list", "--targets", str(directory), "--target", "web")

    assert code == 2
    assert f"target web is disabled, because its file is wrong: {directory}/web.yaml:" in err
    assert "is disabled" not in run("list", "--targets", str(directory), "--target", "calibrify")[2]


def test_the_watch_of_all_targets_names_those_that_are_disabled(run, installation):
    directory = fleet_of(installation, web="targets: [")

    code, out, _ = run("watch-backups", "--targets", str(directory))

    assert code == 4
    assert "critical: web: web is neither backed up nor watched, because its file is wrong" in out


def test_no_key_is_removed_while_nobody_knows_what_a_disabled_target_stored(run, installation, monkeypatch):
    directory = fleet_of(installation, web="targets: [")
    monkeypatch.setattr("backstop.commands.keys.removal.SETTLED", timedelta(0))
    run("init-keys", "--targets", str(directory), "--target", "calibrify", "--new-generation")
    former, newest = LocalKeyring.load(installation / "ring.json").generations

    name = next(iter(load_targets(directory).keys))
    code, _, err = run("rotate-keys", "--targets", str(directory), "--keys", name, "--remove", former.id)

    assert code != 0
    assert "web.yaml" in err
    assert LocalKeyring.load(installation / "ring.json").generations == (former, newest)


def test_the_pools_are_printed_as_airflow_imports_them(run, installation):
    code, out, _ = run("pools", "--targets", str(fleet_of(installation)))

    assert code == 0
    assert json.loads(out)["s3"]["slots"] == 8
