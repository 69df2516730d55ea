"""A target with a cluster as operators find it: real targets.yaml and keys, a server that nobody contacts."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import yaml

from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import create_signing_keys
from backstop.hooks.target import TargetHook
from backstop.postgres.connection import ClusterConnection
from tests.making import STARTED

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SERVER = ClusterConnection("db.example.org", 5432, "copier", "calibrify", password="hunter2")


@dataclass
class Lab:
    """Targets ``calibrify``, with a cluster and the file tree ``config``, and ``plain``, without."""

    folder: Path

    def __post_init__(self) -> None:
        create_signing_keys(self.folder / "signing")
        LocalKeyring.create(self.folder / "ring.json", STARTED)
        self.live = self.folder / "data"
        self.tree = self.folder / "conf"
        self.reloaded = self.folder / "reloaded"
        self.tree_rules: dict[str, Any] = {}
        self.started = self.folder / "started"
        self.stopped = self.folder / "stopped"
        self.write()

    def write(self, **recovery: Any) -> None:
        """targets.yaml, with other words about recovery."""
        database = {
            "conn_id": "backup",
            "dbname": "calibrify",
            "repositories": ["local", "far"],
            "spool": str(self.folder / "spool"),
            "objectives": {"rpo": "5m"},
        }
        cutover = {
            "data_directory": str(self.live),
            "stop": [["touch", str(self.stopped)]],
            "start": [["touch", str(self.started)]],
        }
        section = {"directory": str(self.folder / "recovered"), "cutover": cutover, **recovery}
        recovery = {key: value for key, value in section.items() if value is not None}
        keys = {
            "storage": "local",
            "path": f"{self.folder}/ring.json",
            "signing": f"{self.folder}/signing",
            "escrow": {"waived": "test"},
        }
        document = {
            "version": 1,
            "keys": {"lab": keys},
            "repositories": {
                name: {"type": "posix", "path": str(self.folder / name)} for name in ("local", "far")
            },
            "targets": {
                "calibrify": {
                    "keys": "lab",
                    "database": database,
                    "cluster": {"conn_id": "replication", "full": "0 3 * * 0", "recovery": recovery},
                    "trees": {
                        "config": {
                            "paths": [str(self.tree)],
                            "on_change": {"settle": "1s", "at_most": "2s"},
                            "restore": {
                                "after_restore": [["touch", str(self.reloaded)]],
                                **self.tree_rules,
                            },
                        }
                    },
                },
                "plain": {"keys": "lab", "database": database},
            },
        }
        (self.folder / "targets.yaml").write_text(yaml.safe_dump(document))

    def enter(self, patch: pytest.MonkeyPatch) -> None:
        patch.setenv("BACKSTOP_TARGETS", str(self.folder / "targets.yaml"))
        patch.setattr(TargetHook, "cluster_for_replication", lambda _: SERVER)


def context(*, by: str | None = "ann", run_type: str = "manual") -> dict[str, Any]:
    """What Airflow hands to a task; events of assets are collected in it."""
    pushed: dict[str, Any] = {}
    return {
        "dag_run": SimpleNamespace(triggering_user_name=by, run_type=run_type),
        "ti": SimpleNamespace(
            dag_id="dag",
            run_id="run",
            task_id="task",
            pushed=pushed,
            xcom_push=lambda key, value: pushed.__setitem__(key, value),
        ),
        "outlet_events": _Events(),
    }


class _Events(dict):
    def __missing__(self, asset: Any) -> Any:
        self[asset] = SimpleNamespace(extra={})
        return self[asset]
