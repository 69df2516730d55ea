"""What targets.yaml says of retention: what is accepted, what is refused, and which policies come of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from backstop.errors import NotFoundError
from backstop.model.backup import BackupLabel
from backstop.model.retention import RetentionPolicy
from backstop.settings.retention import retention_policies
from backstop.targets import find_mistakes, load_targets

CHECKOUT = Path(__file__).parents[1]
DUMP, FULL, INCREMENTAL, MEDIA, CONFIG = (
    BackupLabel(f"20261123T010000Z-{kind}") for kind in ("dump", "full", "incr", "tree-media", "tree-config")
)
TARGETS = """\
version: 1
keys:
  lab: {storage: local, path: /keys/ring.json, signing: /keys, escrow: {copied_to: safe, on: 2026-11-01}}
repositories:
  local: {type: posix, path: /backups}
  s3: {type: s3, bucket: lab-backups}
targets:
  lab:
    keys: lab
    database:
      conn_id: lab_backup
      dbname: lab
      repositories: [local, s3]
      retention: DATABASE
    cluster: {conn_id: lab_replication, retention: CLUSTER}
    trees:
      media: {paths: [/srv/media], retention: TREE}
"""


def days(count: int) -> timedelta:
    return timedelta(days=count)


@pytest.fixture
def write(tmp_path):
    def write(database: str = "{}", *, cluster: str = "null", tree: str = "{}") -> Path:
        text = TARGETS.replace("DATABASE", database).replace("CLUSTER", cluster).replace("TREE", tree)
        file = tmp_path / "targets.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def only_mistake(file: Path) -> str:
    (mistake,) = find_mistakes(file)
    return str(mistake)


def test_a_duration_is_a_policy_by_age(write):
    policies = retention_policies(load_targets(write("{local: 30d, s3: 90d}")), "lab", "s3")

    assert policies(DUMP) == RetentionPolicy(keep_for=days(90), min_proven=3)


def test_rules_are_a_policy_as_they_stand(write):
    rules = "{keep_for: 90d, keep_last: 7, daily: 6, weekly: 4, monthly: 12, yearly: 3, min_proven: 2}"

    policies = retention_policies(load_targets(write(f"{{s3: {rules}}}")), "lab", "s3")

    assert policies(DUMP) == RetentionPolicy(
        keep_for=days(90), keep_last=7, daily=6, weekly=4, monthly=12, yearly=3, min_proven=2
    )


def test_the_procedures_of_the_example_are_30_and_90_days_and_7_and_30_for_files():
    configuration = load_targets(CHECKOUT / "dags" / "targets.yaml")

    asked = {
        repository: [
            retention_policies(configuration, "calibrify", repository)(label).keep_for
            for label in (DUMP, FULL, MEDIA, CONFIG)
        ]
        for repository in ("local", "s3")
    }

    assert asked == {
        "local": [days(30), days(30), days(7), days(7)],
        "s3": [days(90), days(90), days(30), days(30)],
    }


def test_base_backups_are_kept_like_dumps_unless_the_cluster_says_otherwise(write):
    same = retention_policies(load_targets(write("{s3: 90d}")), "lab", "s3")
    own = retention_policies(load_targets(write("{s3: 90d}", cluster="{s3: 14d}")), "lab", "s3")
    for_good = retention_policies(load_targets(write("{s3: 90d}", cluster="{}")), "lab", "s3")

    assert (same(FULL).keep_for, same(INCREMENTAL).keep_for) == (days(90), days(90))
    assert (own(FULL).keep_for, own(INCREMENTAL).keep_for, own(DUMP).keep_for) == (
        days(14),
        days(14),
        days(90),
    )
    assert for_good(FULL).keeps_everything


def test_a_repository_that_is_not_named_keeps_for_good_and_says_so(write):
    policy = retention_policies(load_targets(write("{local: 30d}")), "lab", "s3")(DUMP)

    assert policy.keeps_everything
    assert policy.without_rules == "targets.yaml sets no retention for it in s3"


def test_a_tree_that_targets_yaml_no_longer_names_keeps_everything_and_says_so(write):
    policies = retention_policies(load_targets(write(tree="{s3: 7d}")), "lab", "s3")

    assert policies(MEDIA).keep_for == days(7)
    assert policies(CONFIG).keeps_everything
    assert policies(CONFIG).without_rules == "targets.yaml has no tree config of lab any more"


def test_base_backups_of_a_target_that_is_no_longer_a_cluster_are_kept(write):
    file = write("{s3: 90d}")
    text = file.read_text()
    file.write_text("\n".join(line for line in text.splitlines() if "cluster:" not in line))

    policy = retention_policies(load_targets(file), "lab", "s3")(FULL)

    assert policy.keeps_everything
    assert policy.without_rules == "targets.yaml has no `cluster` of lab any more"


def test_an_unknown_target_is_named(write):
    with pytest.raises(NotFoundError, match="no target 'lav'"):
        retention_policies(load_targets(write()), "lav", "s3")


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (
            "{s3: 30}",
            "line 14, column 23: targets.lab.database.retention.s3: expected a duration such as 30d",
        ),
        (
            "{s3: []}",
            "line 14, column 23: targets.lab.database.retention.s3: expected a duration such as 30d",
        ),
        ("{s3: {keep_for: 90}}", "retention.s3.keep_for: expected a duration such as 30d"),
        ("{s3: {dayly: 7}}", "retention.s3.dayly: unknown key; did you mean 'daily'?"),
        ("{s3: {weekly: -1}}", "retention.s3.weekly: expected greater than or equal to 0, found -1"),
        ("{s3: {monthly: many}}", "retention.s3.monthly: expected a whole number, found 'many'"),
        ("{s3: {keep_last: 1, min_proven: 0}}", "min_proven: expected greater than or equal to 1, found 0"),
        ("{s4: 7d}", "column 19: targets.lab.database.retention.s4: retention for a repository that"),
    ],
)
def test_a_mistake_in_retention_is_named_with_its_place(write, rules, said):
    assert said in only_mistake(write(rules))


@pytest.mark.parametrize("rules", ["{}", "{min_proven: 5}", "{daily: 0}"])
def test_rules_that_let_nothing_go_are_refused_because_leaving_them_out_says_it_better(write, rules):
    said = only_mistake(write(tree=f"{{s3: {rules}}}"))

    assert "targets.lab.trees.media.retention.s3: expected keep_for, keep_last, daily" in said
    assert "to keep everything, leave the repository out" in said


def test_a_cluster_cannot_have_retention_for_a_repository_that_the_database_does_not_use(write):
    said = only_mistake(write(cluster="{s4: 7d}"))

    assert "targets.lab.cluster.retention.s4: retention for a repository that `repositories`" in said
