"""What targets.yaml says about a cluster, as the settings that commands take; and what it must say first."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml

from backstop.commands.base.settings import FileCopySettings
from backstop.commands.questions import Query
from backstop.credentials import EnvironmentCredentials
from backstop.crypto.signing import create_signing_keys
from backstop.errors import ConfigurationError, NotFoundError
from backstop.settings.arguments import named_repository, parse_period_end
from backstop.settings.cluster import (
    archive_settings,
    base_backup_settings,
    cutover_commands,
    recover_settings,
    recovery_destination,
)
from backstop.settings.proof import proof_settings, verify_policies
from backstop.targets import load_targets
from backstop.wiring import find_cluster, find_recovery, open_repositories, replication_connection

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
CREDENTIALS = EnvironmentCredentials(
    {
        "AIRFLOW_CONN_LAB_BACKUP": "postgresql://reader:hunter2@db.example.org/ignored",
        "AIRFLOW_CONN_LAB_REPLICATION": "postgresql://copier:hunter2@db.example.org/ignored",
    }
)
CUTOVER = {
    "data_directory": "/srv/postgres/data",
    "stop": [["systemctl", "stop", "postgresql"]],
    "start": [["systemctl", "start", "postgresql"]],
    "probe": [["pg_isready"]],
    "timeout": "2m",
}
RECOVERY = {
    "directory": "/srv/recovered",
    "run_as": "postgres",
    "superuser": "admin",
    "queries": [{"sql": "SELECT count(*) > 0 FROM equipment", "expect": True}],
}


@pytest.fixture
def load(tmp_path):
    """targets.yaml with this ``cluster`` section of ``calibrify``."""
    create_signing_keys(tmp_path / "signing")

    def load(cluster, *, spool=None, trees=None):
        database = {"conn_id": "lab_backup", "dbname": "calibrify", "repositories": ["disk"]}
        target = {"keys": "lab", "database": database}
        if spool:
            database["spool"] = spool
        if cluster is not None:
            target["cluster"] = {"conn_id": "lab_replication", **cluster}
        if trees:
            target["trees"] = trees
        keys = {
            "storage": "local",
            "path": f"{tmp_path}/ring.json",
            "signing": f"{tmp_path}/signing",
            "escrow": {"waived": "test"},
        }
        path = tmp_path / "targets.yaml"
        path.write_text(
            yaml.safe_dump(
                {
                    "version": 1,
                    "keys": {"lab": keys},
                    "repositories": {
                        "disk": {"type": "posix", "path": f"{tmp_path}/repository"},
                        "far": {"type": "posix", "path": f"{tmp_path}/far"},
                    },
                    "targets": {"calibrify": target},
                }
            )
        )
        return load_targets(path)

    return load


def repositories(configuration):
    return open_repositories(configuration, "calibrify", CREDENTIALS)


def test_the_replication_role_connects_to_the_whole_server(load):
    connection = replication_connection(load({}), "calibrify", CREDENTIALS)

    assert (connection.user, connection.dbname) == ("copier", "calibrify")
    assert "hunter2" not in repr(connection)


@pytest.mark.parametrize(
    ("cluster", "database", "expected"),
    [
        ({"spool": "/srv/wal"}, "/srv/dumps", "/srv/wal"),
        ({}, "/srv/dumps", "/srv/dumps"),
    ],
)
def test_base_backups_and_wal_wait_in_the_clusters_spool_or_the_databases(load, cluster, database, expected):
    configuration = load(cluster, spool=database)
    stores = repositories(configuration)

    assert str(base_backup_settings(configuration, "calibrify", stores).staging) == expected
    archiving = archive_settings(configuration, "calibrify", stores)
    assert str(archiving.spool) == expected
    assert str(archiving.status_file) == f"{expected}/archive-wal-calibrify.json"


def test_the_files_of_a_server_on_this_host_are_read_here(load):
    stores = repositories(load({}))
    assert base_backup_settings(load({}), "calibrify", stores).file_copy is None

    said = load({"file_copy": {"data_directory": "/srv/pg/main", "readers": 4}})
    found = base_backup_settings(said, "calibrify", stores).file_copy
    assert found == FileCopySettings(Path("/srv/pg/main"), database="postgres", readers=4)
    elsewhere = load({"file_copy": {"data_directory": "/srv/pg/main", "database": "admin"}})
    found = base_backup_settings(elsewhere, "calibrify", stores).file_copy
    assert (found.database, found.readers) == ("admin", 2)


def test_without_any_spool_they_wait_beside_the_repository(load, tmp_path):
    configuration = load({})

    staging = base_backup_settings(configuration, "calibrify", repositories(configuration)).staging

    assert staging.is_relative_to(tmp_path / "repository")


def test_the_slot_is_the_targets_own_unless_it_is_named(load):
    stores = repositories(load({}))
    assert archive_settings(load({}), "calibrify", stores).slot_of("calibrify") == "backstop_calibrify"

    named = archive_settings(load({"wal": {"slot": "lab", "synchronous": True}}), "calibrify", stores)
    assert named.slot_of("calibrify") == "lab"
    assert named.synchronous


def test_a_recovery_gets_its_account_its_superuser_and_its_queries(load, tmp_path):
    configuration = load({"recovery": RECOVERY})

    settings = recover_settings(configuration, "calibrify", destination=tmp_path / "new")

    assert settings.destination == tmp_path / "new"
    assert (settings.account, settings.superuser, settings.database) == ("postgres", "admin", "calibrify")
    question = "SELECT count(*) > 0 FROM equipment"
    assert settings.queries == (Query(sql=question, expect=True, name=question),)
    destination = recovery_destination(configuration, "calibrify", now=NOW)
    assert str(destination) == "/srv/recovered/calibrify-20261123T120000Z"


def test_a_base_backup_is_proven_with_the_queries_of_recoveries_and_never_on_another_server(load):
    configuration = load({"recovery": RECOVERY})
    stores = repositories(configuration)
    elsewhere = replication_connection(configuration, "calibrify", CREDENTIALS)

    settings = proof_settings(configuration, "calibrify", stores, server=elsewhere, reader=lambda: elsewhere)

    assert settings.dump.server is elsewhere
    assert settings.base.server is None
    assert [query.sql for query in settings.base.queries] == ["SELECT count(*) > 0 FROM equipment"]
    assert (settings.superuser, settings.database) == ("admin", "calibrify")


def test_a_base_backup_can_be_proven_where_nobody_said_how_to_recover(load):
    for cluster in ({}, None):
        configuration = load(cluster)
        settings = proof_settings(
            configuration, "calibrify", repositories(configuration), server=None, reader=nobody
        )

        assert settings.base.queries == ()
        assert settings.superuser == "postgres"


MEDIA = {
    "paths": ["/srv/media"],
    "spool": "/srv/spool",
    "verify": {"share": 0.1, "policy": "weekly"},
    "expected": {"sql": "SELECT path FROM photos", "below": "/srv/media"},
}
CONFIG = {"paths": ["/etc/lab"], "repositories": ["far"]}


def test_each_tree_is_proven_by_its_own_share_and_its_own_question(load):
    configuration = load(None, trees={"media": MEDIA, "config": CONFIG})

    settings = proof_settings(
        configuration, "calibrify", repositories(configuration), server=None, reader=nobody
    )

    media, config = settings.trees["media"], settings.trees["config"]
    assert (media.share, str(media.scratch)) == (0.1, "/srv/spool")
    assert media.expected.sql == "SELECT path FROM photos"
    assert config.share == 1
    assert config.expected is None
    assert config.scratch == settings.dump.scratch


def test_each_tree_has_a_policy_of_its_own_in_the_repositories_it_goes_to(load):
    configuration = load({"verify": "daily"}, trees={"media": MEDIA, "config": CONFIG})

    disk, far = (verify_policies(configuration, "calibrify", name) for name in ("disk", "far"))

    assert (disk.dumps, disk.base, disk.trees) == ("each", "daily", {"media": "weekly"})
    assert (far.dumps, far.base, far.trees) == (None, None, {"config": "each"})


def nobody():
    raise AssertionError("the database was asked")


def test_a_cut_over_knows_the_live_directory_and_its_commands(load):
    live, commands = cutover_commands(load({"recovery": {**RECOVERY, "cutover": CUTOVER}}), "calibrify")

    assert str(live) == "/srv/postgres/data"
    assert [list(one) for one in commands.stop] == [["systemctl", "stop", "postgresql"]]
    assert [list(one) for one in commands.start] == [["systemctl", "start", "postgresql"]]
    assert [list(one) for one in commands.probe] == [["pg_isready"]]
    assert commands.timeout == timedelta(minutes=2)


@pytest.mark.parametrize(
    ("cluster", "asked", "said"),
    [
        (None, find_cluster, "has no `cluster` section"),
        (None, find_recovery, "has no `cluster` section"),
        (None, cutover_commands, "has no `cluster` section"),
        ({}, find_recovery, "has no cluster.recovery"),
        ({}, cutover_commands, "has no cluster.recovery"),
        ({"recovery": RECOVERY}, cutover_commands, "has no cluster.recovery.cutover"),
    ],
)
def test_a_section_that_is_missing_is_named_with_what_it_is_for(load, cluster, asked, said):
    with pytest.raises(ConfigurationError, match=f"target calibrify {said}") as refused:
        asked(load(cluster), "calibrify")
    assert "docs/targets.md" in refused.value.hint


def test_without_a_cluster_nothing_of_it_is_set_up(load, tmp_path):
    configuration = load(None)
    stores = repositories(configuration)

    for ask in (
        lambda: base_backup_settings(configuration, "calibrify", stores),
        lambda: archive_settings(configuration, "calibrify", stores),
        lambda: recover_settings(configuration, "calibrify", destination=tmp_path),
        lambda: recovery_destination(configuration, "calibrify", now=NOW),
        lambda: replication_connection(configuration, "calibrify", CREDENTIALS),
    ):
        with pytest.raises(ConfigurationError, match="has no `cluster` section"):
            ask()


def test_a_repository_of_no_such_name_is_answered_with_the_known_ones(load):
    with pytest.raises(NotFoundError, match="no repository 'dsik'") as refused:
        named_repository(repositories(load({})), "dsik")
    assert refused.value.hint == "choose one of: disk"


def test_a_period_may_end_with_the_last_day_of_all():
    assert parse_period_end("2026-12-31") == datetime(2027, 1, 1, tzinfo=timezone.utc)
    assert parse_period_end("9999-12-31") == datetime.max.replace(tzinfo=timezone.utc)
