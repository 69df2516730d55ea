"""Holds from the command line: in every repository that has the backup, and said where not."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from backstop.repository.holds import Holds
from backstop.settings.arguments import utc_now
from tests.cli.installation import runner
from tests.making import STARTED, Maker

LABEL = "20261123T010000Z-dump"


@pytest.fixture
def makers(installation):
    """Both repositories have one backup."""
    made = {name: Maker.in_folder(installation, name) for name in ("near", "far")}
    for maker in made.values():
        maker.publish()
    return made


@pytest.fixture
def run(makers, capsys):
    return runner(capsys)


def in_force(maker: Maker) -> list[str]:
    held = Holds(maker.repository).in_force(utc_now())
    return [hold.reason for row in held.values() for hold in row]


def test_a_hold_lies_in_every_repository_and_is_shown_by_who_why_and_until_when(run, makers):
    until = "2100-01-31T00:00:00+01:00"
    code, out, _ = run("hold", "--label", LABEL, "--reason", "audit", "--who", "ada", "--until", until)

    assert code == 0
    assert [in_force(maker) for maker in makers.values()] == [["audit"], ["audit"]]
    assert f"{LABEL} is held in near: hold 1 by ada until 2100-01-30 23:00Z: audit" in out
    _, table, _ = run("holds")
    assert table.splitlines()[1].split() == [
        LABEL, "1", "in", "force", "near,", "far", "ada", "2100-01-30", "23:00:00Z", "audit",
    ]  # fmt: skip


def test_list_and_show_tell_of_a_hold(run):
    run("hold", "--label", "latest", "--reason", "audit", "--who", "ada")

    assert "completed, not proven, held" in run("list")[1]
    assert "hold 1 by ada: audit" in run("show", "--label", LABEL)[1]
    [backup] = json.loads(run("list", "--json")[1])["targets"]["calibrify"]["backups"]
    assert [hold["reason"] for hold in backup["repositories"]["near"]["holds"]] == ["audit"]


def test_a_released_hold_is_shown_on_request_only(run, makers):
    run("hold", "--label", LABEL, "--reason", "audit")

    code, out, _ = run("release-hold", "--label", LABEL, "--who", "bob")

    assert code == 0
    assert "released in far" in out
    assert [in_force(maker) for maker in makers.values()] == [[], []]
    assert run("holds")[1] == "no holds\n"
    [hold] = json.loads(run("holds", "--all", "--json")[1])["targets"]["calibrify"]
    assert (hold["state"], hold["released_by"], hold["repositories"]) == (
        "released", "bob", {"near": 1, "far": 1},
    )  # fmt: skip
    assert "held" not in run("list")[1]


def test_of_several_holds_the_one_that_is_meant_has_to_be_named(run, makers):
    for reason in ("audit", "court"):
        run("hold", "--label", LABEL, "--reason", reason)

    code, _, err = run("release-hold", "--label", LABEL)
    assert code == 2
    assert "2 holds that could be meant" in err

    assert run("release-hold", "--label", LABEL, "--number", "2")[0] == 0
    assert [in_force(maker) for maker in makers.values()] == [["audit"], ["audit"]]


def test_a_number_that_means_another_hold_elsewhere_releases_nothing(run, makers):
    for name, reason in (("near", "audit"), ("far", "court")):
        label = makers[name].catalog.backups().backups[0].manifest.label
        Holds(makers[name].repository).place(label, reason=reason, who="ada", until=None, now=STARTED)

    assert run("release-hold", "--label", LABEL, "--number", "1")[0] == 2
    assert run("release-hold", "--label", LABEL, "--number", "1", "--repository", "far")[0] == 0

    assert [in_force(maker) for maker in makers.values()] == [["audit"], []]


def test_a_repository_that_cannot_be_reached_is_named_and_the_other_holds(run, makers, installation):
    (installation / "far").rename(installation / "gone")
    (installation / "far").write_text("not a directory")
    assert "no holds" not in run("holds")[1]

    code, out, err = run("hold", "--label", LABEL, "--reason", "audit")

    assert code == 6
    assert "is held in near" in out
    assert "not held in far" in err
    assert in_force(makers["near"]) == ["audit"]
    assert run("holds")[0] != 0

    (installation / "far").unlink()
    (installation / "gone").rename(installation / "far")
    code, out, _ = run("hold", "--label", LABEL, "--reason", "audit")

    assert code == 0, "said again, it catches up"
    assert [in_force(maker) for maker in makers.values()] == [["audit"], ["audit"]]
    [hold] = json.loads(run("holds", "--json")[1])["targets"]["calibrify"]
    assert hold["repositories"] == {"near": 1, "far": 1}


def test_a_repository_without_the_backup_is_named_and_no_failure(run, makers):
    makers["near"].publish(started_at=STARTED + timedelta(days=1))

    code, out, _ = run("hold", "--label", "20261124T010000Z-dump", "--reason", "audit")

    assert code == 0
    assert "20261124T010000Z-dump is not in far" in out
    assert run("release-hold", "--label", "20261124T010000Z-dump")[0] == 0


def test_a_backup_that_is_nowhere_cannot_be_held(run):
    code, _, err = run("hold", "--label", "20200101T000000Z-dump", "--reason", "audit")

    assert code == 3
    assert "nothing to hold" in err


def test_a_hold_needs_no_key_and_its_release_that_of_proofs(run, makers, installation):
    for key in ("proof.pem", "manifest.pem"):
        (installation / "signing" / key).rename(installation / key)

    assert run("hold", "--label", LABEL, "--reason", "audit")[0] == 0
    code, _, err = run("release-hold", "--label", LABEL)

    assert code == 1
    assert "proof.pem" in err
    assert in_force(makers["near"]) == ["audit"]


@pytest.mark.parametrize("until", ["2100-01-31", "9999-12-31T23:59:59-05:00"])
def test_a_time_without_a_zone_or_beyond_all_years_is_refused(run, until):
    code, _, err = run("hold", "--label", LABEL, "--reason", "audit", "--until", until)

    assert code == 2
    assert "no time with its zone" in err


def test_a_damaged_hold_is_listed_as_in_force_and_stands_out(run, makers):
    makers["near"].storage.put_once(f"calibrify/meta/holds/{LABEL}/1.json", b"?")

    assert "in force" in run("holds")[1]
    code, out, err = run("list")
    assert code == 4
    assert "held" in out
    assert "hold 1" in err
