"""The word for how a target stands: never better than what is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.model.finding import CHECKS, Finding, Level
from backstop.model.observation import (
    BackupSeen,
    ComponentSeen,
    Observation,
    RepositorySeen,
    WalSeen,
    WindowSeen,
)
from backstop.model.standing import STALE_AFTER, Word, standing

NOW = datetime(2026, 11, 26, 14, 32, 9, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def backup(*, hours_ago: float, proven_in: tuple[str, ...] = ("local",)) -> BackupSeen:
    at = NOW - hours_ago * HOUR
    return BackupSeen("20261126T010000Z-dump", at, at, 60.0, 10, 40, ("local", "s3"), proven_in)


def component(kind: str, *, proof_hours_ago: float | None = 3) -> ComponentSeen:
    newest = backup(hours_ago=13)
    if proof_hours_ago is None:
        return ComponentSeen(kind, newest=replace(newest, proven_in=()))
    return ComponentSeen(kind, newest=newest, proven=newest, proven_at=NOW - proof_hours_ago * HOUR)


def repository(name: str, *, reachable: bool = True) -> RepositorySeen:
    return RepositorySeen(name, f"/{name}", reachable, problem="" if reachable else "connection refused")


def window(name: str, **changes: object) -> WindowSeen:
    at = NOW - timedelta(minutes=4)
    return replace(WindowSeen(name, 1, NOW - 200 * HOUR, at, "0/28", "0/99", newest=True), **changes)


HEALTHY = Observation(
    "calibrify",
    NOW - timedelta(seconds=1),
    2.0,
    components=(component("dump"), component("base", proof_hours_ago=2), component("tree:media")),
    repositories=(repository("local"), repository("s3")),
    windows=(window("local"), window("s3")),
    wal=WalSeen(1, "0/99", {"local": timedelta(seconds=1), "s3": timedelta(seconds=5)}),
)


def finding(check: str = "size", level: Level = Level.WARNING, sentence: str = "it is small") -> Finding:
    return Finding("calibrify", check, "dump", level, sentence, "look")


def differs(repository: str, level: Level = Level.CRITICAL) -> Finding:
    return replace(finding("proven", level, "it differed"), subject=f"failed dump in {repository}")


def test_a_newest_dump_that_differed_where_it_was_restored_is_none_to_go_back_to() -> None:
    older = replace(backup(hours_ago=37), label="20261125T010000Z-dump")
    dumps = replace(component("dump"), newest=backup(hours_ago=13, proven_in=()), proven=older)
    seen = replace(HEALTHY, components=(dumps,), windows=(), wal=None)
    alone = replace(seen, components=(replace(dumps, proven=None, proven_at=None),))
    everywhere = [differs("local"), differs("s3")]

    assert standing(seen, [differs("local")], now=NOW).restorable_to == NOW - 13 * HOUR
    assert standing(seen, everywhere, now=NOW).restorable_to == NOW - 37 * HOUR
    assert standing(alone, everywhere, now=NOW).word is Word.NOTHING
    # A warning is about an older one.
    assert (
        standing(seen, [differs("local", Level.WARNING), differs("s3")], now=NOW).restorable_to
        == NOW - 13 * HOUR
    )


findings = st.lists(
    st.builds(
        Finding,
        st.just("calibrify"),
        st.sampled_from(sorted(CHECKS)),
        st.just("dump"),
        st.sampled_from(Level),
        st.text(max_size=5),
        st.just("look"),
    ),
    max_size=4,
)
observations = st.builds(
    replace,
    st.just(HEALTHY),
    observed_at=st.sampled_from((-3 * HOUR, 0 * HOUR, STALE_AFTER, 3 * HOUR)).map(lambda age: NOW - age),
    components=st.lists(st.sampled_from(HEALTHY.components), max_size=3).map(tuple),
    repositories=st.lists(
        st.builds(repository, st.sampled_from(("local", "s3")), reachable=st.booleans()), max_size=2
    ).map(tuple),
    windows=st.lists(st.sampled_from(HEALTHY.windows), max_size=2).map(tuple),
    unseen=st.lists(st.just("the slot"), max_size=1).map(tuple),
)


def test_what_is_well_is_said_with_the_moment_and_the_oldest_proof():
    said = standing(HEALTHY, (), now=NOW)

    assert said.word is Word.RESTORABLE
    assert said.sentence == "restorable to 14:32:07Z, proven 3 h ago"
    assert said.reasons == ()


def test_an_idle_database_is_restorable_to_now_though_its_last_wal_is_old():
    old = replace(HEALTHY, windows=(window("local", ends_at=NOW - 5 * HOUR),))

    assert standing(old, (), now=NOW).restorable_to == HEALTHY.observed_at - timedelta(seconds=1)


def test_behind_a_gap_the_window_ends_where_it_ends_whatever_the_rpo():
    ended = window("local", ends_at=NOW - 20 * HOUR, newest=False, gap=True)
    only_dumps_left = replace(HEALTHY, windows=(ended,))

    assert standing(only_dumps_left, (), now=NOW).restorable_to == NOW - 13 * HOUR


@pytest.mark.parametrize(
    ("observation", "word", "sentence", "reason"),
    [
        (None, Word.UNWATCHED, "never watched", "no watch has seen it yet"),
        (
            replace(HEALTHY, observed_at=NOW - timedelta(minutes=20)),
            Word.UNWATCHED,
            "not watched since 20 min",
            "the newest watch was 20 min ago: is watch_backups paused?",
        ),
        (
            replace(HEALTHY, observed_at=NOW + HOUR),
            Word.UNWATCHED,
            "not watched since 60 min",
            "the newest watch is dated 60 min ahead: clocks differ",
        ),
        (
            replace(HEALTHY, components=(ComponentSeen("dump"),), windows=()),
            Word.NOTHING,
            "nothing can be restored",
            "no backup of the database has been published",
        ),
        (
            replace(HEALTHY, repositories=(repository("local", reachable=False),)),
            Word.NOTHING,
            "nothing can be restored",
            "no repository answers",
        ),
        (
            replace(HEALTHY, components=(component("dump", proof_hours_ago=None),)),
            Word.UNPROVEN,
            "never proven",
            "no backup of dump has been proven",
        ),
        (
            replace(HEALTHY, components=(*HEALTHY.components, ComponentSeen("tree:config"))),
            Word.AT_RISK,
            "at risk: restorable to 14:32:07Z, proven 3 h ago",
            "there is no backup of tree:config",
        ),
        (
            replace(HEALTHY, repositories=(repository("local"), repository("s3", reachable=False))),
            Word.NOTICE,
            "restorable to 14:32:07Z, proven 3 h ago",
            "repository s3 does not answer: connection refused",
        ),
        (
            replace(HEALTHY, repositories=()),
            Word.UNWATCHED,
            "not watched since 1 s",
            "no repository could be looked at",
        ),
        (
            replace(HEALTHY, components=()),
            Word.UNPROVEN,
            "never proven",
            "of no backup of the database it is known whether it is proven",
        ),
    ],
)
def test_each_drawback_has_its_word(observation, word, sentence, reason):
    said = standing(observation, (), now=NOW)

    assert (said.word, said.sentence, said.reasons[0]) == (word, sentence, reason)


def test_only_what_answers_counts_for_the_moment():
    near_down = replace(
        HEALTHY,
        repositories=(repository("local", reachable=False), repository("s3")),
        windows=(window("local"), window("s3", newest=False, ends_at=NOW - 30 * HOUR)),
        components=(component("base"),),
    )

    assert standing(near_down, (), now=NOW).restorable_to == NOW - 30 * HOUR


def test_the_finding_on_proofs_gives_the_word_and_the_days():
    four_days = replace(HEALTHY, components=(component("dump", proof_hours_ago=99),))

    said = standing(four_days, [finding("proven", Level.CRITICAL, "no dump is proven")], now=NOW)

    assert (said.word, said.sentence) == (Word.UNPROVEN, "not proven since 4 d")
    assert said.reasons == ("no dump is proven",)
    assert said.tone == "critical"


def test_reasons_come_worst_first_and_each_once():
    said = standing(
        HEALTHY, [finding(), finding("rpo", Level.CRITICAL, "17 min would be lost"), finding()], now=NOW
    )

    assert said.reasons == ("17 min would be lost", "it is small")
    assert said.word is Word.AT_RISK


@given(observations, findings, findings)
def test_worse_findings_never_give_a_better_word(observation, some, more):
    worse = [replace(one, level=Level.CRITICAL) for one in some]

    before = standing(observation, some, now=NOW).word
    assert standing(observation, [*some, *more], now=NOW).word >= before
    assert standing(observation, worse, now=NOW).word >= before


@given(observations, findings)
def test_what_is_old_is_never_green(observation, some):
    old = replace(observation, observed_at=NOW - STALE_AFTER - timedelta(seconds=1))

    said = standing(old, some, now=NOW)

    assert said.word >= Word.UNWATCHED
    assert said.tone not in ("good", "warning")


@given(observations, findings)
def test_what_is_green_has_a_moment_a_proof_and_no_reason(observation, some):
    said = standing(observation, some, now=NOW)

    if said.tone == "good":
        assert said.restorable_to is not None
        assert said.proven_at is not None
        assert said.reasons == ()


@given(observations, findings)
def test_what_is_not_green_has_a_reason(observation, some):
    said = standing(observation, some, now=NOW)

    assert (said.word is Word.RESTORABLE) == (not said.reasons)
