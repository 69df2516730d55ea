"""From observations and findings to series."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from backstop.commands.metrics.exposition import exposition
from backstop.commands.metrics.families import STALE_AFTER, metric_families
from backstop.commands.metrics.kept_text import KeptText
from backstop.commands.metrics.series import SERIES
from backstop.model.finding import Level
from backstop.model.observation import ComponentSeen, Observation
from tests.watched import KEY, NOW, finding, well

DOCS = Path(__file__).resolve().parents[3] / "docs"
OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.3"


def values(observations, findings=(), *, now=NOW, **more):
    """Every sample by its name and its labels."""
    families = metric_families(observations, findings, now=now, version="1.0", **{"targets": None, **more})
    return {
        (one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples
    }


def of(name, **labels):
    return (name, frozenset(({"target": "calibrify"} | labels).items()))


def spoilt(**changes):
    """All is well but for the dumps."""
    one = well(kinds=["dump"])
    return replace(one, components=(replace(one.components[0], **changes),))


def test_ages_are_told_as_timestamps_and_durations_in_seconds():
    seen = values([well()])

    assert seen[of("backstop_watch_timestamp_seconds")] == NOW.timestamp()
    assert (
        seen[of("backstop_backup_last_success_timestamp_seconds", kind="dump")] == NOW.timestamp() - 6 * 3600
    )
    assert seen[of("backstop_backup_last_proof_timestamp_seconds", kind="dump")] == NOW.timestamp() - 5 * 3600
    assert seen[of("backstop_observed_rpo_seconds", kind="base")] == 2
    assert seen[of("backstop_rpo_objective_seconds", kind="base")] == 300
    assert seen[of("backstop_predicted_rto_seconds", kind="base", estimate="high")] == 1300


def test_a_state_is_one_for_what_it_is_and_zero_for_what_it_might_be():
    seen = values([well()])

    states = {state: seen[of("backstop_key_state", key=KEY, state=state)] for state in ("usable", "missing")}
    assert states == {"usable": 1, "missing": 0}
    assert seen[of("backstop_slot_state", slot="backstop_calibrify", state="lost")] == 0


def test_a_gap_counts_and_the_newest_window_is_shown():
    seen = values([well()])

    assert seen[of("backstop_wal_gaps", repository="s3")] == 1
    assert seen[of("backstop_wal_gaps", repository="local")] == 0
    assert seen[of("backstop_recovery_window_end_timestamp_seconds", repository="s3")] == NOW.timestamp()


def test_every_declared_series_has_samples_when_everything_is_known():
    known = {
        "targets": ["calibrify"],
        "pools": {"default_pool": 128},
        "paused": {"run_drill__calibrify": "calibrify"},
    }

    names = {name for name, _ in values([well()], [finding("rpo", "base")], **known)}

    assert names == {one.name for one in SERIES}


def test_what_is_not_known_has_no_sample():
    bare = Observation("calibrify", NOW, 0.1, components=(ComponentSeen("dump"),))

    names = {name for name, _ in values([bare])}

    assert names == {
        "backstop_build_info",
        "backstop_findings",
        "backstop_watch_timestamp_seconds",
        "backstop_watch_duration_seconds",
        "backstop_watch_unseen",
        "backup_status",
        "backstop_backups",
        "backstop_backups_proven",
    }


def test_a_backup_that_is_there_in_time_is_good():
    assert values([well()])[of("backup_status", kind="dump")] == 1


def test_a_backup_that_is_late_is_not_good():
    assert values([spoilt(on_time=False)])[of("backup_status", kind="dump")] == 0


@pytest.mark.parametrize("check", ["completed", "run"])
def test_a_backup_that_failed_is_not_good_and_others_stay_good(check):
    subject = "dump" if check == "completed" else "back_up_database__calibrify"
    seen = values([well()], [finding(check, subject)])

    assert seen[of("backup_status", kind="dump")] == 0
    assert seen[of("backup_status", kind="base")] == 1


def test_a_backup_whose_proof_failed_was_made_all_the_same():
    failed = finding("proven", "failed dump in s3")

    seen = values([well()], [failed])

    assert seen[of("backup_status", kind="dump")] == 1
    assert seen[of("backstop_finding_open", check="proven", subject=failed.subject, level="critical")] == 1


def test_when_nobody_has_looked_lately_nothing_is_good():
    later = NOW + STALE_AFTER + timedelta(seconds=1)

    assert values([well()], now=NOW + STALE_AFTER)[of("backup_status", kind="dump")] == 1
    assert values([well()], now=later)[of("backup_status", kind="dump")] == 0
    by_a_wrong_clock = NOW - STALE_AFTER - timedelta(seconds=1)
    assert values([well()], now=by_a_wrong_clock)[of("backup_status", kind="dump")] == 0


def test_a_look_from_the_future_does_not_say_that_anything_is_good():
    earlier = NOW - STALE_AFTER - timedelta(seconds=1)

    assert values([well()], now=earlier)[of("backup_status", kind="dump")] == 0


def test_findings_are_counted_by_level_and_none_is_zero():
    found = [finding("rpo", "base"), finding("key", "escrow"), finding("size", "dump", Level.WARNING)]

    seen = values([well(), well("other")], found)

    assert seen[of("backstop_findings", level="critical")] == 2
    assert seen[of("backstop_findings", level="warning")] == 1
    assert seen[of("backstop_findings", target="other", level="critical")] == 0


def test_a_target_that_was_taken_out_of_targets_yaml_is_told_of_no_more():
    seen = values([well(), well("gone")], [finding("rpo", "base", target="gone")], targets=["calibrify"])

    assert not [labels for _, labels in seen if ("target", "gone") in labels]


def test_a_finding_that_belongs_to_no_single_target_is_told():
    seen = values([well()], [finding("run", "rebuild_inventory", target="*")], targets=["calibrify"])

    assert seen[of("backstop_findings", target="*", level="critical")] == 1
    assert of("backstop_target_configured", target="*") not in seen


def test_a_target_that_was_never_watched_is_told_of():
    seen = values([], targets=["calibrify"])

    assert seen[of("backstop_target_configured")] == 1
    assert of("backstop_watch_timestamp_seconds") not in seen


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_text_that_is_kept_is_the_text_that_would_be_written(accept):
    kept = KeptText("1.0")
    fleet = [well(f"system-{number}") for number in range(3)]
    odd = well('we"ird\\one')
    steps = [
        (fleet, [], NOW, None),
        (fleet, [finding("rpo", "base", target="system-0")], NOW, None),
        (fleet, [finding("rpo", "base", target="system-1")], NOW, ["system-1", "system-7"]),
        ([*fleet[:2], well("system-2", kinds=["tree:media"]), odd], [], NOW, None),
        (fleet, [], NOW + 2 * STALE_AFTER, None),
        ([], [], NOW, None),
    ]

    for number, (observations, findings, now, targets) in enumerate(steps):
        known = {"now": now, "targets": targets, "pools": {"s3": number} if number else None}
        text, content_type = exposition(
            metric_families(observations, findings, version="1.0", **known), accept=accept
        )
        assert kept.text(observations, findings, **known, accept=accept) == (text, content_type)
        assert text.endswith(b"# EOF\n") == bool(accept)


def test_the_documentation_lists_every_series_with_its_labels_and_meaning():
    text = (DOCS / "metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", text, re.MULTILINE)

    listed = [(name, tuple(re.findall(r"`(\w+)`", labels)), meaning) for name, labels, meaning in rows]

    assert listed == [(one.name, one.labels, one.documentation) for one in SERIES]
