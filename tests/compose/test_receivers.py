"""archive_wal.py: a receiver for each target that wants one, whatever it is called."""

from __future__ import annotations

import json
import runpy
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from backstop.targets import load_targets
from embedded.home import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCRIPT = runpy.run_path(str(CHECKOUT / "include/compose/archive_wal.py"))


def target(name: str, spool: Path, **cluster: Any) -> dict[str, Any]:
    return {
        "keys": "k",
        "database": {
            "conn_id": "x",
            "dbname": name,
            "repositories": ["local"],
            "retention": {"local": "7d"},
        },
        **({"cluster": {"conn_id": "nobody", "spool": str(spool), **cluster}} if cluster else {}),
    }


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of target files; no receiver can start in earnest, because no connection is there."""
    folder = tmp_path / "targets"
    folder.mkdir(mode=0o700)
    keys = {
        "storage": "local", "path": str(tmp_path / "ring"), "signing": str(tmp_path / "signing"),
        "escrow": {"waived": "a test"},
    }  # fmt: skip
    repository = {"type": "posix", "path": str(tmp_path / "repository")}
    shared = {"version": 1, "keys": {"k": keys}, "repositories": {"local": repository}}
    (folder / "backstop.yaml").write_text(yaml.safe_dump(shared))
    targets = {
        "shop": target("shop", tmp_path, wal={"runner": "service"}),
        "web": target("web", tmp_path, wal={"runner": "airflow"}),
        "wiki": target("wiki", tmp_path),
    }
    (folder / "all.yaml").write_text(yaml.safe_dump({"targets": targets}))
    monkeypatch.setenv("BACKSTOP_TARGETS", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT / "plugins"))
    return folder


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[Any]:
    made = SCRIPT["Receivers"](tmp_path / "receivers.json")
    yield made
    made.end()


def test_each_target_whose_wal_a_service_receives_has_one(fleet: Path) -> None:
    spool = fleet.parent

    assert SCRIPT["receivers"](load_targets()) == {"shop": spool / "archive-wal-shop.json"}


def test_a_receiver_that_ends_is_named_and_started_again_and_a_new_target_is_found(
    fleet: Path, receivers: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(receivers.look.__func__.__globals__, "PAUSE_SECONDS", 0.0)
    receivers.look()
    assert json.loads((fleet.parent / "receivers.json").read_text()) == [
        str(fleet.parent / "archive-wal-shop.json")
    ]
    new = target("blog", fleet.parent, wal={"runner": "service"})
    (fleet / "blog.yaml").write_text(yaml.safe_dump({"targets": {"blog": new}}))

    said, started = "", set()
    deadline = time.monotonic() + 60
    while not ({"shop", "blog"} <= {name for name, _ in started} and len(started) > 3):
        assert time.monotonic() < deadline, said
        time.sleep(0.2)
        receivers.look()
        started |= {(name, process.pid) for name, process in receivers._running.items()}
        said += capfd.readouterr().err
    assert "archive-wal of shop ended with exit code" in said


def test_a_file_that_is_wrong_ends_no_receiver_and_hides_none(fleet: Path, receivers: Any) -> None:
    receivers.look()
    (fleet / "all.yaml").write_text("targets: [")

    receivers.look()

    listed = json.loads((fleet.parent / "receivers.json").read_text())
    assert listed == [str(fleet.parent / "archive-wal-shop.json")]
    assert [*receivers._running] == ["shop"]
