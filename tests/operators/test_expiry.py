"""Expiry as tasks do it: what was shown goes, with consent where much goes, and never more."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
import yaml
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from backstop.crypto.signing import Signer
from backstop.errors import StorageUnavailableError
from backstop.operators.approval import NOT_REQUIRED
from backstop.operators.expiry import (
    CarryOutExpiryOperator,
    PlanExpiryOperator,
    ReportExpiryOperator,
    ShowExpiryOperator,
    StopExpiryDryRunOperator,
)
from backstop.operators.expiry_approval import ApproveExpiryOperator
from backstop.operators.expiry_wording import plan_note
from backstop.operators.note import NOTE
from backstop.repository.acceptances import Acceptances
from backstop.repository.holds import Holds
from backstop.settings.arguments import utc_now
from tests.making import Maker
from tests.operators.lab import Lab, context

NAMES = ("local", "far")


@pytest.fixture
def makers(lab):
    """``local`` keeps 30 days, ``far`` 90; both have proven dumps of 1, 2, 3, 40 and 50 days ago."""
    configure(lab)
    signing = lab.folder / "signing"
    made = {name: Maker.in_folder(lab.folder, name) for name in NAMES}
    verifier = Signer.load(signing / "proof.pem")
    for maker in made.values():
        for days in (50, 40, 3, 2, 1):
            started = utc_now().replace(microsecond=0) - timedelta(days=days)
            maker.prove(maker.publish(started_at=started), signer=verifier)
    return made


def configure(lab: Lab, **expiry) -> None:
    document = yaml.safe_load((lab.folder / "targets.yaml").read_text())
    target = document["targets"]["calibrify"]
    target["database"]["retention"] = {"local": "30d", "far": "90d"}
    target["expiry"] = expiry
    (lab.folder / "targets.yaml").write_text(yaml.safe_dump(document))


def labels(maker: Maker) -> list[str]:
    return [one.manifest.label.text for one in maker.catalog.backups().backups]


def plan_of(name: str, **given) -> dict:
    # As text, because Airflow renders the fields of a mapped task without asking the operator.
    given.setdefault("accept", "[]")
    task = PlanExpiryOperator(task_id="plan", target="calibrify", repository=name, **given)
    return task.execute(context())


def show(*, dry_run: object = False, accept=(), names=NAMES, by: str | None = "ann", seen=None) -> dict:
    task = ShowExpiryOperator(
        task_id="show_plan",
        target="calibrify",
        plans=[plan_of(name, accept=json.dumps(list(accept))) for name in names],
        accept=list(accept),
        dry_run=dry_run,
    )
    given = seen if seen is not None else context(by=by)
    return task.execute(given)


def approve(shown: dict, *, by: str | None = "ann", run_type: str = "manual"):
    task = ApproveExpiryOperator(task_id="approve", plan=shown, choice=shown)
    return task, context(by=by, run_type=run_type)


def consent(shown: dict) -> dict:
    """What the approval gives when policy asks for nobody."""
    task, given = approve(shown)
    result = task.execute(given)
    assert result["approved_by"] == NOT_REQUIRED
    return result


def carry_out(name: str, shown: dict, approval) -> dict:
    task = CarryOutExpiryOperator(
        task_id="carry_out",
        target="calibrify",
        repository=name,
        plan=json.dumps(shown),
        approval=json.dumps(approval),
    )
    return task.execute(context())


def test_a_plan_tells_every_backup_and_why_and_removes_nothing(makers, capsys):
    before = labels(makers["local"])

    plan = plan_of("local")

    assert plan["total"] == 5
    assert plan["expires"] == before[:1], "the newest from before 30 days stays, too"
    assert labels(makers["local"]) == before
    said = capsys.readouterr().out
    [line] = [one for one in said.splitlines() if before[0] in one]
    assert "EXPIRES" in line
    assert "local: 1 of 5 backups expire" in said


@pytest.mark.parametrize(("given", "locks"), [({"dry_run": "false"}, 1), ({"dry_run": "true"}, 0), ({}, 0)])
def test_what_stays_is_locked_on_before_anybody_is_asked_and_in_no_dry_run(makers, monkeypatch, given, locks):
    stays: list[set[str]] = []

    def renew(repository, kept, *, now):
        stays.append({label.text for label in kept})
        return [], {}

    monkeypatch.setattr("backstop.commands.locking.renew_locks", renew)

    plan = plan_of("local", **given)

    assert stays == [set(labels(makers["local"])) - set(plan["expires"])] * locks


def test_what_was_shown_goes_and_the_bytes_are_told(makers):
    shown = show()

    report = carry_out("local", shown, consent(shown))

    assert report["expired"] == shown["repositories"]["local"]["expires"]
    assert report["freed_bytes"] > 0
    assert len(labels(makers["local"])) == 4
    assert len(labels(makers["far"])) == 5


def test_carrying_the_same_plan_out_again_removes_nothing_more(makers):
    shown = show()
    carry_out("local", shown, consent(shown))

    again = carry_out("local", shown, consent(shown))

    assert again["expired"] == []
    assert len(labels(makers["local"])) == 4


def test_a_hold_that_came_after_the_plan_keeps_its_backup(makers):
    shown = show()
    [going] = shown["repositories"]["local"]["expires"]
    Holds(makers["local"].repository).place(
        makers["local"].catalog.backups().backups[0].manifest.label,
        reason="audit",
        who="ada",
        until=None,
        now=utc_now(),
    )

    assert carry_out("local", shown, consent(shown))["expired"] == []
    assert going in labels(makers["local"])


def test_more_than_was_shown_never_goes(makers, lab):
    shown = show()
    shown["repositories"]["local"]["expires"] = []

    assert carry_out("local", shown, consent(shown))["expired"] == []
    assert len(labels(makers["local"])) == 5


def test_what_was_approved_goes_though_another_backup_has_come_of_age_since(makers, lab):
    shown = show()
    first, second, *rest = labels(makers["local"])
    assert shown["repositories"]["local"]["expires"] == [first]
    text = (lab.folder / "targets.yaml").read_text()
    assert "local: 30d" in text
    (lab.folder / "targets.yaml").write_text(text.replace("local: 30d", "local: 2d"))
    assert second in plan_of("local")["expires"]

    assert carry_out("local", shown, consent(shown))["expired"] == [first]
    assert labels(makers["local"]) == [second, *rest]


def test_without_the_approvals_result_nothing_goes(makers):
    shown = show()

    for given in (None, {}, {**consent(shown), "plan_sha256": "0" * 64}):
        with pytest.raises(AirflowFailException, match="nobody approved this plan"):
            carry_out("local", shown, given)

    assert len(labels(makers["local"])) == 5


def test_a_repository_that_could_not_be_planned_is_left_alone(makers):
    shown = show(names=("local",))

    with pytest.raises(AirflowFailException, match="far could not be planned"):
        carry_out("far", shown, consent(shown))


def test_with_no_plan_at_all_the_run_is_red(makers):
    with pytest.raises(AirflowFailException, match="no repository of calibrify could be planned"):
        show(names=())


@pytest.mark.parametrize(
    ("rules", "accept", "asks"),
    [
        ({"approve_above": 0.1}, (), True),
        ({"approve_above": 0.5}, (), False),
        ({"approve_above": 0.1, "approval": False}, (), False),
        ({"approve_above": 1.0}, "newest", True),
    ],
    ids=["much", "little", "no approval wanted", "a drop is accepted"],
)
def test_somebody_is_asked_when_much_goes_or_a_drop_is_accepted(makers, lab, rules, accept, asks):
    configure(lab, **rules)
    task, _ = approve(show(accept=labels(makers["local"])[-1:] if accept == "newest" else accept))

    assert task.needed(task.rules()) is asks


def test_the_form_names_what_would_go(makers, lab):
    shown = show()
    task, _ = approve(shown)

    headline, lines = task.words(utc_now())

    assert headline == "Remove 1 backups of calibrify?"
    [going] = shown["repositories"]["local"]["expires"]
    assert f"- `{going}`" in lines
    assert any("| local | 1 of 5 | 20% |" in line for line in lines)


def answered(shown: dict, by: str, option: str, *, run_type: str = "manual"):
    task, given = approve(shown, by=None if run_type == "scheduled" else "ann", run_type=run_type)
    return task.execute_complete(
        given, {"chosen_options": [option], "responded_by_user": {"name": by, "id": by}}
    )


def test_whoever_asked_cannot_approve_and_somebody_else_can(makers, lab):
    configure(lab, approve_above=0.1)
    shown = show()

    with pytest.raises(AirflowFailException, match="ann asked for this expiry and cannot approve it too"):
        answered(shown, "ann", "Approve")
    approval = answered(shown, "bob", "Approve")

    assert carry_out("local", shown, approval)["expired"] == shown["repositories"]["local"]["expires"]


def test_what_the_schedule_asked_for_anybody_may_approve(makers, lab):
    configure(lab, approve_above=0.1)
    shown = show(by=None)

    assert answered(shown, "ann", "Approve", run_type="scheduled")["approved_by"] == "ann"


def test_a_rejected_expiry_names_who_rejected_it_and_removes_nothing(makers, lab):
    shown = show()

    with pytest.raises(
        AirflowFailException, match="bob rejected the expiry; no backup of calibrify was removed"
    ):
        answered(shown, "bob", "Reject")


def test_a_dry_run_ends_with_the_plan(makers):
    task = StopExpiryDryRunOperator(task_id="stop", target="calibrify", plan=show(dry_run=True))
    with pytest.raises(AirflowSkipException, match="Nothing was removed"):
        task.execute(context())

    task.plan = show()
    task.execute(context())


def test_an_accepted_drop_is_remembered_in_the_repositories_that_have_the_backup(makers, lab):
    label = labels(makers["local"])[-1]
    shown = show(accept=[label])

    carry_out("local", shown, answered(shown, "bob", "Approve"))

    assert {one.text for one in Acceptances(makers["local"].repository).labels()} == {label}
    stored = makers["local"].storage.read(f"calibrify/meta/accepted/{label}.json")
    assert json.loads(stored)["who"] == "ann, approved by bob"
    assert Acceptances(makers["far"].repository).labels() == frozenset()


def test_the_note_on_the_run_says_what_goes_and_afterwards_what_went(makers):
    seen = context()
    shown = show(seen=seen)
    assert "**local: 1 of 5 backups expire" in seen["ti"].pushed[NOTE]
    assert shown["repositories"]["local"]["expires"][0] in seen["ti"].pushed[NOTE]

    reports = [carry_out(name, shown, consent(shown)) for name in NAMES]
    report_task(shown, reports).execute(seen)

    assert "**local**: 1 backups removed" in seen["ti"].pushed[NOTE]
    assert "**far**: 0 backups removed" in seen["ti"].pushed[NOTE]


def report_task(shown: dict, reports) -> ReportExpiryOperator:
    return ReportExpiryOperator(
        task_id="report", target="calibrify", plan=shown, reports=reports, repositories=NAMES
    )


def test_the_report_fails_by_name_where_expiry_did_not_come_to_its_end(makers):
    shown = show()
    seen = context()

    # Airflow hands the only result of a mapped task on without a list around it.
    only = carry_out("local", shown, consent(shown))
    with pytest.raises(AirflowFailException, match="not carried out to its end in far"):
        report_task(shown, only).execute(seen)

    assert "**local**: 1 backups removed" in seen["ti"].pushed[NOTE]


def test_text_that_is_no_label_is_not_accepted(makers):
    task = PlanExpiryOperator(task_id="plan", target="calibrify", repository="local", accept=["yes please"])

    with pytest.raises(AirflowFailException, match="not a backup label"):
        task.execute(SimpleNamespace())


def test_a_label_that_no_repository_has_is_not_accepted_in_silence(makers):
    with pytest.raises(AirflowFailException, match="no backup 20200101T000000Z-dump of calibrify"):
        show(accept=["20200101T000000Z-dump"])


@pytest.mark.parametrize("given", [True, None, 0, "", []])
def test_only_a_plain_false_is_no_dry_run(makers, given):
    assert show(dry_run=given)["mode"] == "dry run"


def test_a_dry_run_whose_end_was_marked_as_successful_removes_nothing(makers):
    shown = show(dry_run=True)

    with pytest.raises(AirflowFailException, match="a dry run was asked for; nothing was removed"):
        carry_out("local", shown, consent(shown))

    assert len(labels(makers["local"])) == 5


def test_without_a_plan_that_was_shown_every_task_says_so(makers):
    approval, given = approve({})
    approval.plan = approval.choice = None
    stop = StopExpiryDryRunOperator(task_id="stop", target="calibrify", plan=None)
    tasks = [
        lambda: stop.execute(context()),
        lambda: approval.execute(given),
        lambda: carry_out("local", None, None),
    ]

    for task in tasks:
        with pytest.raises(AirflowFailException, match="nobody saw a plan; nothing was removed"):
            task()


def test_what_cannot_be_believed_makes_the_report_fail_after_the_rest_has_gone(makers):
    makers["local"].storage.put_once("calibrify/meta/manifests/20261101T010000Z-tree-media.json", b"?")
    shown = show()
    reports = [carry_out(name, shown, consent(shown)) for name in NAMES]
    seen = context()

    with pytest.raises(AirflowFailException, match="cannot be believed: local"):
        report_task(shown, reports).execute(seen)

    assert "**local**: 1 backups removed" in seen["ti"].pushed[NOTE]
    assert len(labels(makers["local"])) == 4


def test_a_failure_tells_how_far_it_came(makers, monkeypatch, capsys):
    shown = show()
    approval = consent(shown)

    def fail(*args, **given):
        raise StorageUnavailableError("the disk went away")

    monkeypatch.setattr("backstop.commands.expiry.removal.Removal.expire", fail)
    with pytest.raises(StorageUnavailableError):
        carry_out("local", shown, approval)

    assert "Until it failed: **local**: 0 backups removed" in capsys.readouterr().out


def test_the_note_loses_no_repositorys_summary_or_reasons_to_anothers_labels():
    row = {"keep": False, "reasons": ["older than 30 days, and " + "much more of it " * 8]}
    plans = [
        {
            "repository": name,
            "backups": [{"label": f"2026010{day}T010000Z-dump", **row} for day in range(1, 9)],
            "expires": [f"2026010{day}T010000Z-dump" for day in range(1, 9)],
            "total": 20,
            "wal_objects": 0,
            "freed_bytes": 1_000_000,
            "blocked": [f"tree-media of {name}: nothing goes"],
        }
        for name in NAMES
    ]

    note = plan_note(plans)

    assert len(note) <= 1000
    for name in NAMES:
        assert f"**{name}: 8 of 20 backups expire" in note
        assert f"- tree-media of {name}: nothing goes" in note
    assert note.endswith("… see the log of `plan`")
    assert all(line.endswith("much more of it ") for line in note.splitlines() if "older than" in line)
