"""What a watch looks at follows from targets.yaml, and what targets share is opened once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backstop.credentials import default_credentials
from backstop.errors import ConfigurationError, KeyUnavailableError
from backstop.model.access import AccessRole
from backstop.settings.watch import WatchedTargets
from backstop.targets import load_targets
from tests.cli.installation import install

SECOND = """\
  second:
    keys: lab
    database:
      conn_id: a
      dbname: second
      schedule: "0 1 * * *"
      repositories: [near, far]
      verify: {policy: daily}
      objectives: {rto: 4h, rpo: 5m}
    cluster:
      conn_id: b
      full: "0 3 * * 0"
      incremental: "0 3 * * 1-6"
      verify: weekly
    trees:
      media: {paths: [/srv/media], schedule: "0 2 * * *", objectives: {rpo: 24h}, repositories: [far]}
      config: {paths: [/etc/calibrify], on_change: {}}
    watch: {late_after: 30m, prove_within: 12h}
"""


@pytest.fixture
def targets(tmp_path, monkeypatch) -> WatchedTargets:
    folder = install(tmp_path, monkeypatch)
    with (folder / "targets.yaml").open("a") as document:
        document.write(SECOND)
    return WatchedTargets(load_targets(), default_credentials(AccessRole.AUDITOR))


def test_each_kind_has_its_schedules_repositories_and_objectives(targets):
    settings = targets.open("second").settings

    dump, base, media, config = settings.kinds
    assert (dump.kind, dump.schedules, dump.repositories) == ("dump", ("0 1 * * *",), ("near", "far"))
    assert (dump.rto, dump.has_wal) == (timedelta(hours=4), True)
    assert base.rpo == timedelta(minutes=5)
    assert (base.schedules, base.full_schedule) == (("0 3 * * 0", "0 3 * * 1-6"), "0 3 * * 0")
    assert (media.kind, media.repositories, media.rpo) == ("tree:media", ("far",), timedelta(hours=24))
    assert (config.schedules, config.on_change) == ((), True)
    assert (settings.late_after, settings.prove_within) == (timedelta(minutes=30), timedelta(hours=12))
    assert settings.wal_repositories == ("near", "far")
    assert (settings.policies["near"].dumps, settings.policies["near"].base) == ("daily", "weekly")
    assert list(settings.policies["near"].trees) == ["config"]


def test_dumps_need_not_keep_to_the_minutes_that_the_wal_beside_them_does(targets):
    # A day's dump is hours old when all is well: an alert on its age would never end.
    second = {one.kind: one.rpo for one in targets.open("second").settings.kinds}

    assert (second["dump"], second["base"]) == (None, timedelta(minutes=5))


def test_a_target_without_a_cluster_has_no_base_backups_and_no_wal(targets):
    settings = targets.open("calibrify").settings

    assert [kind.kind for kind in settings.kinds] == ["dump"]
    assert not settings.kinds[0].has_wal
    assert settings.wal_repositories == ()


def test_targets_share_storages_and_what_did_not_answer(targets):
    first, second = targets.open("calibrify"), targets.open("second")

    assert [one.storage for one in first.repositories] == [one.storage for one in second.repositories]
    assert first.outages is second.outages
    assert [one.catalog.target for one in second.repositories] == ["second", "second"]


def test_a_watch_gives_an_s3_repository_seconds_not_minutes(tmp_path, monkeypatch):
    folder = install(tmp_path, monkeypatch)
    document = (folder / "targets.yaml").read_text()
    nowhere = "{type: s3, bucket: nothing, endpoint_url: 'http://127.0.0.1:9', region: eu-central-1}"
    (folder / "targets.yaml").write_text(document.replace(f"{{type: posix, path: {folder}/far}}", nowhere))
    targets = WatchedTargets(load_targets(), default_credentials(AccessRole.AUDITOR))

    storages = {one.name: one.storage for one in targets.open("calibrify").repositories}

    assert storages["far"]._patience.total_seconds <= 15
    assert storages["far"]._client.meta.config.read_timeout <= 10


def test_a_target_that_cannot_be_opened_says_why(targets, tmp_path):
    (tmp_path / "signing" / "trusted.json").unlink()

    with pytest.raises((KeyUnavailableError, ConfigurationError), match=r"trusted\.json"):
        targets.open("calibrify")


def test_each_repository_is_looked_at_by_the_first_target_that_has_it(targets):
    def tops(*names):
        return {one.name: one.described for one in targets.tops(names)}

    assert tops("calibrify") == {"near": {"calibrify", "second"}, "far": {"calibrify", "second"}}
    assert tops("second") == {}
