"""A directory of target files: shared things in one, and a mistake in another disables its targets alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.errors import ConfigurationError
from backstop.targets import find_mistakes, load_targets
from backstop.wiring import find_target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHARED = """\
version: 1
keys:
  site: {storage: local, path: /keys/ring.json, signing: /keys, escrow: {waived: test}}
repositories:
  local: {type: posix, path: /backups}
  s3: {type: s3, bucket: backups}
defaults:
  keys: site
  owner: platform
  database:
    schedule: "H 1 * * *"
    repositories: [local, s3]
    retention: {local: 7d, s3: 30d}
    objectives: {rto: 1h, rpo: 24h}
  trees:
    "*": {schedule: "H 2 * * *", verify: {share: 0.1}}
"""


def target(name: str, more: str = "", database: str = "") -> str:
    return (
        f"targets:\n  {name}:\n    database:\n      conn_id: backup_{name}\n      dbname: {name}\n"
        f"{database}{more}"
    )


@pytest.fixture
def fleet(tmp_path: Path) -> Callable[..., Path]:
    def write(shared: str = SHARED, **files: str) -> Path:
        directory = tmp_path / "targets"
        directory.mkdir(exist_ok=True, mode=0o700)
        (directory / "backstop.yaml").write_text(shared)
        for name, text in files.items():
            (directory / f"{name}.yaml").write_text(text)
        return directory

    return write


def the_broken(directory: Path) -> tuple[tuple[str, ...], str]:
    (broken,) = load_targets(directory).broken
    return broken.targets, broken.why.replace(f"{directory}/", "")


def test_every_file_brings_its_targets_and_all_of_them_the_defaults(fleet):
    configuration = load_targets(fleet(web=target("web"), shop=target("shop", "    owner: shop-team\n")))

    assert list(configuration.targets) == ["shop", "web"]
    assert configuration.broken == ()
    web, shop = configuration.targets["web"], configuration.targets["shop"]
    assert (web.name, web.owner, shop.owner) == ("web", "platform", "shop-team")
    assert web.database.retention == {"local": timedelta(days=7), "s3": timedelta(days=30)}
    assert web.database.conn_id == "backup_web"


def test_files_in_folders_count_and_hidden_ones_do_not(fleet):
    directory = fleet(web=target("web"))
    for folder in ("red", ".git"):
        (directory / folder).mkdir(mode=0o700)
    (directory / "red" / "shop.yml").write_text(target("shop"))
    (directory / ".git" / "x.yaml").write_text("a: [")
    (directory / ".#web.yaml").write_text("a: [")
    (directory / "README.md").write_text("what this is")

    configuration = load_targets(directory)

    assert (list(configuration.targets), configuration.broken) == (["shop", "web"], ())


def test_mappings_are_merged_and_everything_else_is_replaced(fleet):
    own = "      repositories: [s3]\n      retention: {local: null, s3: 90d}\n      objectives: {rpo: 5m}\n"
    (web,) = load_targets(fleet(web=target("web", database=own))).targets.values()

    assert web.database.repositories == ["s3"]
    assert web.database.objectives.rto == timedelta(hours=1)
    assert web.database.objectives.rpo == timedelta(minutes=5)


def test_null_takes_a_default_away_and_of_a_schedule_means_by_hand(fleet):
    shared = SHARED + "  cluster: {conn_id: c, full: '0 3 * * 0'}\n  queue: dmz\n"
    own = target(
        "web", "    cluster: null\n    queue: null\n", "      schedule: null\n      retention: null\n"
    )
    (web,) = load_targets(fleet(shared, web=own)).targets.values()

    assert web.cluster is None
    assert web.queue is None
    assert web.database.schedule is None
    assert web.database.retention == {}


def test_defaults_of_trees_are_those_of_whatever_trees_a_target_has(fleet):
    trees = (
        "    trees:\n      media: {paths: [/srv/media]}\n"
        "      config: {paths: [/etc/app], verify: {share: 1}}\n"
    )
    targets = load_targets(fleet(web=target("web", trees), bare=target("bare"))).targets

    assert targets["bare"].trees == {}
    assert {name: tree.verify.share for name, tree in targets["web"].trees.items()} == {
        "media": 0.1,
        "config": 1,
    }
    assert targets["web"].trees["media"].name == "media"


def test_a_file_of_a_team_may_have_defaults_that_win_over_those_of_all(fleet):
    team = (
        "defaults:\n  owner: red\n  access: {restore: [red-restorers]}\n"
        "  database: {retention: {s3: 90d}, repositories: [s3, local]}\n"
    )
    both = target("shop") + target("till", "    owner: till-team\n").removeprefix("targets:\n")
    directory = fleet(web=target("web"), red=team + both)

    web, shop, till = (load_targets(directory).targets[name] for name in ("web", "shop", "till"))

    assert (web.owner, shop.owner, till.owner) == ("platform", "red", "till-team")
    assert (web.access.restore, shop.access.restore) == (None, ["red-restorers"])
    assert shop.database.retention == {"local": timedelta(days=7), "s3": timedelta(days=90)}
    assert (web.database.repositories[0], shop.database.repositories[0]) == ("local", "s3")


def test_a_mistake_in_the_defaults_of_a_file_disables_the_targets_of_that_file(fleet):
    directory = fleet(web=target("web"), red="defaults:\n  ownr: red\n" + target("shop"))

    assert list(load_targets(directory).targets) == ["web"]
    assert the_broken(directory) == (
        ("shop",),
        "red.yaml:2:3: defaults.ownr: unknown key; did you mean 'owner'?",
    )


def test_a_single_file_may_have_defaults_too(tmp_path):
    file = tmp_path / "targets.yaml"
    file.write_text(SHARED + target("web"))

    assert load_targets(file).targets["web"].database.repositories == ["local", "s3"]


def test_schedules_are_plain_cron_and_each_target_has_its_own(fleet):
    files = {f"system-{number}": target(f"system-{number}") for number in range(9)}
    targets = load_targets(fleet(**files)).targets.values()

    assert len({one.database.schedule for one in targets}) > 5
    assert all(
        "H" not in f"{one.database.schedule} {one.expiry.schedule} {one.check.schedule}" for one in targets
    )


@pytest.mark.parametrize("schedule", ["R 1 * * *", "H(70-80) 1 * * *", "H/0 1 * * *", "h 1 * * *", "H * * *"])
def test_a_time_that_nobody_could_know_beforehand_is_refused(fleet, schedule):
    targets, why = the_broken(fleet(web=target("web", database=f"      schedule: {schedule}\n")))

    assert targets == ("web",)
    assert "web.yaml:6:17: targets.web.database.schedule: expected" in why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("targets:\n  web:\n    database: [\n", "web.yaml:4:1: not valid YAML"),
        (target("web", "    keys: sote\n"), "6:11: targets.web.keys: there is no key ring 'sote'"),
        (target("web", "", "      repositories: [locl]\n"), "targets.web.database.repositories[0]: there"),
        (target("web", "    ownr: x\n"), "6:5: targets.web.ownr: unknown key; did you mean 'owner'?"),
        (target("web", "    pools: {scratch: x}\n"), "targets.web.pools.scratch: there is no pool 'x'"),
        (target("web", "    owner: a\n    owner: b\n"), "is given twice, first in line 6"),
        (target("web") + "keys: {}\n", "web.yaml:6:1: keys: only `targets` and their `defaults`"),
        ("targets: [web]\n", "web.yaml:1:10: targets: expected a mapping of targets"),
        ("", "web.yaml:1:1: the file is empty"),
        ("targets:\n  web: null\n", "targets.web: expected a mapping, found nothing"),
        ("targets:\n  web:\n    database: {dbname: web}\n", "3:5: targets.web.database.conn_id: is missing"),
        ("targets:\n  web: {owner: me}\n", "2:3: targets.web.database.conn_id: is missing"),
        (
            target("web", "    disaster: {stakeholders: [{notifier: a.B, only: [sop]}]}\n"),
            "there is no target 'sop'; did you mean 'shop'?",
        ),
        (
            target("web", "", "      repositories: [local]\n"),
            "backstop.yaml:13:28: targets.web.database.retention.s3",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_disables_its_target_alone_and_says_where(fleet, text, why):
    directory = fleet(web=text, shop=target("shop"))

    assert list(load_targets(directory).targets) == ["shop"]
    targets, said = the_broken(directory)
    assert targets == ("web",)
    assert why in said


def test_a_file_that_cannot_be_read_disables_what_it_is_called(fleet):
    directory = fleet(web="", shop=target("shop"))
    (directory / "web.yaml").write_bytes(b"\xff\xfe")

    assert the_broken(directory) == (("web",), "web.yaml:1:1: is not UTF-8 text (byte 0)")
    assert list(load_targets(directory).targets) == ["shop"]


def test_the_other_targets_of_a_file_work_on(fleet):
    both = target("web", "    ownr: x\n") + target("shop").removeprefix("targets:\n")

    configuration = load_targets(fleet(both=both))

    assert list(configuration.targets) == ["shop"]
    assert configuration.broken[0].targets == ("web",)


def test_a_name_in_two_files_is_no_target_and_both_files_are_named(fleet):
    directory = fleet(one=target("web"), two=target("web"), shop=target("shop"))

    configuration = load_targets(directory)

    assert list(configuration.targets) == ["shop"]
    assert [broken.targets for broken in configuration.broken] == [("web",), ("web",)]
    one, two = (broken.why for broken in configuration.broken)
    assert one == f"{directory}/one.yaml:2:3: targets.web: is in {directory}/two.yaml too; keep one of them"
    assert two.startswith(f"{directory}/two.yaml:2:3: ")


def test_a_name_that_a_spoilt_file_seems_to_have_is_not_taken_from_the_file_that_has_it(fleet):
    directory = fleet(spoilt=target("web") + "a: [", web=target("web"))

    configuration = load_targets(directory)

    assert list(configuration.targets) == ["web"]
    assert [broken.targets for broken in configuration.broken] == [()]


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        (
            "path: /backups",
            "path: backups",
            "backstop.yaml:5:30: repositories.local.path: expected an absolute",
        ),
        ("version: 1", "version: 2", "backstop.yaml:1:10: version: this file is for a newer Backstop"),
        (
            "owner: platform",
            "ownr: platform",
            "backstop.yaml:9:3: defaults.ownr: unknown key; did you mean 'owner'",
        ),
        (
            "H 1 * * *",
            "H 1 * *",
            "backstop.yaml:11:15: defaults.database.schedule: expected five cron fields",
        ),
        ("share: 0.1", "share: 7", "defaults.trees.*.verify.share: expected"),
        ("defaults:\n", "targets: {}\ndefaults:\n", "targets have files of their own here"),
        ("version: 1\n", "version: [\n", "not valid YAML"),
    ],
)
def test_a_mistake_in_what_is_shared_refuses_everything(fleet, right, wrong, said):
    with pytest.raises(ConfigurationError) as caught:
        load_targets(fleet(SHARED.replace(right, wrong), web=target("web")))

    assert said in caught.value.message


def test_a_mistake_in_a_default_is_told_once_whoever_has_it(tmp_path):
    file = tmp_path / "targets.yaml"
    file.write_text(
        SHARED.replace("H 1 * * *", "soon") + target("web") + target("shop").removeprefix("targets:\n")
    )

    (mistake,) = find_mistakes(file)

    assert mistake.where == "defaults.database.schedule"


def test_a_target_that_is_told_of_and_gone_stops_nobody(fleet):
    directory = fleet(SHARED + "alerts: {warning: [{notifier: a.B, only: [gone]}]}\n", web=target("web"))

    assert list(load_targets(directory).targets) == ["web"]
    targets, why = the_broken(directory)
    assert targets == ()
    assert "alerts.warning[0].only[0]: there is no target 'gone'" in why


def test_a_target_that_is_told_of_and_whose_file_is_spoilt_is_not_called_unknown(fleet):
    shared = SHARED + "alerts: {warning: [{notifier: a.B, only: [web]}]}\n"

    (broken,) = load_targets(fleet(shared, web="targets: [", shop=target("shop"))).broken

    assert broken.targets == ("web",)


def test_a_directory_without_what_is_shared_says_what_is_missing(tmp_path):
    with pytest.raises(ConfigurationError, match=r"there is no .*/backstop\.yaml"):
        load_targets(tmp_path)


def test_whoever_asks_for_a_disabled_target_is_told_why_it_is(fleet):
    directory = fleet(web=target("web", "    ownr: x\n"), shop=target("shop"))

    with pytest.raises(
        ConfigurationError, match=r"target web is disabled.*web\.yaml:6:5: targets\.web\.ownr"
    ):
        find_target(load_targets(directory), "web")


def test_what_has_changed_is_read_again_and_what_has_not_is_not(fleet):
    directory = fleet(web=target("web"), shop=target("shop"))
    before = load_targets(directory)

    assert load_targets(directory) is before
    (directory / "web.yaml").write_text(target("web", "    ownr: x\n"))
    assert list(load_targets(directory).targets) == ["shop"]
    (directory / "web.yaml").unlink()
    assert load_targets(directory).broken == ()
