"""make_keys.py: keys of docker-compose.yaml, whatever targets are called, and never twice."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from embedded.home import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path


class Stack:
    """Two targets with keys of their own, and what airflow-init sees of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.targets = root / "targets.yaml"
        self.write({one: self.target(one) for one in ("shop", "web")})

    def target(self, name: str, repository: str = "local") -> dict[str, Any]:
        database = {
            "conn_id": "x", "dbname": name, "repositories": [repository], "retention": {repository: "7d"},
        }  # fmt: skip
        return {"keys": name, "database": database}

    def write(self, targets: dict[str, Any], **repositories: Any) -> None:
        keys = {
            name: {
                "storage": "local",
                "path": str(self.ring(name)),
                "signing": str(self.root / "keys" / name / "signing"),
            }
            for name in ("shop", "web")
        }
        local = {"type": "posix", "path": str(self.root / "repository")}
        document = {
            "version": 1,
            "keys": keys,
            "repositories": {"local": local, **repositories},
            "targets": targets,
        }
        self.targets.write_text(yaml.safe_dump(document))

    def ring(self, name: str) -> Path:
        return self.root / "keys" / name / "keyring.json"

    def trusted(self, name: str) -> Path:
        return self.root / "keys" / name / "signing" / "trusted.json"

    def back_up(self, name: str) -> None:
        manifest = self.root / "repository" / name / "meta/manifests/20261101T000000Z-dump.json"
        manifest.parent.mkdir(mode=0o700, parents=True)
        manifest.write_text("{}")

    def run(self) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(CHECKOUT / "plugins"),
            "BACKSTOP_TARGETS": str(self.targets),
        }
        return subprocess.run(
            [sys.executable, str(CHECKOUT / "include/compose/make_keys.py")],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def contents(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in (self.root / "keys").rglob("*") if path.is_file()}


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path)


def test_every_entry_gets_its_keys_whatever_targets_are_called_and_once(stack: Stack) -> None:
    first = stack.run()

    assert first.returncode == 0, first.stderr
    made = stack.contents()
    assert {stack.ring("shop"), stack.trusted("shop"), stack.ring("web"), stack.trusted("web")} <= made.keys()
    stack.back_up("shop")
    assert stack.run().returncode == 0
    assert stack.contents() == made


@pytest.mark.parametrize("left", [(), ("manifest.pem",), ("manifest.pem", "proof.pem")], ids=len)
def test_a_first_start_cut_off_after_the_key_ring_is_finished_by_the_next(
    stack: Stack, left: tuple[str, ...]
) -> None:
    stack.run()
    for file in stack.trusted("shop").parent.iterdir():
        if file.name not in left:
            file.unlink()
    before = stack.contents()

    assert stack.run().returncode == 0

    assert stack.trusted("shop").exists()
    assert {path: content for path, content in stack.contents().items() if path in before} == before


def test_keys_that_were_there_once_are_not_made_anew(stack: Stack) -> None:
    stack.run()
    stack.ring("web").unlink()

    refused = stack.run()

    assert refused.returncode == 1
    assert f"keys.web: the key ring {stack.ring('web')} is gone" in refused.stderr
    assert "next: put the copy of secrets/keys back" in refused.stderr
    assert not stack.ring("web").exists()


@pytest.mark.parametrize("lost", ["all of them", "trusted signers"])
def test_where_there_are_backups_there_were_keys(stack: Stack, lost: str) -> None:
    stack.run()
    stack.back_up("web")
    for file in (stack.trusted("web"), *([stack.ring("web")] if lost == "all of them" else [])):
        file.unlink()
    if lost == "all of them":
        for file in stack.trusted("web").parent.iterdir():
            file.unlink()
    before = stack.contents()

    refused = stack.run()

    assert refused.returncode == 1
    assert "keys.web: keys are missing, and repository local" in refused.stderr
    assert "has backups of web" in refused.stderr
    assert stack.contents() == before


def test_keys_are_not_made_where_nobody_says_whether_there_are_backups(stack: Stack) -> None:
    stack.write(
        {"web": stack.target("web", "share")},
        share={"type": "posix", "path": str(stack.root / "share"), "mounted": True},
    )

    refused = stack.run()

    assert refused.returncode == 1
    assert "repository share does not say whether it has backups" in refused.stderr
    assert not (stack.root / "keys").exists()


def test_airflow_init_makes_them_and_sees_where_backups_are() -> None:
    compose = yaml.safe_load((CHECKOUT / "docker-compose.yaml").read_text())
    init = compose["services"]["airflow-init"]

    assert (
        "python /opt/airflow/include/compose/make_keys.py\n"
        in (CHECKOUT / "include/compose/init_airflow.sh").read_text()
    )
    assert {"./secrets/keys:/etc/backstop/keys", "backups:/var/backups/backstop:ro"} <= {*init["volumes"]}
    # To ask the bucket.
    assert "storage" in init["networks"]
    assert {"source": "connections", "target": "connections.json"} in init["secrets"]
