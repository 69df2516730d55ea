"""``watch-backups`` from the command line, against two real directories, without Airflow and inventory."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer
from backstop.settings.arguments import utc_now
from backstop.settings.watch_server import looks
from tests.cli.installation import runner
from tests.making import Maker


@pytest.fixture
def run(installation, capsys, monkeypatch):
    """The verb, of a target whose server, keys and disks are not looked at."""
    monkeypatch.setattr("backstop.settings.watch.looks", lambda *given: ())
    return runner(capsys, "watch-backups")


@pytest.fixture
def published(installation):
    """A proven dump of an hour ago in both repositories; its objects in the far one."""
    verifier = Signer.load(installation / "signing" / "proof.pem")
    started_at = utc_now() - timedelta(hours=1)
    for name in ("near", "far"):
        maker = Maker.in_folder(installation, name)
        published = maker.publish(started_at=started_at)
        maker.prove(published, signer=verifier)
    return [installation / "far" / stored.key for stored in published.manifest.objects]


def test_a_target_in_order_is_said_to_be_and_the_code_is_0(run, published):
    assert run() == (0, "in order: calibrify\n", "")


def test_a_warning_is_a_line_with_the_next_step_and_the_code_stays_0(run, published):
    published[0].unlink()

    code, out, _ = run("--target", "calibrify")

    assert code == 0
    assert out.startswith("warning: calibrify: 1 object of 2")
    assert "`python -m backstop check-objects --heal --target calibrify --repository far`" in out


def test_something_critical_ends_with_4_and_json_tells_the_same(run, installation, published):
    (near,) = (installation / "near").rglob(published[0].name)
    for path in (published[0], near):
        path.unlink()

    code, out, _ = run("--json")

    assert code == 4
    (target,) = json.loads(out)["targets"]
    assert target["target"] == "calibrify"
    assert {(one["check"], one["subject"], one["level"]) for one in target["findings"]} == {
        ("sync", "objects in far", "critical"),
        ("sync", "objects in near", "critical"),
    }
    assert target["findings"][0]["documentation"] == "docs/monitoring.md#sync"


def test_a_target_that_cannot_be_opened_is_one_critical_finding(run, installation):
    (installation / "signing" / "trusted.json").unlink()

    code, out, err = run()

    assert code == 4
    assert out.startswith("critical: calibrify: calibrify cannot be watched")
    assert "not looked at" in err


def test_a_machine_that_backs_up_with_an_old_copy_of_the_ring_is_noticed(
    installation, published, capsys, monkeypatch
):
    monkeypatch.setattr("backstop.settings.watch.looks", keys_alone)
    run = runner(capsys, "watch-backups", "--json")
    ring = LocalKeyring.load(installation / "ring.json")

    # A day before the dump, which the maker wrapped with the key from before.
    ring.add_generation(utc_now() - timedelta(hours=26))

    (target,) = json.loads(run()[1])["targets"]
    assert ("key", "ring copies") in {(one["check"], one["subject"]) for one in target["findings"]}


def keys_alone(*given):
    return tuple(one for one in looks(*given) if one.name == "keys")


def test_backups_that_a_target_left_behind_are_a_warning_about_no_single_target(run, installation, published):
    (installation / "near" / "calibrify").rename(installation / "near" / "blog")
    (installation / "near" / "calibrify").mkdir(mode=0o700)

    _, out, _ = run("--json")
    (found,) = json.loads(out)["repositories"]
    assert (found["check"], found["subject"], found["level"]) == ("undescribed", "repository near", "warning")
    assert "blog (1 backup, the newest " in found["sentence"]
    assert "warning: *: repository near keeps backups" in run()[1]
    assert "undescribed" not in run("--target", "calibrify", "--json")[1]
