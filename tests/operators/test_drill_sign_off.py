"""A drill is closed by somebody who has seen what came of it, under their name."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone

import pytest
import yaml
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput

from backstop.errors import StorageUnavailableError
from backstop.hooks.target import TargetHook
from backstop.model.drill import CHECKLIST
from backstop.model.drill_document import drill_document
from backstop.model.measured import CheckedItem, Outcome
from backstop.notifications.runs import task_failed
from backstop.operators import drill_sign_off as signing
from backstop.operators.drill_sign_off import REMARKS_LIMIT, SignOffDrillOperator
from backstop.operators.drill_wording import drill_note
from backstop.operators.note import NOTE
from tests.evidenced import DRILL, FAILED_DRILL
from tests.operators.lab import context


@pytest.fixture
def kept(lab, monkeypatch):
    """What was put into evidence and inventory, by drill."""
    found = {}

    def keep(hook, drill_id, said):
        found[drill_id] = said
        return []

    monkeypatch.setattr(TargetHook, "sign_off_drill", keep)
    return found


def rules(lab, **sign_off):
    path = lab.folder / "targets.yaml"
    document = yaml.safe_load(path.read_text())
    document["targets"]["calibrify"]["drill"] = {"sign_off": sign_off}
    path.write_text(yaml.safe_dump(document))


def operator(record=DRILL):
    task = SignOffDrillOperator(
        task_id="sign_off", target="calibrify", record=json.dumps(drill_document(record))
    )
    task.record = json.loads(task.record)
    return task


def answer(option="Accepted", *, name="ada", remarks="", **event):
    return {
        "responded_by_user": {"id": "7", "name": name} if name else None,
        "responded_at": datetime.now(timezone.utc),
        "chosen_options": [option],
        "params_input": {"remarks": remarks},
        **event,
    }


def form(monkeypatch, record=DRILL):
    """What somebody is shown."""
    monkeypatch.setattr(
        signing.HITLOperator,
        "execute",
        lambda task, _: (_ for _ in ()).throw(TaskAwaitingInput(method_name="x")),
    )
    task = operator(record)
    with pytest.raises(TaskAwaitingInput):
        task.execute(context())
    return task


def test_the_form_shows_results_and_checklist_and_takes_remarks(kept, monkeypatch):
    task = form(monkeypatch)

    assert task.subject == "Drill of calibrify: passed, objectives missed. Is that as it should be?"
    assert "| `base` from local, `20261122T013000Z-incr` | 19 min 48 s | 1 h | 2.0 s | 5 min |" in task.body
    assert "**1 h 20 min ✗**" in task.body
    for title in CHECKLIST.values():
        assert f"✓ **{title}**: passed" in task.body
    assert f"/backstop/targets/calibrify/drills/{DRILL.drill_id})" in task.body
    assert task.params.get_param("remarks").schema["maxLength"] == REMARKS_LIMIT
    assert task.options == ["Accepted", "Do it again"]


def test_the_form_of_a_drill_that_failed_names_everything_that_is_wrong(kept, monkeypatch):
    task = form(monkeypatch, FAILED_DRILL)

    assert task.subject.startswith("Drill of calibrify: failed.")
    assert "base did not come back: segment 0000000100000012000000A4 is absent" in task.body
    assert "○ **Verify data integrity**: not done" in task.body
    assert "left behind: scratch /var/lib/backstop/drill-77aa" in task.body


def test_the_form_shows_what_files_are_called_and_takes_none_of_it_for_markup(kept, monkeypatch):
    name = "/srv/x](https://evil/) ![](https://evil/pixel) | **Verify data integrity**: passed\n- ✓ `all` <b>"
    line = CheckedItem(
        "integrity", "tree:media", Outcome.FAILED, "the files differ", (f"{name}: other content",)
    )
    record = replace(FAILED_DRILL, checklist=(line,), seed="7` **passed** `", notes=(name,))
    task = form(monkeypatch, record)
    note = drill_note(record)

    for text in (task.body, note):
        assert "](https" not in text.replace("\\]", "")
        assert "![" not in text
        assert "\n- ✓ `all`" not in text
        assert " **passed** `" not in text.replace("`7 **passed** `", "")
    assert "/srv/x\\](https://evil/)" in task.body


def test_the_form_waits_as_long_as_the_target_says(kept, lab, monkeypatch):
    rules(lab, within="2d")

    assert form(monkeypatch).response_timeout.days == 2


def test_a_target_that_requires_no_sign_off_is_not_asked(kept, lab):
    rules(lab, required=False)

    with pytest.raises(AirflowSkipException, match=r"drill\.sign_off\.required"):
        operator().execute(context())
    assert kept == {}


def test_whoever_accepts_is_named_with_their_remarks(kept):
    within = context()

    result = operator().execute_complete(within, answer(remarks=" Media first next time. "))

    said = kept[DRILL.drill_id]
    assert (said.by, said.accepted, said.remarks) == ("ada", True, "Media first next time.")
    assert result["by"] == "ada"
    assert "signed off by ada" in within["ti"].pushed[NOTE]
    assert "**accepted**" in within["ti"].pushed[NOTE]


def test_a_drill_that_is_to_be_done_again_is_recorded_so_and_is_red(kept):
    within = context()

    with pytest.raises(
        AirflowFailException, match=r"ada wants drill .* done again: too slow .* moment 2026-11-22T14:32:00"
    ):
        operator().execute_complete(within, answer("Do it again", remarks="too slow"))

    assert kept[DRILL.drill_id].accepted is False
    assert "**to be done again**" in within["ti"].pushed[NOTE]


def test_a_drill_that_nobody_signs_off_is_red_and_somebody_is_told(kept):
    task = operator()

    with pytest.raises(AirflowFailException, match=r"nobody signed drill .* off within 7 days"):
        task.execute_complete(context(), {"error": "timed out", "error_type": "timeout"})

    assert kept == {}
    assert task.on_failure_callback == [task_failed]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (answer(name=""), "has no name to it"),
        (answer("Fine"), r"ada answered \['Fine'\]"),
        (answer(chosen_options=["Accepted", "Do it again"]), "ada answered"),
        (answer(remarks="x" * (REMARKS_LIMIT + 1)), "no text of at most"),
        (answer(remarks=["x"]), "no text of at most"),
    ],
)
def test_an_answer_that_is_none_signs_nothing_off(kept, given, said):
    with pytest.raises(AirflowFailException, match=said):
        operator().execute_complete(context(), given)
    assert kept == {}


def test_remarks_may_be_left_out(kept):
    operator().execute_complete(context(), answer(params_input=None))

    assert kept[DRILL.drill_id].remarks == ""


def test_a_sign_off_that_no_repository_took_is_none(lab, monkeypatch):
    def fail(hook, drill_id, said):
        raise StorageUnavailableError("no repository answers", hint="try again")

    monkeypatch.setattr(TargetHook, "sign_off_drill", fail)

    with pytest.raises(StorageUnavailableError):
        operator().execute_complete(context(), answer())
