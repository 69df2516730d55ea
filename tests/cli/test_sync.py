"""``sync-repositories`` from the command line, against two real directories."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from backstop.settings.arguments import utc_now
from tests.cli.installation import install, runner
from tests.making import Maker


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """Repositories ``near``, which keeps two days, and ``far``, which keeps a year."""
    return install(tmp_path, monkeypatch, retention="{near: 2d, far: 365d}")


@pytest.fixture
def run(installation, capsys):
    return runner(capsys, "sync-repositories")


@pytest.fixture
def publish(installation):
    """A dump of so many days ago, in one of the repositories."""

    def publish(name: str, days: int) -> str:
        maker = Maker.in_folder(installation, name)
        return maker.publish(started_at=utc_now() - timedelta(days=days)).manifest.label.text

    return publish


def labels(installation, name: str) -> list[str]:
    return sorted(
        path.stem for path in (installation / name / "calibrify" / "meta" / "manifests").glob("*.json")
    )


def test_every_repository_gets_what_its_own_retention_keeps(run, installation, publish):
    old = [publish("far", days) for days in (40, 30, 20, 10, 9)]
    young = publish("far", 1)
    newest = publish("near", 0)

    code, out, err = run()

    assert (code, err) == (0, "")
    assert labels(installation, "far") == sorted([*old, young, newest])
    # Of before its two days it keeps the newest, and no fewer than three.
    assert labels(installation, "near") == sorted([old[-1], young, newest])
    table = out.splitlines()
    assert table[0].split() == ["REPOSITORY", "COPIED", "OBJECTS", "WAL", "BYTES", "RATE", "IN", "STEP"]
    assert [(line.split()[0], line.split()[-1]) for line in table[1:3]] == [("near", "yes"), ("far", "yes")]
    assert f"far: {newest}" in out


def test_a_dry_run_writes_nothing_and_json_tells_the_same(run, installation, publish):
    label = publish("far", 1)

    code, out, _ = run("--dry-run", "--json", "--to", "near")

    assert code == 0
    document = json.loads(out)
    assert document["dry_run"] is True
    assert [one["labels"] for one in document["repositories"]] == [[label]]
    assert not (installation / "near").exists()


def test_a_damaged_source_is_said_and_ends_with_4(run, installation, publish):
    label = publish("far", 1)
    (damaged,) = (installation / "far").glob(f"calibrify/data/database/{label}/*/t/1")
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    code, out, err = run("--from", "far", "--to", "near")

    assert code == 4
    assert f"near lacks {label}" in err
    assert "is not what was stored" in err
    assert "no" in out.splitlines()[1].split()
    assert labels(installation, "near") == []


def test_an_unknown_repository_is_refused_with_the_names_there_are(run):
    code, _, err = run("--to", "tape")

    assert code == 3
    assert "choose one of: near, far" in err
