"""What targets.yaml says about restoring a tree, as the settings of the command."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from backstop.errors import NotFoundError
from backstop.settings.trees import tree_restore_settings
from backstop.targets import Configuration, load_targets

TREE = {
    "paths": ["/etc/calibrify", "/etc/systemd/system/calibrify*.service"],
    "restore": {
        "owner": "www-data:www-data",
        "after_restore": [["systemctl", "daemon-reload"], ["systemctl", "restart", "nginx"]],
        "undo_on_failure": False,
        "timeout": "2m",
    },
}


def load(folder: Path, tree: dict[str, object]) -> Configuration:
    keys = {"storage": "local", "path": f"{folder}/ring.json", "signing": f"{folder}/signing"}
    database = {
        "conn_id": "lab", "dbname": "calibrify", "repositories": ["disk"], "spool": f"{folder}/spool"
    }  # fmt: skip
    path = folder / "targets.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "version": 1,
                "keys": {"lab": {**keys, "escrow": {"waived": "a test"}}},
                "repositories": {"disk": {"type": "posix", "path": f"{folder}/repository"}},
                "targets": {"calibrify": {"keys": "lab", "database": database, "trees": {"config": tree}}},
            }
        )
    )
    return load_targets(path)


def test_a_tree_is_restored_as_its_section_says(tmp_path: Path) -> None:
    settings = tree_restore_settings(load(tmp_path, TREE), "calibrify", "config", [])

    assert settings.scratch == tmp_path / "spool"
    assert settings.patterns == tuple(TREE["paths"])
    assert settings.owner == "www-data:www-data"
    assert settings.after_restore == (("systemctl", "daemon-reload"), ("systemctl", "restart", "nginx"))
    assert settings.timeout == timedelta(minutes=2)
    assert not settings.undo_on_failure


def test_a_spool_of_its_own_is_used_and_the_rest_has_defaults(tmp_path: Path) -> None:
    configuration = load(tmp_path, {"paths": ["/srv/media"], "spool": "/var/spool/media"})

    settings = tree_restore_settings(configuration, "calibrify", "config", [])

    assert settings.scratch == Path("/var/spool/media")
    assert (settings.owner, settings.after_restore, settings.undo_on_failure) == (None, (), True)


def test_a_tree_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no file tree 'media'"):
        tree_restore_settings(load(tmp_path, TREE), "calibrify", "media", [])
