"""What a restore that somebody asks for would do, by what the newest watch saw."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from backstop.commands.recoverability.backups import StoredBackup
from backstop.commands.recoverability.plan_backup import plan_database
from backstop.commands.recoverability.plan_point import plan_point
from backstop.errors import ConfigurationError
from backstop.model.observation import Observation, RepositorySeen, WindowSeen
from backstop.targets import load_targets
from tests.fleet_targets import targets_yaml
from tests.ui.restorable import restorable

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.recoverability.restore_plan import RestorePlan
    from backstop.targets import Target

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


@pytest.fixture
def target(tmp_path: Path) -> Target:
    path = tmp_path / "targets.yaml"
    path.write_text(restorable(targets_yaml(["calibrify"])))
    return load_targets(path).targets["calibrify"]


def window(
    repository: str, begins_at: datetime, ends_at: datetime, *bases: str, newest: bool = False
) -> WindowSeen:
    return WindowSeen(
        repository, 1, begins_at, ends_at, "0/1", "0/2", bases=bases, newest=newest, gap=not newest
    )


def backup(label: str, repository: str, finished_at: datetime, status: str = "proven") -> StoredBackup:
    return StoredBackup(
        label, repository, finished_at - HOUR / 6, finished_at, 10, 20, status, finished_at, None
    )


SEEN = Observation(
    "calibrify",
    NOW - timedelta(minutes=4),
    1.0,
    windows=(
        window("local", NOW - 30 * HOUR, NOW - 20 * HOUR, "20261122T060000Z-full"),
        window(
            "s3",
            NOW - 10 * HOUR,
            NOW - timedelta(minutes=5),
            "20261123T020000Z-full",
            "20261123T080000Z-incr",
            newest=True,
        ),
    ),
)
BACKUPS = (
    backup("20261123T020000Z-full", "s3", NOW - 10 * HOUR),
    backup("20261123T080000Z-incr", "s3", NOW - 4 * HOUR),
    backup("20261123T010000Z-dump", "local", NOW - 11 * HOUR, "completed"),
    backup("20261123T010000Z-dump", "s3", NOW - 11 * HOUR),
    backup("20261123T110000Z-dump", "local", NOW - HOUR, "completed"),
)


def planned(target: Target, point: str, repository: str = "any") -> RestorePlan:
    return plan_point(target, SEEN, BACKUPS, point=point, mode="beside", repository=repository, now=NOW)


def fact(plan: RestorePlan, name: str) -> str:
    return dict(plan.facts)[name]


def test_it_begins_with_the_newest_base_backup_that_had_ended_by_then(target: Target) -> None:
    assert fact(planned(target, "2026-11-23T09:00:00Z"), "Base backup").startswith("20261123T080000Z-incr")
    assert fact(planned(target, "2026-11-23T07:59:59Z"), "Base backup").startswith("20261123T020000Z-full")


def test_a_moment_since_the_newest_look_is_left_to_the_run_to_judge(target: Target) -> None:
    plan = planned(target, "2026-11-23T11:59:00Z")

    assert plan.conf["point"] == "2026-11-23T11:59:00Z"
    assert "knew of WAL up to 2026-11-23T11:55:00Z only" in plan.cautions[0]


def test_a_moment_in_a_gap_is_refused_with_the_nearest_that_can_be_had(target: Target) -> None:
    with pytest.raises(ConfigurationError, match="no window has it") as refused:
        planned(target, "2026-11-22T20:00:00Z")

    assert "2026-11-22T16:00:00Z and 2026-11-23T02:00:00Z" in refused.value.hint


def test_only_the_repository_that_was_asked_for_counts(target: Target) -> None:
    with pytest.raises(ConfigurationError, match="no window has it"):
        planned(target, "2026-11-23T09:00:00Z", "local")


def test_a_time_is_handed_on_with_its_fraction_and_in_utc(target: Target) -> None:
    assert planned(target, "2026-11-23T10:00:00.25+01:00").conf["point"] == "2026-11-23T09:00:00.250000Z"


def test_the_newest_proven_dump_is_older_than_the_newest(target: Target) -> None:
    plan = plan_database(target, SEEN, BACKUPS, label="newest proven", mode="swap", repository="any", now=NOW)

    assert plan.conf["backup_label"] == "20261123T010000Z-dump"
    assert fact(plan, "Read from").startswith("repository s3")
    assert plan.touches_live


def test_a_dump_that_nobody_has_proven_comes_with_a_word_of_caution(target: Target) -> None:
    plan = plan_database(
        target, SEEN, BACKUPS, label="20261123T110000Z-dump", mode="beside", repository="any", now=NOW
    )

    assert plan.cautions
    assert plan.approval == "Nobody: nothing live is touched."


def test_without_an_approval_in_targets_yaml_that_is_said(target: Target) -> None:
    rules = target.database.restore.model_copy(update={"approval": False})
    free = target.model_copy(
        update={"database": target.database.model_copy(update={"restore": rules})}, deep=False
    )
    free._name = target.name
    plan = plan_database(free, SEEN, BACKUPS, label="newest proven", mode="swap", repository="any", now=NOW)

    assert "replaced without a further question" in plan.approval


def test_a_plan_says_how_old_it_is_and_that_its_repository_did_not_answer(target: Target) -> None:
    old = replace(
        SEEN,
        observed_at=NOW - 3 * HOUR,
        repositories=(RepositorySeen("s3", "s3://b", reachable=False, problem="connection refused"),),
    )
    ways = (
        plan_point(target, old, BACKUPS, point="latest", mode="beside", repository="any", now=NOW),
        plan_database(target, old, BACKUPS, label="newest proven", mode="swap", repository="any", now=NOW),
    )

    for plan in ways:
        assert "The newest look at this target was 3 h ago" in plan.cautions[0]
        assert (
            "Repository s3 did not answer when it was last looked at: connection refused" in plan.cautions[1]
        )


def test_a_plan_for_what_no_watch_has_seen_says_so(target: Target) -> None:
    plan = plan_database(target, None, BACKUPS, label="newest proven", mode="swap", repository="any", now=NOW)

    assert "No watch has looked at this target yet" in plan.cautions[0]
