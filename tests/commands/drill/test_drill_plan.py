"""What is lost, when, and from where it comes back; and what cannot be rehearsed, with the next step."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace as Namespace
from typing import TYPE_CHECKING, cast

import pytest

from backstop.commands.drill.shelf import Shelf
from backstop.errors import BackstopError, ConfigurationError, NotFoundError, RestoreError
from backstop.postgres import isolation, tools
from tests.protection import utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from backstop.model.proof import Proof
    from backstop.repository.catalog import Published
    from tests.drill_world import DrillWorld

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("drills"), pytest.mark.timeout(180)]


def refused(drills: DrillWorld, error: type[BackstopError], match: str, *, hint: str, **plan: object) -> None:
    settings = plan.pop("settings", {})
    with pytest.raises(error, match=match) as caught:
        drills.drill(**settings).plan(**plan)
    assert hint in caught.value.hint
    assert drills.leftovers() == []


def test_the_same_seed_and_window_give_the_same_disaster(drills: DrillWorld) -> None:
    now = drills.protection.clock()
    plans = []
    for _ in range(2):
        drill = drills.drill()
        drill.clock = lambda: now  # as time goes on the window grows
        plans.append(drill.plan(scenario="tree:media", seed="5e3d"))

    first, second = plans
    assert first.drill_id != second.drill_id
    assert replace(second, drill_id=first.drill_id) == first
    assert first.seed == "5e3d"
    assert first.window_begins_at <= first.disaster_at <= first.window_ends_at


def test_without_a_seed_each_drill_is_another_one_and_can_be_had_again_by_what_it_says(
    drills: DrillWorld,
) -> None:
    plans = [drills.drill().plan(scenario="database") for _ in range(2)]

    assert plans[0].seed != plans[1].seed
    assert all(one.window_begins_at <= one.disaster_at <= one.window_ends_at for one in plans)


def test_each_component_says_what_it_would_cost(drills: DrillWorld) -> None:
    objectives = {"rto": timedelta(hours=1), "rpo": timedelta(minutes=5)}
    database = replace(drills.settings().database, **objectives)
    drill = drills.drill(database=database)

    plan = drill.plan(scenario="all", moment=drills.world.source.ledger.moments[7])

    config, base, media = plan.components
    assert base.label == drills.base
    assert (base.rto, base.rpo) == (timedelta(hours=1), timedelta(minutes=5))
    assert base.point.startswith("time:")
    assert (base.repository, base.others) == ("local", ("second",))
    assert config.label == drills.trees["config"]
    assert media.loss == plan.disaster_at - media.recovers_to
    assert plan.repositories == ("local", "second")


def test_a_rotating_drill_takes_what_was_rehearsed_longest_ago_and_passes_over_what_cannot_be(
    drills: DrillWorld,
) -> None:
    now = utc_now()
    done = ("all", "repository:local", "repository:second", "airflow", "database", "tree:config")
    drills.around.before = [(name, now) for name in done]

    plan = drills.drill().plan()

    # Never rehearsed is also ransomware, for which nothing has been proven.
    assert plan.scenario == "tree:media"
    assert any(note.startswith("ransomware could not be rehearsed") for note in plan.notes)


def test_what_the_target_does_not_have_cannot_be_lost(drills: DrillWorld) -> None:
    refused(drills, NotFoundError, "no file tree 'photos'", hint="config, media", scenario="tree:photos")
    refused(drills, NotFoundError, "no repository 's4'", hint="local, second", scenario="repository:s4")
    refused(drills, ConfigurationError, "no scenario", hint="name one", scenario="flood")


def test_a_component_in_one_repository_alone_is_named_when_that_one_is_lost(drills: DrillWorld) -> None:
    trees = drills.settings().trees
    alone = {**trees, "media": replace(trees["media"], repositories=("local",))}

    refused(
        drills,
        RestoreError,
        "tree:media of calibrify is kept in repository local alone",
        hint="second repository",
        scenario="repository:local",
        settings={"trees": alone},
    )


def test_nothing_that_was_proven_before_the_attack_is_refused(drills: DrillWorld) -> None:
    refused(drills, NotFoundError, "no proven backup of tree:config", hint="verify", scenario="ransomware")


def proven(patch: pytest.MonkeyPatch, at: dict[str, datetime]) -> None:
    """Let these have a proof that matched, from that moment on."""

    def proofs(self: Shelf, published: Published) -> list[Proof]:
        finished_at = at.get(published.manifest.label.text)
        return (
            [cast("Proof", Namespace(finished_at=finished_at, matched=True, durations={}))]
            if finished_at
            else []
        )

    patch.setattr(Shelf, "proofs", proofs)


def test_after_an_attack_only_what_was_proven_before_it_and_stored_by_then_is_trusted(
    drills: DrillWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, moment = drills.world.source.ledger, utc_now()
    since = ledger.moments[8]
    # Newer ones had ended by then as well; of config one is proven, but only after the attack.
    proven(
        monkeypatch,
        {
            drills.base: since, drills.trees["config"]: since, drills.trees["media"]: since,
            drills.later["config"]: moment + timedelta(seconds=1),
        },
    )  # fmt: skip

    plan = drills.drill().plan(scenario="ransomware", moment=moment)

    assert plan.window_begins_at == since
    assert {one.component: one.label for one in plan.components} == {
        "tree:config": drills.trees["config"],
        "base": drills.base,
        "tree:media": drills.trees["media"],
    }
    assert {one.trusted_until for one in plan.components} == {moment}
    assert all(one.proven_at == since for one in plan.components)
    assert drills.later["config"] in [
        one.label for one in drills.drill().plan(scenario="all", moment=moment).components
    ]


def test_a_repository_that_is_lost_is_never_opened(drills: DrillWorld) -> None:
    drill = drills.drill()

    plan = drill.plan(scenario="repository:local")
    drill.prepare(plan)
    restored = drill.restore(plan, "tree:config")
    drill.tear_down(plan)

    assert restored.failure == ""
    assert set(drills.opened) == {"second"}
    assert {(one.repository, one.others) for one in plan.components} == {("second", ())}
    assert drills.leftovers() == []


def test_a_target_without_that_kind_of_backup_is_told_to_take_one(drills: DrillWorld) -> None:
    database = replace(drills.settings().database, physical=False)

    refused(
        drills,
        NotFoundError,
        "has no dump in local, second",
        hint="back-up-database",
        scenario="database",
        settings={"database": database},
    )


def test_a_moment_outside_of_the_window_is_refused_with_the_window(drills: DrillWorld) -> None:
    before = drills.world.source.ledger.moments[1]

    refused(
        drills,
        RestoreError,
        "cannot be brought back to",
        hint="choose a moment in",
        scenario="all",
        moment=before,
    )


def test_a_full_disk_is_seen_before_anything_is_fetched(
    drills: DrillWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("backstop.commands.drill.plan.shutil.disk_usage", lambda place: full)

    refused(drills, RestoreError, "1.0 kB free; this drill needs", hint="drill.directory", scenario="all")


def test_missing_programs_are_named(drills: DrillWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.PostgresTools, "find", classmethod(lambda cls, major, **_: _no_programs(major)))

    refused(drills, RestoreError, "no programs of PostgreSQL 18", hint="install", scenario="database")


def test_a_machine_that_cannot_isolate_says_so_first(
    drills: DrillWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "_candidates", lambda: iter(()))

    refused(drills, BackstopError, "must be isolated", hint="verify.isolation", scenario="database")


def test_a_repository_that_does_not_answer_is_passed_over_and_named(
    drills: DrillWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    drill = drills.drill()
    usual = drill.open_repository

    def opened(name: str) -> object:
        if name == "local":
            raise BackstopError("local does not answer", hint="wait")
        return usual(name)

    drill.open_repository = opened

    plan = drill.plan(scenario="tree:media")

    assert plan.components[0].repository == "second"
    assert "local is passed over: local does not answer" in plan.notes


def _no_programs(major: int) -> None:
    raise RestoreError(f"there are no programs of PostgreSQL {major}", hint="install them")
