"""The steps of a drill in Airflow: what each hands on, and what is red."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from backstop.commands.drill.restored import RestoredComponent
from backstop.hooks.command_line import credentials_folder
from backstop.hooks.target import TargetHook
from backstop.model.checked_document import checked_document
from backstop.model.drill import CHECKLIST
from backstop.model.drill_document import drill_document, drill_from
from backstop.model.drill_plan import DrillPlan
from backstop.model.measured import CheckedItem, Outcome
from backstop.operators.drill import (
    LEFT_BEHIND,
    RESTORED,
    PlanDrillOperator,
    PrepareDrillOperator,
    RestoreDrillOperator,
    TearDownDrillOperator,
)
from backstop.operators.drill_record import CheckDrillOperator, RecordDrillOperator
from backstop.operators.drill_verdict import ChecklistItemOperator, JudgeDrillOperator
from backstop.operators.note import NOTE, NOTE_LIMIT
from tests.drilled import planned
from tests.evidenced import BASE, CONFIG, DISASTER, DRILL, FAILED_DRILL, MEDIA, NOON
from tests.operators.lab import context

TARGET = "calibrify"
BEGUN = '["base", "tree:config"]'
GONE = replace(BASE, recovered_to=None, downtime=None, failure="segment A4 is absent from local")


class Engine:
    """Stands for the engine: what each step was given, and what it is to find."""

    def __init__(self):
        self.given = {}
        self.recovered = {"base": BASE, "tree:config": CONFIG}
        self.checked = tuple(CheckedItem(item, "", Outcome.PASSED, f"{item} is well") for item in CHECKLIST)
        self.left = ()
        self.dead = []
        self.calls = []

    def plan(self, **asked):
        self.given = asked
        return planned(asked["scenario"] or "all")

    def found(self):
        return self.dead

    def prepare(self, plan):
        self.calls.append("prepare")

    def restore(self, plan, component):
        self.calls.append(component)
        return RestoredComponent(recovery=self.recovered[component])

    def check(self, plan, restored):
        self.given = {"restored": restored}
        return self.checked

    def tear_down(self, plan):
        self.calls.append(f"tear down {plan.drill_id}")
        return self.left

    def record(self, plan, restored, checklist, left_behind):
        self.given = {"restored": restored, "checklist": checklist, "left": left_behind}
        return replace(
            DRILL,
            components=tuple(one.recovery for one in restored),
            checklist=tuple(checklist),
            left_behind=tuple(left_behind),
        )


@pytest.fixture
def engine(monkeypatch):
    engine = Engine()
    monkeypatch.setattr(TargetHook, "drill", lambda hook, progress: engine)
    return engine


def step(operator, scenario="all", within=None, **more):
    """What a task of it returns, which must be fit for an XCom."""
    given = {"plan": planned(scenario).to_dict(), **more}
    task = operator(task_id="step", target=TARGET, **given)
    result = task.execute(within or context())
    assert json.loads(json.dumps(result)) == result
    return result


# -- Planning ------------------------------------------------------------------------------------------------


def plan(**arguments):
    return PlanDrillOperator(task_id="plan", target=TARGET, **arguments).execute(context(by=None))


def test_what_is_left_empty_is_for_the_engine_to_draw(engine):
    plan()

    assert engine.given == {
        "scenario": None,
        "seed": None,
        "moment": None,
        "requested_by": "the schedule",
    }


def test_a_scenario_a_seed_and_a_moment_can_be_asked_for(engine):
    document = plan(scenario="ransomware", seed=" 7 ", moment="2026-11-22T14:32:00Z")

    assert DrillPlan.from_dict(document).scenario == "ransomware"
    assert engine.given["seed"] == "7"
    assert engine.given["moment"] == DISASTER


def test_a_moment_without_its_zone_is_refused(engine):
    with pytest.raises(AirflowFailException, match="no time with its zone"):
        plan(moment="2026-11-22 14:32")


# -- Restoring -----------------------------------------------------------------------------------------------


def test_there_is_one_restore_for_each_component(engine):
    assert step(PrepareDrillOperator) == ["base", "tree:config"]
    assert engine.calls == ["prepare"]


def test_no_task_restores_anything_where_airflow_is_supposed_to_be_lost(engine):
    assert step(PrepareDrillOperator, "airflow") == []
    with pytest.raises(AirflowSkipException):
        step(CheckDrillOperator, "airflow", prepared="[]", restored="null")


def test_a_component_that_does_not_come_back_is_red_and_still_says_how_far_it_came(engine):
    engine.recovered["base"] = GONE
    within = context()

    with pytest.raises(AirflowFailException, match=r"base of calibrify did not come back: segment A4"):
        step(RestoreDrillOperator, within=within, component="base")

    assert RestoredComponent.from_dict(within["ti"].pushed[RESTORED]).recovery == GONE


def test_without_a_plan_nothing_is_restored_and_nothing_recorded(engine):
    for operator, more in (
        (PrepareDrillOperator, {}),
        (
            RecordDrillOperator,
            {"prepared": None, "restored": None, "checked": None, "left_behind": None, "alone": None},
        ),
    ):
        task = operator(task_id="x", target=TARGET, plan="null", **dict.fromkeys(more, "null"))
        with pytest.raises(AirflowFailException, match="no drill of calibrify was planned"):
            task.execute(context())
    assert engine.calls == []


# -- Checking, taking down, recording ------------------------------------------------------------------------


def pushed(*recoveries):
    """As Airflow hands what mapped tasks pushed to a template: a single one without a list around it."""
    found = [RestoredComponent(recovery=one).to_dict() for one in recoveries]
    return json.dumps(found[0] if len(found) == 1 else found or None)


@pytest.mark.parametrize("recoveries", [(), (CONFIG,), (GONE, CONFIG)])
def test_whatever_came_back_is_checked(engine, recoveries):
    result = step(CheckDrillOperator, prepared=BEGUN, restored=pushed(*recoveries))

    assert [one.recovery for one in engine.given["restored"]] == list(recoveries)
    assert [one["sentence"] for one in result] == [f"{item} is well" for item in CHECKLIST]


def record(engine, within=None, *, recoveries=(BASE, CONFIG), checked=None, left="[]"):
    said = (
        step(CheckDrillOperator, prepared=BEGUN, restored=pushed(*recoveries)) if checked is None else checked
    )
    return step(
        RecordDrillOperator,
        within=within,
        prepared=BEGUN,
        restored=pushed(*recoveries),
        checked=json.dumps(said),
        left_behind=left,
        alone="null",
    )


def test_the_record_has_what_each_task_found(engine):
    within = context()

    document = record(engine, within)

    assert [one["component"] for one in document["components"]] == ["base", "tree:config"]
    assert engine.given["checklist"] == list(engine.checked)
    assert "`base` from local: back after 19 min 48 s" in within["ti"].pushed[NOTE]


def test_a_checklist_that_was_killed_is_no_checklist_on_which_nothing_was_found(engine):
    document = record(engine, checked=[])

    assert {one.outcome for one in engine.given["checklist"]} == {Outcome.NOT_DONE}
    assert [one["item"] for one in document["checklist"]] == list(CHECKLIST)
    assert not drill_from(document).passed


def test_a_line_of_the_checklist_that_nobody_came_to_was_not_done(engine):
    one = CheckedItem("integrity", "base", Outcome.PASSED, "131 tables match")

    document = record(engine, checked=[checked_document(one)])

    outcomes = {line["item"]: line["outcome"] for line in document["checklist"]}
    assert outcomes == {item: "passed" if item == "integrity" else "not done" for item in CHECKLIST}


def test_a_drill_of_which_nothing_is_known_is_recorded_all_the_same(engine):
    document = record(engine, checked=[], recoveries=())

    assert engine.given["restored"] == []
    assert not drill_from(document).passed


def test_a_drill_that_was_not_begun_is_not_checked_and_leaves_no_record(engine):
    with pytest.raises(AirflowSkipException, match="not begun"):
        step(CheckDrillOperator, prepared="null", restored="null")
    with pytest.raises(AirflowFailException, match="was not begun, so there is nothing to record"):
        step(
            RecordDrillOperator,
            prepared="null",
            restored="null",
            checked="null",
            left_behind="null",
            alone="null",
        )
    assert engine.given == {}


def test_a_teardown_that_leaves_something_is_red_and_recorded(engine):
    engine.left = ("/scratch/drill/base could not be removed",)
    within = context()

    with pytest.raises(AirflowFailException, match="left something behind: /scratch/drill/base"):
        step(TearDownDrillOperator, within=within)
    document = record(engine, left=json.dumps(within["ti"].pushed[LEFT_BEHIND]))

    assert document["left_behind"] == list(engine.left)


def test_what_a_killed_command_line_left_is_torn_down_too(engine, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    credentials = credentials_folder(DRILL.drill_id)
    credentials.mkdir()
    engine.dead = [replace(planned("airflow"), drill_id="drill-of-its-own")]

    step(TearDownDrillOperator, "airflow")

    assert engine.calls == ["tear down drill-of-its-own"]
    assert not credentials.exists()


def test_a_teardown_that_said_nothing_is_not_taken_for_a_clean_one(engine):
    document = record(engine, left="null")

    assert document["left_behind"] == ["whether anything is left is not known: `tear_down` came to no end"]


def test_the_record_of_the_command_line_is_taken_as_it_is_and_entered_into_the_inventory(engine, monkeypatch):
    alone = replace(DRILL, scenario="airflow", notes=("carried out by the command line alone",))
    entered = []
    monkeypatch.setattr(TargetHook, "inventory", lambda hook: "inventory")
    monkeypatch.setattr("backstop.repository.drills.store_drill", lambda *given: entered.append(given))

    document = step(
        RecordDrillOperator,
        "airflow",
        prepared="[]",
        restored="null",
        checked="null",
        left_behind="[]",
        alone=json.dumps(drill_document(alone)),
    )

    assert drill_from(document) == alone
    assert entered == [("inventory", alone)]


def test_a_command_line_that_came_to_no_end_leaves_nothing_to_record(engine):
    with pytest.raises(AirflowFailException, match="the command line did not come to the end of its drill"):
        step(
            RecordDrillOperator,
            "airflow",
            prepared="[]",
            restored="null",
            checked="null",
            left_behind="[]",
            alone="null",
        )


# -- Judging -------------------------------------------------------------------------------------------------


def judge(record):
    task = JudgeDrillOperator(task_id="judge", target=TARGET, record=json.dumps(drill_document(record)))
    return task.execute(context())


WELL = replace(DRILL, components=(BASE, MEDIA))


def test_a_drill_that_met_its_objectives_is_green():
    assert judge(WELL) == {"drill_id": DRILL.drill_id, "objectives_met": True}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (DRILL, "passed, objectives missed: tree:config took 1 h 20 min, 1 h are allowed"),
        (
            replace(WELL, components=(replace(BASE, loss=timedelta(minutes=7)),)),
            "base lost 7 min, 5 min are allowed",
        ),
        (FAILED_DRILL, "failed: base did not come back: segment 0000000100000012000000A4 is absent"),
        (replace(WELL, left_behind=("a folder",)), "failed: left behind: a folder"),
        (replace(WELL, components=()), "failed: nothing was restored"),
        (
            replace(WELL, checklist=(CheckedItem("integrity", "base", Outcome.FAILED, "a page is bad"),)),
            r"failed: Verify data integrity \(base\): a page is bad",
        ),
    ],
)
def test_a_drill_that_fell_short_is_red_and_says_of_what(record, said):
    with pytest.raises(AirflowFailException, match=said):
        judge(record)


def line(item, record=DRILL):
    task = ChecklistItemOperator(
        task_id="checklist", target=TARGET, record=json.dumps(drill_document(record)), item=item
    )
    return task.execute(context())


def test_each_line_of_the_checklist_is_red_or_green_by_itself():
    assert {line(item)["outcome"] for item in CHECKLIST} == {"passed"}

    with pytest.raises(AirflowFailException, match="Restore the test database: base: the cluster was not"):
        line("restore", FAILED_DRILL)
    with pytest.raises(AirflowFailException, match=r"nothing to look into \(not done\)"):
        line("integrity", FAILED_DRILL)
    assert line("configuration", FAILED_DRILL)["outcome"] == "passed"


def test_a_line_for_which_the_target_has_nothing_is_skipped():
    with pytest.raises(AirflowSkipException, match=r"targets\.yaml has no probe for it"):
        line("functionality", FAILED_DRILL)


def test_a_line_that_nobody_checked_is_red():
    with pytest.raises(AirflowFailException, match="Check file permissions: nothing was checked"):
        line("permissions", FAILED_DRILL)


def test_without_a_record_nothing_is_judged():
    task = JudgeDrillOperator(task_id="judge", target=TARGET, record="null")
    with pytest.raises(AirflowFailException, match="no drill of calibrify was recorded"):
        task.execute(context())


def test_a_note_is_never_longer_than_airflow_takes():
    from backstop.operators.drill_wording import drill_note

    many = tuple(CheckedItem("integrity", "base", Outcome.FAILED, "x" * 90) for _ in range(40))
    note = drill_note(replace(DRILL, checklist=many))

    assert len(note) <= NOTE_LIMIT
    assert note.splitlines()[-1] == "- … see the report of `record`"


def test_a_note_that_is_signed_keeps_its_lines_whole():
    from backstop.operators.drill_wording import answered_note

    many = tuple(CheckedItem("integrity", "base", Outcome.FAILED, "x" * 90) for _ in range(40))
    note = answered_note(replace(DRILL, checklist=many), by="ada", accepted=True, now=NOON)

    assert len(note) <= NOTE_LIMIT
    *_, pointer, last = note.splitlines()
    assert pointer == "- … see the report of `record`"
    assert last.endswith("**accepted**")


def test_what_only_follows_from_a_component_that_is_not_back_is_not_said_twice():
    from backstop.operators.drill_wording import shortfalls

    checklist = (
        CheckedItem("restore", "base", Outcome.FAILED, f"the cluster is not back: {GONE.failure}"),
        CheckedItem("functionality", "", Outcome.NOT_DONE, f"the database is not back: {GONE.failure}"),
        CheckedItem("configuration", "tree:config", Outcome.FAILED, "nginx -t found a fault"),
    )
    said = shortfalls(replace(DRILL, components=(GONE,), checklist=checklist))

    assert said == [
        f"base did not come back: {GONE.failure}",
        "Validate configuration (tree:config): nginx -t found a fault",
    ]
