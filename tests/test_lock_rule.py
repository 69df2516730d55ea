"""What targets.yaml says of a lock becomes the rule of that repository's storage, and of no other."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from backstop.errors import ConfigurationError
from backstop.model.backup import BackupLabel
from backstop.model.object_lock import ROLLING
from backstop.targets import load_targets
from backstop.wiring.locks import lock_rule

NOW = datetime(2026, 11, 23, 2, tzinfo=timezone.utc)
BEGAN = datetime(2026, 11, 23, 1, tzinfo=timezone.utc)
TARGETS = """\
version: 1
keys:
  lab: {storage: local, path: /keys/ring.json, signing: /keys, escrow: {copied_to: safe, on: 2026-11-01}}
repositories:
  local: {type: posix, path: /backups}
  s3: {type: s3, bucket: lab-backups, lock: {mode: compliance, margin: 2d}}
  open: {type: s3, bucket: lab-others}
targets:
  lab:
    keys: lab
    database:
      conn_id: lab_backup
      dbname: lab
      repositories: [local, s3, open]
      retention: {s3: 90d, open: 90d}
    cluster: {conn_id: lab_replication, retention: {s3: {daily: 14, monthly: 6}}}
    trees:
      media: {paths: [/srv/media], retention: {s3: 10d}}
"""


@pytest.fixture
def configuration(tmp_path):
    file = tmp_path / "targets.yaml"
    file.write_text(TARGETS, encoding="utf-8")
    return load_targets(file)


def days(count: int) -> timedelta:
    return timedelta(days=count)


@pytest.mark.parametrize(("kind", "kept"), [("dump", 90), ("full", 14), ("incr", 14), ("tree-media", 10)])
def test_each_kind_is_locked_by_its_own_retention_and_the_margin(configuration, kind, kept):
    rule = lock_rule(configuration, "s3")

    key = f"lab/meta/manifests/20261123T010000Z-{kind}.json"
    assert rule.mode == "compliance"
    assert rule.until(key, now=NOW) == BEGAN + days(kept + 2)


def test_wal_and_evidence_are_locked_as_long_as_what_stays_longest(configuration):
    rule = lock_rule(configuration, "s3")

    assert rule.until("lab/data/wal/1/00000001/x", now=NOW) == NOW + days(92)
    assert rule.until("lab/meta/evidence/00000001.json", now=NOW) == NOW + days(92)


def test_a_tree_that_does_not_go_there_makes_no_lock_shorter(tmp_path):
    file = tmp_path / "targets.yaml"
    elsewhere = "media: {paths: [/srv/media], repositories: [local], retention: {local: 10d}}"
    file.write_text(TARGETS.replace("media: {paths: [/srv/media], retention: {s3: 10d}}", elsewhere))
    rule = lock_rule(load_targets(file), "s3")

    assert rule.until("lab/data/wal/1/00000001/x", now=NOW) == NOW + days(92)
    assert rule.until("lab/meta/evidence/00000001.json", now=NOW) == NOW + days(92)


def test_where_trees_alone_go_what_they_keep_longest_counts(tmp_path):
    file = tmp_path / "targets.yaml"
    text = TARGETS.replace("repositories: [local, s3, open]", "repositories: [local, open]")
    text = text.replace("{s3: 90d, open: 90d}", "{open: 90d}").replace(
        "{s3: {daily: 14, monthly: 6}}", "{open: 5d}"
    )
    file.write_text(text.replace("paths: [/srv/media],", "paths: [/srv/media], repositories: [s3],"))

    rule = lock_rule(load_targets(file), "s3")

    assert rule.until("lab/meta/evidence/00000001.json", now=NOW) == NOW + days(12)


def test_what_stays_for_ever_beside_it_makes_no_lock_of_wal_shorter(tmp_path):
    file = tmp_path / "targets.yaml"
    file.write_text(TARGETS.replace(", retention: {s3: 10d}", ""))

    rule = lock_rule(load_targets(file), "s3")

    assert rule.kept("lab", BackupLabel("20261123T010000Z-tree-media")) is None
    assert rule.until("lab/data/wal/1/00000001/x", now=NOW) == NOW + days(92)


def test_what_targets_yaml_no_longer_names_stays_for_ever_and_is_locked_month_by_month(configuration):
    rule = lock_rule(configuration, "s3")

    assert rule.kept("lab", BackupLabel("20261123T010000Z-tree-gone")) is None
    assert rule.until("former/data/wal/1/00000001/x", now=NOW) == NOW + ROLLING
    key = "former/data/database/20261123T010000Z-dump/0123456789abcdef/t/1"
    assert rule.until(key, now=NOW) == NOW + ROLLING


@pytest.mark.parametrize("margin", ["12h", "1d12h", "90s"])
def test_a_margin_that_is_no_whole_days_is_refused(tmp_path, margin):
    file = tmp_path / "targets.yaml"
    file.write_text(TARGETS.replace("margin: 2d", f"margin: {margin}"))

    with pytest.raises(ConfigurationError) as refused:
        load_targets(file)

    assert "repositories.s3" in str(refused.value)
    assert "expected whole days, such as 1d" in str(refused.value)


def test_a_repository_without_lock_and_a_directory_lock_nothing(configuration):
    assert lock_rule(configuration, "local") is None
    assert lock_rule(configuration, "open") is None
