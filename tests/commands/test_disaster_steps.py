"""The steps of a disaster, one by one, where files are lost: failing, redone, skipped, killed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backstop.commands.disaster.carry_out import carry_out
from backstop.commands.disaster.process import lives, this_process
from backstop.errors import (
    BackstopError,
    CommandError,
    ConfigurationError,
    LeaseHeldError,
    NotFoundError,
    RestoreError,
    StorageUnavailableError,
)
from backstop.model.canonical import format_time
from backstop.model.incident import EventKind
from backstop.repository.incidents import IncidentJournal
from backstop.settings import disaster as disaster_settings
from tests.evidenced import DRILL
from tests.lost_files import AS_IT_WAS, TARGET, LostFiles, content
from tests.making import STARTED

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("lost_files")

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Iterator[LostFiles]:
    with pytest.MonkeyPatch.context() as patch:
        yield LostFiles(tmp_path_factory.mktemp("lost"), patch)


@pytest.fixture
def lost(made) -> LostFiles:
    made.reset()
    return made


def states(disaster) -> dict[str, str]:
    return {one["step"]: one["state"] for one in disaster.status()["steps"]}


def newest_of(lost: LostFiles, tree: str) -> str:
    manifests = lost.folder / "near" / TARGET / "meta" / "manifests"
    return max(path.stem for path in manifests.glob(f"*-tree-{tree}.json"))


def spoil(lost: LostFiles, tree: str) -> None:
    """Other bytes in what ``near`` holds of it."""
    for stored in lost.payload(tree):
        size = stored.stat().st_size
        stored.unlink()  # the other repository may hold the same inode
        stored.write_bytes(b"x" * size)


def component(assessment, name):
    return next(one for one in assessment["components"] if one["component"] == name)


# -- Assessing -----------------------------------------------------------------------------------------------


def test_a_whole_tree_is_whole_and_what_has_come_since_the_backup_is_no_damage(lost):
    (lost.media / "new.jpg").write_text("new")

    assessment = lost.disasters().declare("something smells").assess()

    assert component(assessment, "tree:media")["state"] == "whole"
    assert "1 files are newer" in component(assessment, "tree:media")["sentence"]
    assert "tree:media" not in assessment["lost"]


def test_a_file_that_is_missing_or_changed_is_damage_and_is_named(lost):
    (lost.media / "a.jpg").unlink()
    (lost.media / "b.jpg").write_text("ransom!")

    found = component(lost.disasters().declare("files look odd").assess(), "tree:media")

    assert found["state"] == "damaged"
    assert "1 changed, 1 removed" in found["sentence"]
    assert any("removed" in line and "a.jpg" in line for line in found["details"])


def test_files_that_an_attacker_has_encrypted_are_damage_though_none_is_missing(lost):
    (lost.media / "b.jpg").write_text("ransom!")

    found = component(lost.disasters().declare("files look odd").assess(), "tree:media")

    assert (found["state"], "1 changed" in found["sentence"]) == ("damaged", True)


def test_a_tree_that_is_not_there_is_gone(lost):
    shutil.rmtree(lost.media)

    assessment = lost.disasters().declare("media are away").assess()

    assert component(assessment, "tree:media")["state"] == "gone"
    assert "tree:media" in assessment["lost"]


def test_a_tree_that_looks_whole_is_lost_all_the_same_when_somebody_says_so(lost):
    assessment = lost.disasters().declare("rows are wrong", components=["tree:media"]).assess()

    assert component(assessment, "tree:media")["declared"]
    assert "tree:media" in assessment["lost"]


def test_a_server_that_does_not_answer_is_lost_only_if_somebody_says_so(lost):
    assessment = lost.disasters().declare("no server").assess()

    assert component(assessment, "dump")["state"] == "unknown"
    assert any("start it" in line for line in component(assessment, "dump")["details"])
    assert (assessment["lost"], assessment["recommended"]) == ([], None)
    assert "dump" in lost.disasters().open().assess(components=["dump"])["lost"]


def test_a_database_that_nothing_leads_back_to_is_said(lost):
    assessment = lost.disasters().declare("no server", components=["database"]).assess()

    assert all("dump: nothing of it leads there" in one["impossible"] for one in assessment["options"])


def test_what_a_restore_has_proven_is_told_and_how_long_such_restores_took(lost):
    label = newest_of(lost, "media")
    for _ in range(3):
        lost.text("verify", "--label", label, "--repository", "near")

    assessment = lost.disasters().declare("x", components=["tree:media"]).assess()

    newest = next(one for one in assessment["options"] if one["id"] == "newest")
    [part] = [one for one in newest["parts"] if one["component"] == "tree:media"]
    assert (part["repository"], part["label"], part["proven"]) == ("near", label, True)
    assert part["forecast"]["samples"] == 3
    # Restores of so little may well have taken the same milliseconds.
    assert (
        0
        < part["forecast"]["low_seconds"]
        <= part["forecast"]["median_seconds"]
        <= part["forecast"]["high_seconds"]
    )


def test_a_forecast_learns_from_drills_too(lost, monkeypatch):
    monkeypatch.setattr(disaster_settings, "inventory_or_why", lambda *_: (object(), ""))
    monkeypatch.setattr("backstop.repository.drills.drills_of", lambda *_: [DRILL] * 3)

    assessment = lost.disasters().declare("x", components=["tree:media"]).assess()

    newest = next(one for one in assessment["options"] if one["id"] == "newest")
    assert newest["parts"][0]["forecast"]["samples"] == 3


def test_a_copy_whose_verification_failed_is_passed_over_and_named(lost):
    label = newest_of(lost, "media")
    spoil(lost, "media")
    lost.text("verify", "--label", label, "--repository", "near", code=4)

    assessment = lost.disasters().declare("x", components=["tree:media"]).assess()

    [passed_over] = assessment["passed_over"]
    assert passed_over.startswith(f"{label} in near: its last verification failed")
    parts = [part for one in assessment["options"] for part in one["parts"]]
    assert {part["repository"] for part in parts if part["component"] == "tree:media"} == {"far"}


def test_an_assessment_changes_nothing(lost):
    before = sorted(path for path in lost.media.rglob("*"))
    (lost.media / "a.jpg").unlink()

    lost.disasters().declare("a look").assess()

    assert sorted(path for path in lost.media.rglob("*")) == [one for one in before if one.name != "a.jpg"]


def test_one_repository_that_is_away_is_named_and_the_other_one_leads_back(lost):
    (lost.folder / "near").rename(lost.folder / "unmounted")

    assessment = lost.disasters().declare("near is gone too", components=["tree:media"]).assess()

    problems = {one["name"]: one["problem"] for one in assessment["repositories"]}
    assert problems["near"]
    assert problems["far"] == ""
    parts = [part for one in assessment["options"] for part in one["parts"]]
    assert {part["repository"] for part in parts} == {"far"}


# -- Declaring and choosing ----------------------------------------------------------------------------------


def test_the_clock_runs_from_when_it_was_noticed_and_the_journal_says_both(lost):
    noticed = datetime.now(timezone.utc) - timedelta(minutes=20)

    status = lost.disasters().declare("late", noticed_at=noticed).status()

    assert status["backdated"]
    assert status["elapsed_seconds"] > 20 * 60
    assert status["declared_at"] < status["recorded_at"]


def test_a_moment_that_lies_ahead_is_refused(lost):
    with pytest.raises(ConfigurationError, match="lies ahead"):
        lost.disasters().declare("early", noticed_at=datetime.now(timezone.utc) + timedelta(hours=1))


def test_a_component_that_the_target_has_not_is_refused_with_those_it_has(lost):
    with pytest.raises(NotFoundError, match="no component 'tree:medai'") as refused:
        lost.disasters().declare("typo", components=["tree:medai"])

    assert "tree:media" in refused.value.hint


def test_an_option_that_is_not_there_is_refused_with_those_that_are(lost):
    disaster = lost.disasters().declare("x", components=["tree:media"])
    disaster.assess()

    with pytest.raises(NotFoundError) as refused:
        disaster.choose("before")

    assert "newest" in refused.value.hint


def test_nothing_is_recovered_before_somebody_has_chosen(lost):
    disaster = lost.disasters().declare("x", components=["tree:media"])

    with pytest.raises(RestoreError, match="nobody has chosen"):
        disaster.recover("tree:media")
    with pytest.raises(RestoreError, match="nobody has chosen"):
        disaster.run("choose")


def test_an_approval_counts_for_the_very_plan_that_was_approved(lost):
    disaster = lost.chosen()
    approved = disaster.status()["plan_sha256"]
    lost.back_up()
    disaster.assess()
    disaster.choose("newest", components=["tree:media"])
    before = content(lost.media)

    with pytest.raises(RestoreError, match="not the one that is chosen now"):
        disaster.recover("tree:media", plan_sha256=approved)

    assert content(lost.media) == before
    assert states(disaster)["recover:tree:media"] == "open"


def test_an_incident_that_is_open_is_found_and_a_second_one_is_refused_until_it_is_closed(lost):
    first = lost.disasters().declare("one")
    assert lost.disasters().open().incident_id == first.incident_id

    with pytest.raises(ConfigurationError, match=f"{first.incident_id} of calibrify is open already"):
        lost.disasters().declare("two")

    first.close(outcome="a false alarm")
    assert lost.disasters().declare("two").incident_id != first.incident_id


def test_two_that_were_declared_at_once_must_be_told_apart(lost):
    first = lost.disasters().declare("one")
    said = {"by": "bob", "what": "two", "components": [], "clock_from": format_time(STARTED), "before": None}
    lost.disasters().journal.append("incident-20260101T000000Z-ffff", EventKind.DECLARED, said)

    with pytest.raises(ConfigurationError, match="2 open incidents"):
        lost.disasters().open()

    lost.disasters().open("incident-20260101T000000Z-ffff").close(outcome="it is the same")
    assert lost.disasters().open().incident_id == first.incident_id
    first.close(outcome="a false alarm")
    with pytest.raises(RestoreError, match="was closed"):
        first.assess()


# -- Recovering ----------------------------------------------------------------------------------------------


def test_lost_files_come_back_and_what_was_there_is_kept(lost):
    (lost.media / "a.jpg").unlink()
    (lost.media / "b.jpg").write_text("ransom!")
    disaster = lost.chosen()

    done = disaster.recover("tree:media")

    assert content(lost.media) == AS_IT_WAS
    assert done["outcome"] == "passed"
    [kept] = done["facts"]["kept"]
    assert (Path("/", kept.lstrip("/")) / "b.jpg").read_text() == "ransom!"
    assert [one["name"] for one in done["facts"]["phases"]] == ["restore", "validate", "swap"]
    assert lost.told == ["progress"]


def test_what_has_passed_is_not_done_again_unless_asked_for(lost):
    shutil.rmtree(lost.media)
    disaster = lost.chosen()
    disaster.recover("tree:media")
    (lost.media / "a.jpg").write_text("written since")

    again = lost.disasters().open().recover("tree:media")

    assert again["outcome"] == "passed"
    assert content(lost.media)["a.jpg"] == "written since"
    disaster.recover("tree:media", redo=True)
    assert content(lost.media) == AS_IT_WAS


def test_a_recovery_that_fails_at_its_end_leaves_the_files_that_were_live(lost):
    (lost.media / "a.jpg").write_text("live\n")
    lost.describe(media={"restore": {"after_restore": [["false"]]}})
    disaster = lost.chosen()

    with pytest.raises(CommandError, match="the former files are back"):
        disaster.recover("tree:media")

    assert content(lost.media)["a.jpg"] == "live\n"
    assert states(disaster)["recover:tree:media"] == "failed"
    lost.describe()
    lost.disasters().open().recover("tree:media")
    assert content(lost.media) == AS_IT_WAS


def test_a_backup_that_is_damaged_leaves_what_is_live_and_another_repository_brings_it_back(lost):
    (lost.media / "a.jpg").write_text("live\n")
    spoil(lost, "media")
    disaster = lost.chosen()

    with pytest.raises(BackstopError):
        disaster.recover("tree:media")

    assert content(lost.media)["a.jpg"] == "live\n"
    assert not [path for path in lost.media.parent.rglob("*") if path.name.startswith(".backstop-")]
    disaster.choose("repository:far", components=["tree:media"])
    disaster.recover("tree:media")
    assert content(lost.media) == AS_IT_WAS


def test_another_choice_is_another_recovery_and_the_same_one_is_not(lost):
    shutil.rmtree(lost.config)
    disaster = lost.chosen("tree:media", "tree:config")
    disaster.recover("tree:config")

    disaster.choose("repository:far", components=["tree:media", "tree:config"])
    assert states(disaster)["recover:tree:config"] == "open"

    disaster.choose("newest", components=["tree:media", "tree:config"])
    assert states(disaster)["recover:tree:config"] == "open"
    disaster.recover("tree:config")
    disaster.choose("newest", components=["tree:config"])
    assert states(disaster)["recover:tree:config"] == "passed"


# -- The other steps -----------------------------------------------------------------------------------------


def test_infrastructure_that_is_there_is_not_made_again(lost):
    lost.describe(infrastructure={"check": [["true"]], "prepare": [["touch", f"{lost.folder}/made"]]})

    done = lost.chosen().run("infrastructure")

    assert (done["outcome"], done["sentence"]) == ("passed", "it is there")
    assert not (lost.folder / "made").exists()


def test_infrastructure_that_is_not_there_is_brought_back_and_checked(lost):
    made = lost.folder / "made"
    lost.describe(infrastructure={"check": [["test", "-e", str(made)]], "prepare": [["touch", str(made)]]})

    done = lost.chosen().run("infrastructure")

    assert (done["outcome"], done["sentence"]) == ("passed", "it was brought back")


def test_infrastructure_that_cannot_be_brought_back_stops_before_anything_is_touched(lost):
    shutil.rmtree(lost.media)
    lost.describe(infrastructure={"prepare": [["false"]]})
    disaster = lost.chosen()

    failed = carry_out(disaster)

    assert list(failed) == ["infrastructure"]
    assert not lost.media.exists()
    assert states(disaster)["recover:tree:media"] == "open"
    disaster.skip("infrastructure", because="the new machine stands")
    assert carry_out(disaster) == {}
    assert content(lost.media) == AS_IT_WAS
    assert "left out by ada@test: the new machine stands" in json.dumps(disaster.status())


def test_a_component_that_does_not_come_back_does_not_hold_up_the_next_but_nothing_is_validated(lost):
    shutil.rmtree(lost.media)
    shutil.rmtree(lost.config)
    lost.describe(
        validation={"functionality": [{"name": "asked", "command": ["touch", f"{lost.folder}/asked"]}]}
    )
    disaster = lost.chosen("tree:config", "tree:media")
    for stored in lost.payload("config"):
        stored.unlink()

    failed = carry_out(disaster)

    assert list(failed) == ["recover:tree:config"]
    assert content(lost.media) == AS_IT_WAS
    assert not (lost.folder / "asked").exists()
    assert disaster.status()["closed_at"] is None


def test_a_probe_that_fails_keeps_the_incident_open_and_is_asked_again_alone(lost):
    shutil.rmtree(lost.media)
    works = lost.folder / "works"
    probe = {"name": "it works", "command": ["test", "-e", str(works)]}
    lost.describe(
        validation={"functionality": [probe], "integrations": [{"name": "mail", "command": ["true"]}]}
    )
    disaster = lost.chosen()

    failed = carry_out(disaster)

    assert list(failed) == ["validate:functionality"]
    assert "it works" in failed["validate:functionality"].message
    assert states(disaster)["validate:integrations"] == "passed"  # each is asked, whatever the others say
    assert (states(disaster)["tell:end"], "end" in lost.told) == ("open", False)
    works.touch()
    tries = disaster.state().step("recover:tree:media").tries
    assert carry_out(disaster) == {}
    assert disaster.state().step("recover:tree:media").tries == tries
    assert disaster.status()["outcome"] == "not everything is back: dump"  # its server is nowhere


def test_people_who_cannot_be_told_hold_up_nothing(lost):
    def tell(_, moment):
        raise OSError("no mail server")

    shutil.rmtree(lost.media)
    disaster = lost.chosen(tell=tell)

    assert carry_out(disaster) == {}

    assert content(lost.media) == AS_IT_WAS
    assert states(disaster)["tell:start"] == "failed"
    untold = {
        event.data["moment"]
        for event in disaster.events()
        if event.kind is EventKind.TOLD and "no mail server" in event.data["failed"]
    }
    assert untold == {"start", "progress", "end"}


def test_leaving_a_step_out_needs_a_reason(lost):
    disaster = lost.chosen()

    with pytest.raises(RestoreError, match="why is infrastructure left out"):
        disaster.skip("infrastructure", because="  ")
    with pytest.raises(NotFoundError, match="no step 'recover:dump'"):
        disaster.skip("recover:dump", because="it is not in the plan")


def test_a_component_left_out_is_no_component_that_is_back(lost):
    shutil.rmtree(lost.media)
    disaster = lost.chosen()
    disaster.skip("recover:tree:media", because="the disk is still being built in")

    assert carry_out(disaster) == {}

    assert disaster.status()["outcome"] == "not everything is back: tree:media, dump"


def test_waiting_for_people_is_not_counted_as_our_time(lost):
    clock = _Moving()
    shutil.rmtree(lost.media)
    disaster = lost.chosen(clock=clock)
    disaster.wait_began("an approver")
    clock.ahead += timedelta(minutes=30)
    disaster.wait_ended("grace")

    disaster.recover("tree:media")

    status = disaster.status()
    assert status["waited_seconds"] >= 30 * 60
    assert status["elapsed_seconds"] >= 30 * 60
    assert status["objectives"]["tree:media"]["taken_seconds"] < 5 * 60


class _Moving:
    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(timezone.utc) + self.ahead


# -- Killed, from elsewhere, with a repository down ----------------------------------------------------------

_KILLED = """\
import os, signal, sys
sys.path[:0] = {path!r}
from backstop.commands.trees.swap import Swap
from tests.lost_files import TARGET
from backstop.credentials import default_credentials
from backstop.model.access import AccessRole
from backstop.settings.disaster import Disasters
from backstop.targets import load_targets
import backstop.commands.trees.swap as swap
exchange = swap.exchange.replace
def killed(*given):
    exchange(*given)
    os.kill(os.getpid(), signal.SIGKILL)
swap.exchange.replace = killed
credentials = default_credentials(AccessRole.VERIFIER)
Disasters(load_targets(None), TARGET, credentials, by="bob@test").open().recover("tree:media")
"""


def test_killed_in_the_middle_of_a_swap_it_is_seen_and_the_next_run_ends_it(lost):
    (lost.media / "a.jpg").write_text("live\n")
    disaster = lost.chosen()
    script = _KILLED.format(path=[str(CHECKOUT / "plugins"), str(CHECKOUT)])

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert states(disaster)["recover:tree:media"] == "interrupted"
    assert carry_out(disaster) == {}
    assert content(lost.media) == AS_IT_WAS
    assert disaster.state().step("recover:tree:media").tries == 2


def test_a_step_that_runs_is_not_done_by_a_second_one(lost):
    disaster = lost.chosen()
    disaster.journal.append(
        disaster.incident_id,
        EventKind.STEP_BEGAN,
        {"step": "recover:tree:media", "by": "bob@test", **this_process()},
    )

    with pytest.raises(LeaseHeldError, match="is being done by bob@test"):
        disaster.recover("tree:media")

    assert states(disaster)["recover:tree:media"] == "running"


def test_a_step_begun_on_another_machine_is_taken_over_when_somebody_says_so(lost):
    shutil.rmtree(lost.media)
    disaster = lost.chosen()
    elsewhere = {"host": "db1", "process": ["another boot", "pid:[1]", 17, "4711"]}
    disaster.journal.append(
        disaster.incident_id, EventKind.STEP_BEGAN, {"step": "recover:tree:media", "by": "bob", **elsewhere}
    )
    assert states(disaster)["recover:tree:media"] == "running or interrupted"

    with pytest.raises(LeaseHeldError, match="cannot be seen from here") as refused:
        disaster.recover("tree:media")

    assert "--redo recover:tree:media" in refused.value.hint
    disaster.recover("tree:media", redo=True)
    assert content(lost.media) == AS_IT_WAS


def test_whether_a_process_lives_is_known_on_its_own_machine_alone():
    ours = this_process()
    ended = subprocess.Popen(["true"])
    ended.wait()

    assert lives(ours) is True
    assert lives({**ours, "process": [*ours["process"][:2], ended.pid, "1"]}) is False
    assert lives({**ours, "process": [*ours["process"][:3], "another start of that number"]}) is False
    assert lives({**ours, "process": ["another boot", *ours["process"][1:]]}) is None
    assert lives({}) is None


def test_with_one_repository_down_an_incident_is_declared_recovered_and_recorded(lost):
    shutil.rmtree(lost.media)
    (lost.folder / "near").rename(lost.folder / "unmounted")
    (lost.folder / "near").write_text("no directory at all")

    disaster = lost.chosen()
    assert carry_out(disaster) == {}

    assert content(lost.media) == AS_IT_WAS
    (lost.folder / "near").unlink()
    (lost.folder / "unmounted").rename(lost.folder / "near")
    journal = lost.disasters().journal
    assert disaster.incident_id in journal.incidents()
    # Nothing was ever written to the one that was away; the other one says all of it.
    assert not (lost.folder / "near" / TARGET / "meta" / "incidents").exists()
    assert journal.open_incidents() == []


def test_where_the_journal_cannot_be_written_nothing_is_begun(lost, monkeypatch):
    disaster = lost.chosen()
    (lost.media / "a.jpg").write_text("live\n")

    def refuse(*_):
        raise StorageUnavailableError("no repository takes it")

    monkeypatch.setattr(IncidentJournal, "append", refuse)
    with pytest.raises(StorageUnavailableError):
        disaster.recover("tree:media")

    assert content(lost.media)["a.jpg"] == "live\n"


def test_what_it_took_and_lost_is_evidence_in_every_repository(lost):
    shutil.rmtree(lost.media)
    disaster = lost.chosen()
    carry_out(disaster)

    record = disaster.state().step("record")

    assert record.facts["evidence"] == {"near": 1, "far": 1}
    evidence = lost.folder / "near" / TARGET / "meta" / "evidence"
    [document] = [json.loads(path.read_text()) for path in evidence.glob("*.json")]
    incident = document["document"]
    assert document["kind"] == "incident"
    media, dump = incident["components"]
    assert media["component"] == "tree:media"
    assert dump["failure"] == "it is not in the plan that was chosen"
    assert 0 < media["downtime"] < 600
    assert media["rto"] == 4 * 3600
    assert media["loss"] > 0
    assert {one["outcome"] for one in incident["checklist"]} == {"not applicable"}
