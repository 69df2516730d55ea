"""Drills from the command line: what is planned, what is said, and with which code it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from backstop.commands.progress import Silent
from backstop.credentials import default_credentials
from backstop.model.access import AccessRole
from backstop.model.drill_document import drill_from, sign_off_from
from backstop.model.drill_plan import DrillPlan
from backstop.model.evidence import EvidenceKind
from backstop.repository.evidence import evidence_of
from backstop.settings.arguments import utc_now
from backstop.settings.drill import TargetSurroundings
from backstop.targets import load_targets
from backstop.wiring import open_repository
from tests.cli.installation import runner
from tests.drilled import planned
from tests.evidenced import BASE, CONFIG, DISASTER, DRILL, FAILED_DRILL, MEDIA
from tests.making import Maker

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
WELL = replace(DRILL, components=(BASE, MEDIA), sign_off=None)
LATE = replace(WELL, components=(BASE, CONFIG))


class Ended(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(installation, capsys):
    plainly = runner(capsys)
    return lambda *argv: Ended(*plainly(*argv))


class Engine:
    def __init__(self):
        self.record = WELL
        self.asked = {}
        self.ran = []
        self.dead = []
        self.left = ()
        self.inventories = []
        self.turn = "all"

    def plan(self, **asked):
        self.asked = asked
        return planned(asked["scenario"] or self.turn)

    def run(self, plan):
        self.ran.append(plan)
        return self.record

    def found(self):
        return self.dead

    def tear_down(self, plan):
        return self.left


@pytest.fixture
def engine(installation, monkeypatch):
    from backstop.settings import drill

    engine = Engine()

    def open_drill(configuration, target, credentials, *, progress, attended):
        assert attended
        engine.inventories.append(configuration.inventory)
        return engine

    monkeypatch.setattr(drill, "open_drill", open_drill)
    return engine


@pytest.mark.parametrize(
    ("record", "code", "said"),
    [
        (WELL, 0, "passed, objectives met"),
        (LATE, 1, "passed, objectives MISSED"),
        (FAILED_DRILL, 4, "FAILED"),
        (replace(WELL, left_behind=("a folder",)), 4, "FAILED"),
    ],
)
def test_what_came_of_a_drill_is_printed_and_decides_the_exit_code(engine, run, record, code, said):
    engine.record = record

    ended = run("run-drill")

    assert ended.code == code
    assert said in ended.out
    assert "Verify data integrity" in ended.out


def test_a_component_that_took_too_long_or_did_not_come_back_says_so_in_its_line(engine, run):
    engine.record = LATE
    assert "too slow" in next(line for line in run("run-drill").out.splitlines() if "tree:config" in line)

    engine.record = FAILED_DRILL
    line = next(line for line in run("run-drill").out.splitlines() if line.startswith("base"))
    assert "not back" in line
    assert "is absent from local" in line


def test_a_program_gets_the_whole_record(engine, run):
    ended = run("run-drill", "--json")

    assert drill_from(json.loads(ended.out)["drill"]) == WELL


def test_a_moment_a_seed_and_a_scenario_can_be_asked_for(engine, run):
    run(
        "run-drill",
        "--scenario",
        "ransomware",
        "--seed",
        "7",
        "--moment",
        "2026-11-22T14:32:00Z",
        "--who",
        "ada",
    )

    assert engine.asked == {
        "scenario": "ransomware", "seed": "7", "moment": DISASTER, "requested_by": "ada"
    }  # fmt: skip


def test_a_dry_run_shows_the_plan_and_restores_nothing(engine, run):
    ended = run("run-drill", "--dry-run")
    document = json.loads(run("run-drill", "--dry-run", "--json").out)

    assert ended.code == 0
    assert "2026-11-22 14:32:00Z, everything is lost" in ended.out
    assert "20261122T013000Z-incr in local" in ended.out
    assert DrillPlan.from_dict(document["plan"]) == planned("all")
    assert engine.ran == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scenario", "flood"], "'flood' is no scenario; there are database, tree:<name>, all"),
        (["--moment", "yesterday"], "'yesterday' is no time with its zone"),
    ],
)
def test_what_is_no_scenario_or_no_moment_is_refused(engine, run, arguments, said):
    ended = run("run-drill", *arguments)

    assert ended.code == 2
    assert said in ended.err
    assert engine.ran == []


def test_what_killed_drills_left_is_removed_on_demand(engine, run):
    assert "nothing was left" in run("run-drill", "--tear-down").out

    engine.dead = [planned()]
    assert planned().drill_id in run("run-drill", "--tear-down").out

    engine.left = ("a folder could not be removed",)
    ended = run("run-drill", "--tear-down")
    assert (ended.code, engine.ran) == (1, [])
    assert "a folder could not be removed" in ended.err


# -- Airflow is lost -----------------------------------------------------------------------------------------


def test_a_drill_without_airflow_runs_where_airflow_cannot_be_imported(engine, run, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "airflow"]:
        monkeypatch.delitem(sys.modules, name)
    seen = []
    monkeypatch.setattr(engine, "run", lambda plan: seen.append(_importable("airflow")) or WELL)
    monkeypatch.setitem(sys.modules, "airflow", None)

    assert run("run-drill", "--scenario", "airflow").code == 0
    assert seen == [False]


def _importable(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def test_a_drill_without_airflow_knows_no_inventory_though_it_is_only_its_turn(
    engine, run, monkeypatch, installation
):
    monkeypatch.setitem(sys.modules, "airflow", None)
    path = installation / "targets.yaml"
    path.write_text(f"{path.read_text()}inventory: {{conn_id: inventory}}\n")
    engine.turn = "airflow"

    assert run("run-drill").code == 0

    assert [one is None for one in engine.inventories] == [False, True]
    assert engine.asked["scenario"] == "airflow"


def test_airflow_that_is_installed_is_out_of_reach_afterwards():
    code = (
        "from backstop.cli.verbs.drill import _without_airflow; _without_airflow()\n"
        "try:\n    import airflow.sdk\nexcept ImportError as error:\n    print('lost')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(PLUGINS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "lost\n"


def test_a_process_that_has_airflow_already_refuses_to_suppose_that_it_is_lost(engine, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "airflow", object())

    ended = run("run-drill", "--scenario", "airflow")

    assert ended.code == 2
    assert "Airflow has been imported" in ended.err
    assert engine.ran == []


# -- Signing off ---------------------------------------------------------------------------------------------


@pytest.fixture
def repositories(installation):
    for name in ("near", "far"):
        Maker.in_folder(installation, name).publish()
    return {name: repository_of(name) for name in ("near", "far")}


def repository_of(name):
    return open_repository(load_targets(), "calibrify", name, default_credentials(AccessRole.VERIFIER))


def signed(repository):
    """Who said what of the drill, as the evidence there has it."""
    chain = evidence_of(repository)
    record = chain.read(chain.head().number)
    assert (record.kind, record.subject) == (EvidenceKind.SIGN_OFF, DRILL.drill_id)
    return sign_off_from(record.document, drill_id=record.subject)


def test_a_sign_off_is_in_the_evidence_of_every_repository(repositories, run):
    ended = run(
        "sign-off-drill", "--drill", DRILL.drill_id, "--accepted", "--remarks", " fine ", "--who", "ada"
    )

    assert ended.code == 0
    assert "accepted, by ada" in ended.out
    for repository in repositories.values():
        said = signed(repository)
        assert (said.by, said.accepted, said.remarks) == ("ada", True, "fine")


def test_a_drill_that_must_be_done_again_is_signed_off_so(repositories, run):
    document = json.loads(run("sign-off-drill", "--drill", DRILL.drill_id, "--redo", "--json").out)

    assert document["accepted"] is False
    assert signed(repositories["far"]).accepted is False


def test_a_repository_that_did_not_take_a_sign_off_is_named(repositories, run, installation):
    (installation / "far").rename(installation / "away")
    (installation / "far").write_text("no folder")

    ended = run("sign-off-drill", "--drill", DRILL.drill_id, "--accepted")

    assert ended.code == 6
    assert "is not in repository far" in ended.err
    assert signed(repositories["near"]).accepted


def test_a_connection_that_one_repository_lacks_keeps_a_sign_off_out_of_no_other(
    repositories, run, installation
):
    lose_the_connection_of_far(installation)

    ended = run("sign-off-drill", "--drill", DRILL.drill_id, "--accepted")

    assert ended.code == 6
    assert f"the evidence of {DRILL.drill_id} is not in repository far: " in ended.err
    assert signed(repositories["near"]).accepted


def test_a_sign_off_needs_no_inventory_and_says_that_it_was_not_told(repositories, run, installation):
    targets = installation / "targets.yaml"
    targets.write_text(f"{targets.read_text()}inventory: {{conn_id: nowhere}}\n")

    ended = run("sign-off-drill", "--drill", DRILL.drill_id, "--accepted")

    assert ended.code == 6
    assert "the inventory cannot be opened: " in ended.err
    assert signed(repositories["near"]).accepted


def test_the_record_of_a_drill_says_which_repository_it_is_not_in(repositories, installation):
    lose_the_connection_of_far(installation)
    surroundings = TargetSurroundings(
        load_targets(), "calibrify", default_credentials(AccessRole.VERIFIER), Silent(), utc_now
    )

    (said,) = surroundings.keep(planned("all"), DRILL)

    assert said.startswith(f"the evidence of {DRILL.drill_id} is not in repository far: ")
    chain = evidence_of(repositories["near"])
    assert chain.read(chain.head().number).subject == DRILL.drill_id


def lose_the_connection_of_far(installation):
    targets = installation / "targets.yaml"
    text = targets.read_text()
    far = f"far: {{type: posix, path: {installation}/far}}"
    assert far in text
    targets.write_text(text.replace(far, "far: {type: s3, bucket: far, conn_id: gone, region: us-east-1}"))


def test_one_must_say_whether_it_was_accepted(installation, run):
    with pytest.raises(SystemExit):
        run("sign-off-drill", "--drill", DRILL.drill_id)
