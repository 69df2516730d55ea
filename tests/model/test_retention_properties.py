"""What holds for every history, every policy and every order: nothing is lost that was promised."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backstop.errors import ConfigurationError
from backstop.model.backup import BackupKind, BackupLabel
from backstop.model.retention import RetentionPlan, RetentionPolicy, apply_retention
from tests.model.retention_worlds import DAY, POLICIES, SEGMENT, World, worlds

UNTIMED = settings(deadline=None)
"""A busy machine is no fault of the code."""
THOROUGH = settings(deadline=None, max_examples=200)
WORLDS = worlds().filter(lambda world: world.backups and world.now - world.backups[-1].finished_at < 60 * DAY)


def plan_of(world: World, policy: RetentionPolicy, **changed) -> RetentionPlan:
    given = {"backups": world.backups, "now": world.now, "seen": world.seen, **changed}
    return apply_retention(given.pop("backups"), policies=lambda _label: policy, **given)


def staying(plan: RetentionPlan) -> set:
    return {decision.label for decision in plan.decisions if decision.keep}


def kinds(backups) -> dict[str, list]:
    found = defaultdict(list)
    for backup in sorted(backups, key=lambda one: one.finished_at):
        found["base" if backup.label.kind.physical else backup.label.tree].append(backup)
    return found


def stored_wal(world: World) -> list[tuple]:
    return [
        (line.system_id, line.number, begin)
        for line in world.timelines
        for begin in range(
            line.begin.position // SEGMENT, line.position(line.ended_at).position // SEGMENT + 1
        )
    ]


def kept_wal(world: World, plan: RetentionPlan) -> set[tuple]:
    from backstop.model.lsn import Lsn

    return {
        (system_id, timeline, number)
        for system_id, timeline, number in stored_wal(world)
        if plan.keeps_wal(
            system_id, timeline=timeline, begin=Lsn(number * SEGMENT), end=Lsn((number + 1) * SEGMENT)
        )
    }


@UNTIMED
@given(WORLDS, POLICIES)
def test_whatever_stays_can_be_restored(world, policy):
    plan = plan_of(world, policy)
    stay = staying(plan)

    for backup in world.backups:
        if backup.label in stay:
            assert set(backup.needs) <= stay
            if backup.timeline:
                assert plan.keeps_wal(
                    backup.system_id, timeline=backup.timeline, begin=backup.start, end=backup.end
                )


@THOROUGH
@given(WORLDS, POLICIES, st.floats(1, 90))
def test_every_moment_of_the_window_that_could_be_recovered_still_can_be(world, policy, days):
    policy = replace(policy, keep_for=days * DAY)
    plan = plan_of(world, policy)
    moment = min(world.now, max(one.finished_at for one in world.backups) + timedelta(days=2))
    cutoff = moment - policy.keep_for

    assert world.moments(cutoff, after=[plan]) == world.moments(cutoff)


def _could_begin(timeline, left) -> bool:
    """A timeline begins where somebody recovered to, from a base backup that was there."""
    return not timeline.ancestors or any(timeline.leads_here(one) for one in left)


@settings(deadline=None, max_examples=50)
@given(WORLDS, POLICIES, st.floats(1, 90))
def test_nor_is_any_lost_when_expiry_has_run_after_every_backup(world, policy, days):
    """What an earlier run let go is never what a later one would have needed."""
    policy = replace(policy, keep_for=days * DAY)
    carried_out: list[RetentionPlan] = []
    known: set[tuple[str, int]] = set()
    for now in sorted(backup.finished_at for backup in world.backups):
        then = world.until(now)
        gone = {label for plan in carried_out for label in plan.expired}
        left = [backup for backup in then.backups if backup.label not in gone]
        for timeline in then.timelines:
            if (timeline.system_id, timeline.number) not in known:
                assume(_could_begin(timeline, left))  # nobody recovers to where nothing kept reaches
                known.add((timeline.system_id, timeline.number))
        carried_out.append(plan_of(then, policy, backups=left))
        cutoff = now - policy.keep_for

        assert then.moments(cutoff, after=carried_out) == then.moments(cutoff)


@UNTIMED
@given(WORLDS, POLICIES, st.sets(st.integers(1, 400), max_size=3))
def test_what_is_dated_ahead_and_accepted_changes_nothing_for_the_others(world, policy, days):
    ahead = [
        replace(
            one, label=BackupLabel.at(at, one.label.kind, tree=one.label.tree), finished_at=at, snapshot_at=at
        )
        for number in sorted(days)
        if (one := world.backups[number % len(world.backups)]) and (at := world.now + number * DAY)
    ]
    accepted = {backup.label for backup in ahead}

    without = plan_of(world, policy)
    plan = plan_of(world, policy, backups=[*world.backups, *ahead], accepted=accepted)

    needed = {label for backup in ahead for label in backup.needs}
    assert set(plan.expired) <= set(without.expired)
    assert plan.blocked == without.blocked
    assert accepted <= staying(plan)
    assert needed or set(plan.expired) == set(without.expired)


@UNTIMED
@given(WORLDS, POLICIES)
def test_the_newest_proven_ones_of_every_kind_stay(world, policy):
    stay = staying(plan_of(world, policy))

    for backups in kinds(world.backups).values():
        proven = [backup.label for backup in backups if backup.proven]
        assert set(proven[-max(1, policy.min_proven) :]) <= stay
        assert backups[-1].label in stay


@UNTIMED
@given(WORLDS, POLICIES)
def test_nothing_goes_unless_a_newer_proven_one_of_its_kind_stays(world, policy):
    plan = plan_of(world, policy)
    stay = staying(plan)

    for backups in kinds(world.backups).values():
        gone = [backup.finished_at for backup in backups if backup.label not in stay]
        proven = [backup.finished_at for backup in backups if backup.label in stay and backup.proven]
        assert not gone or max(gone) < max(proven)


@UNTIMED
@given(WORLDS, POLICIES)
def test_a_system_identifier_ends_only_after_one_that_is_proven_and_newer(world, policy):
    plan = plan_of(world, policy)
    stay = staying(plan)
    bases = [backup for backup in world.backups if backup.timeline]

    for system_id in {backup.system_id for backup in bases}:
        own = [backup for backup in bases if backup.system_id == system_id]
        if not {backup.label for backup in own} & stay:
            newer = [one for one in bases if one.proven and one.finished_at > own[-1].finished_at]
            assert len(newer) >= max(1, policy.min_proven)
            assert {one.system_id for one in newer} != {system_id}


LARGER = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.integers(0, 3) for name in ("keep_last", "daily", "weekly", "monthly", "yearly")},
        "min_proven": st.integers(0, 3),
        "keep_for": st.floats(0, 60),
    },
)


@THOROUGH
@given(WORLDS, POLICIES.filter(lambda policy: not policy.keeps_everything), LARGER, st.booleans())
def test_more_retention_never_deletes_more(world, policy, more, seen):
    by = {name: getattr(policy, name) + count for name, count in more.items() if name != "keep_for"}
    if "keep_for" in more:
        by["keep_for"] = (policy.keep_for or timedelta()) + more["keep_for"] * DAY
    known = world.seen if seen else {}

    less, larger = plan_of(world, policy, seen=known), plan_of(world, replace(policy, **by), seen=known)

    assert set(larger.expired) <= set(less.expired)
    assert kept_wal(world, larger) >= kept_wal(world, less)


@UNTIMED
@given(WORLDS, POLICIES, st.randoms())
def test_the_order_of_the_input_does_not_matter(world, policy, random):
    shuffled = list(world.backups)
    random.shuffle(shuffled)

    assert plan_of(world, policy, backups=shuffled) == plan_of(world, policy)


@THOROUGH
@given(WORLDS, POLICIES, st.data())
def test_carried_out_once_nothing_more_is_to_go(world, policy, data):
    accepted = data.draw(st.sets(st.sampled_from([one.label for one in world.backups])))
    first = plan_of(world, policy, accepted=accepted)
    left = [backup for backup in world.backups if backup.label in staying(first)]

    again = plan_of(world, policy, backups=left, accepted=accepted)

    assert again.expired == ()
    assert kept_wal(world, again) >= kept_wal(world, first)


@UNTIMED
@given(WORLDS, POLICIES, st.floats(0, 3000))
def test_a_wrong_clock_deletes_nothing_that_two_days_would_not(world, policy, days):
    newest = max(one.finished_at for one in world.backups)

    allowed = plan_of(world, policy, now=newest + min(days, 2) * DAY)
    if days > 60:
        with pytest.raises(ConfigurationError, match="newest backup"):
            plan_of(world, policy, now=newest + days * DAY)
    else:
        assert plan_of(world, policy, now=newest + days * DAY) == allowed
    with pytest.raises(ConfigurationError, match="finished at"):
        plan_of(world, policy, now=newest - timedelta(minutes=16) - days * DAY)


@UNTIMED
@given(WORLDS, st.floats(1, 90), st.floats(61, 4000))
def test_nor_does_a_wrong_clock_that_dated_a_backup(world, keep_for, days):
    policy = RetentionPolicy(keep_for=keep_for * DAY)
    newest = max(one.finished_at for one in world.backups)
    wrong = newest + days * DAY
    that_night = replace(
        world.backups[-1],
        label=BackupLabel.at(wrong, BackupKind.DUMP),
        finished_at=wrong,
        snapshot_at=wrong,
        content=None,
        proven=False,
        needs=(),
        timeline=None,
    )

    plan = plan_of(world, policy, backups=[*world.backups, that_night], now=wrong)

    assert set(plan.expired) <= set(plan_of(world, policy, now=newest + 2 * DAY).expired)


@UNTIMED
@given(WORLDS, POLICIES)
def test_every_decision_has_a_reason_and_holds_are_among_them(world, policy):
    plan = plan_of(world, policy)

    assert [decision.label for decision in plan.decisions] == [
        one.label for one in sorted(world.backups, key=lambda one: (one.finished_at, one.label.text))
    ]
    assert all(decision.reasons for decision in plan.decisions)
    for decision, backup in zip(plan.decisions, sorted(world.backups, key=_age), strict=True):
        assert set(backup.kept_because) <= set(decision.reasons)
        assert decision.keep or not backup.kept_because


def _age(backup):
    return backup.finished_at, backup.label.text
