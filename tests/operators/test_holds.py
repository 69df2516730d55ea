"""Holds by a form: in every repository, in the name of whoever triggered the run."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowFailException

from backstop.errors import IntegrityError, StorageUnavailableError
from backstop.operators.holds import HoldBackupsOperator, unreached
from backstop.repository.holds import Holds
from backstop.settings.arguments import utc_now
from tests.making import Maker
from tests.operators.lab import context

LABEL = "20261123T010000Z-dump"


@pytest.fixture
def makers(lab):
    made = [Maker.in_folder(lab.folder, name) for name in ("local", "far")]
    for maker in made:
        maker.publish()
    return made


def hold(action: str, *, label: str = LABEL, by: str | None = "ann", **given):
    task = HoldBackupsOperator(
        task_id="hold",
        target="calibrify",
        action=action,
        backup_label=label,
        **{"number": None, **given},
    )
    return task.execute(context(by=by))


def held(maker: Maker) -> list[str]:
    return [str(one) for row in Holds(maker.repository).in_force(utc_now()).values() for one in row]


def test_a_hold_lies_in_every_repository_under_the_name_of_whoever_asked(makers, capsys):
    hold("place", reason="audit", until="2100-01-31T00:00:00Z")

    assert [held(maker) for maker in makers] == [["hold 1 by ann until 2100-01-31 00:00Z: audit"]] * 2
    assert f"{LABEL} in local, far: hold 1 by ann" in capsys.readouterr().out


def test_a_hold_is_released_everywhere_and_stays_on_the_list(makers):
    hold("place", reason="audit")
    hold("release", by="bob")

    assert [held(maker) for maker in makers] == [[], []]
    [record] = hold("list", label="")["holds"]
    assert (record["state"], record["released_by"]) == ("released", "bob")


def test_placing_the_same_hold_again_adds_none(makers):
    for _ in range(2):
        hold("place", reason="audit")

    assert [len(held(maker)) for maker in makers] == [1, 1]


def test_a_repository_that_does_not_answer_makes_the_task_fail_by_name_and_the_other_hold(makers, lab):
    (lab.folder / "far").rename(lab.folder / "gone")

    with pytest.raises(AirflowFailException, match="not reached everywhere, but in local: far"):
        hold("place", reason="audit")

    assert held(makers[0]) == ["hold 1 by ann: audit"]
    (lab.folder / "gone").rename(lab.folder / "far")
    hold("place", reason="audit")  # as a retry does
    assert [len(held(maker)) for maker in makers] == [1, 1]


@pytest.mark.parametrize(
    ("action", "given", "says"),
    [
        ("place", {"label": ""}, "which backup"),
        ("place", {"reason": " "}, "the reason is missing"),
        ("place", {"reason": "x", "until": "tomorrow"}, "no time with its zone"),
        ("place", {"reason": "x", "label": "20200101T000000Z-dump"}, "nothing to hold"),
        ("release", {}, "no hold in force"),
        ("forget", {}, "nothing to do"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(makers, action, given, says):
    with pytest.raises(AirflowFailException, match=says):
        hold(action, **given)

    assert [held(maker) for maker in makers] == [[], []]


def test_a_list_with_a_repository_that_does_not_answer_fails_and_claims_no_absence_of_holds(
    makers, lab, capsys
):
    (lab.folder / "far").rename(lab.folder / "gone")

    with pytest.raises(AirflowFailException, match="the holds of calibrify are not all known: far"):
        hold("list", label="")

    assert "No holds" not in capsys.readouterr().out


def test_only_what_time_may_heal_is_worth_a_retry():
    busy, refused = StorageUnavailableError("busy"), IntegrityError("damaged")

    assert unreached("not all", {"far": busy}).retryable
    assert not unreached("not all", {"far": busy, "near": refused}).retryable
