"""Expiry from the command line: the plan with every reason, then the question, then the bytes."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pytest

from backstop.crypto.signing import Signer
from backstop.errors import IntegrityError, StorageUnavailableError
from backstop.repository.acceptances import Acceptances
from backstop.repository.catalog import Catalog
from backstop.settings.arguments import utc_now
from tests.cli.installation import install, runner
from tests.making import Maker

AGES = (50, 40, 3, 2, 1)


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """``near`` keeps 30 days, ``far`` everything; each has proven dumps of 50, 40, 3, 2 and 1 days ago."""
    return install(tmp_path, monkeypatch, retention="{near: 30d}")


@pytest.fixture
def makers(installation):
    made = {name: Maker.in_folder(installation, name) for name in ("near", "far")}
    verifier = Signer.load(installation / "signing" / "proof.pem")
    now = utc_now().replace(microsecond=0)  # once: a backup has the same label in both
    for maker in made.values():
        for days in AGES:
            started = now - timedelta(days=days)
            maker.prove(maker.publish(started_at=started), signer=verifier)
    return made


@pytest.fixture
def run(makers, capsys):
    return runner(capsys)


def labels(maker: Maker) -> list[str]:
    return [one.manifest.label.text for one in maker.catalog.backups().backups]


def test_a_dry_run_prints_every_backup_with_its_reason_and_removes_nothing(run, makers):
    before = labels(makers["near"])

    code, out, _ = run("expire", "--dry-run")

    assert code == 0
    near = out[out.index("near:") :].partition("far:")[0].splitlines()
    assert near[1].split() == ["LABEL", "KIND", "AGE", "PROVEN", "BECAUSE"]
    assert near[2].split()[:5] == [before[0], "dump", "49", "d", "yes"]
    assert "EXPIRES" in near[2]
    assert all("keep" in line for line in near[3:7])
    assert "near: 1 of 5 backups expire" in out
    assert "far: nothing expires, 5 backups are kept" in out
    assert labels(makers["near"]) == before


def test_what_may_go_is_removed_and_the_bytes_are_told(run, makers):
    code, out, _ = run("expire", "--yes")

    assert code == 0
    assert "near: 1 backups removed, " in out
    assert " freed" in out
    assert [len(labels(maker)) for maker in makers.values()] == [4, 5]
    assert "near: nothing expires, 4 backups are kept" in run("expire", "--yes")[1]


def test_with_nobody_to_ask_nothing_is_removed(run, makers, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)

    code, _, err = run("expire")

    assert code == 2
    assert "--yes" in err
    assert len(labels(makers["near"])) == 5


def test_whoever_does_not_say_yes_removes_nothing(run, makers, monkeypatch):
    monkeypatch.setattr("backstop.cli.verbs.expire.confirm", lambda question, *, yes: False)

    code, _, err = run("expire")

    assert code == 1
    assert "nothing has been changed" in err
    assert len(labels(makers["near"])) == 5


def test_what_a_backup_lets_go_that_comes_while_the_question_is_asked_stays(
    run, makers, monkeypatch, installation
):
    targets = installation / "targets.yaml"
    targets.write_text(targets.read_text().replace("near: 30d", "near: {keep_last: 4, min_proven: 1}"))
    first, *others = labels(makers["near"])

    def confirm(question: str, *, yes: bool) -> bool:
        published = makers["near"].publish(started_at=utc_now().replace(microsecond=0) - timedelta(hours=1))
        makers["near"].prove(published, signer=Signer.load(installation / "signing" / "proof.pem"))
        return True

    monkeypatch.setattr("backstop.cli.verbs.expire.confirm", confirm)

    assert run("expire")[0] == 0
    there = labels(makers["near"])
    assert first not in there
    assert there[:-1] == others


def test_a_held_backup_stays_and_the_plan_says_why(run, makers):
    oldest = labels(makers["near"])[0]
    run("hold", "--label", oldest, "--reason", "audit", "--who", "ada")

    _, out, _ = run("expire", "--yes")

    [line] = [one for one in out.partition("far:")[0].splitlines() if oldest in one]
    assert "hold 1 by ada: audit" in line
    assert oldest in labels(makers["near"])


def test_a_backup_whose_expiry_was_cut_off_can_still_be_held(run, makers, monkeypatch):
    oldest = labels(makers["near"])[0]

    def die(self, label: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "withdraw", die)
        assert run("expire", "--yes", "--repository", "near")[0] == 130

    code, _, err = run("hold", "--label", oldest, "--reason", "audit")
    assert code == 6
    assert "not held in near" in err
    assert "had begun when the hold was placed" in err
    run("expire", "--yes")

    assert oldest in labels(makers["near"])
    assert run("hold", "--label", oldest, "--reason", "audit")[0] == 0


def test_a_repository_that_fails_is_named_and_the_other_one_is_expired(run, makers, installation):
    (installation / "far" / "repository.json").write_text("?")
    damaged = installation / "far" / "calibrify" / "meta" / "holds" / "by hand.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("keep all")

    code, _, err = run("expire", "--yes")

    assert code == 4
    assert "nothing more was removed from far" in err
    assert len(labels(makers["near"])) == 4


def test_one_repository_alone_is_expired_when_it_is_named(run, makers):
    _, out, _ = run("expire", "--repository", "far", "--yes")

    assert "near" not in out
    assert len(labels(makers["near"])) == 5


def test_an_accepted_drop_is_signed_and_remembered(run, makers, installation):
    newest = labels(makers["near"])[-1]

    assert run("expire", "--accept", newest, "--yes", "--who", "ada")[0] == 0
    assert {one.text for one in Acceptances(makers["near"].repository).labels()} == {newest}

    code, _, err = run("expire", "--accept", "20200101T000000Z-dump", "--yes")
    assert code == 3
    assert "nothing to accept" in err


def test_as_json_the_plans_and_reports_of_all_repositories_are_one_document(run, makers):
    plan = json.loads(run("expire", "--dry-run", "--json")[1])
    assert plan["reports"] is None
    assert {one["repository"]: len(one["expires"]) for one in plan["plans"]} == {"near": 1, "far": 0}

    done = json.loads(run("expire", "--yes", "--json")[1])
    assert {one["repository"]: one["expired_total"] for one in done["reports"]} == {"near": 1, "far": 0}


def test_what_cannot_be_believed_is_named_and_the_rest_goes(run, makers):
    makers["near"].storage.put_once("calibrify/meta/manifests/20261101T010000Z-tree-media.json", b"?")

    code, _, err = run("expire", "--yes")

    assert code == 4
    assert "not to be trusted in near: " in err
    assert len(labels(makers["near"])) == 4


def test_a_failure_tells_how_far_it_came(run, makers, monkeypatch, installation):
    targets = installation / "targets.yaml"
    targets.write_text(targets.read_text().replace("near: 30d", "near: {keep_last: 1, min_proven: 1}"))
    withdraw, gone = Catalog.withdraw, []

    def fail_later(self, label: object) -> None:
        if gone:
            raise StorageUnavailableError("the disk went away")
        gone.append(label)
        withdraw(self, label)

    monkeypatch.setattr(Catalog, "withdraw", fail_later)

    code, out, err = run("expire", "--yes")

    assert code == 5
    assert "near: 1 backups removed, " in out
    assert "nothing more was removed from near: the disk went away" in err


def test_nothing_goes_from_a_repository_that_was_copied_by_hand(run, makers, installation):
    shutil.rmtree(installation / "far")
    shutil.copytree(installation / "near", installation / "far")
    before = labels(makers["near"])

    code, _, err = run("expire", "--yes", "--repository", "near")

    assert code == IntegrityError.exit_code
    assert "near and far have the same id" in err
    assert labels(makers["near"]) == before
