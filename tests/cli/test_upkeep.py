"""Looking after repositories from the command line: what is damaged, what is left over, what has drifted."""

from __future__ import annotations

import json
import os
import shutil
import time

import pytest

from backstop.cli.main import main
from backstop.commands.orphans.remove import remove_orphans
from backstop.errors import StorageUnavailableError
from backstop.storage.posix import PosixStorage
from tests.cli.installation import runner
from tests.making import Maker

LABEL = "20261123T010000Z-dump"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Keys, and two directories as repositories; the same backup in both."""
    (tmp_path / "targets.yaml").write_text(
        f"""\
version: 1
keys:
  lab: {{storage: local, path: {tmp_path}/ring.json, signing: {tmp_path}/signing, escrow: {{waived: test}}}}
repositories:
  near: {{type: posix, path: {tmp_path}/near}}
  far: {{type: posix, path: {tmp_path}/far}}
targets:
  calibrify:
    keys: lab
    check: {{share: 100%, orphans_after: 1d}}
    database: {{conn_id: lab, dbname: calibrify, repositories: [near, far], spool: {tmp_path}/spool}}
"""
    )
    monkeypatch.setenv("BACKSTOP_TARGETS", str(tmp_path / "targets.yaml"))
    monkeypatch.delenv("BACKSTOP_CREDENTIALS", raising=False)
    assert main(["init-keys"]) == 0
    near, far = (Maker.in_folder(tmp_path, name) for name in ("near", "far"))
    published = near.publish()
    shutil.copytree(tmp_path / "near" / "calibrify" / "data", tmp_path / "far" / "calibrify" / "data")
    far.catalog.publish(
        far.manifest(
            published.manifest.label, list(published.manifest.objects), published.manifest.started_at
        ),
        signer=far.signer,
        ensure_held=lambda: None,
    )
    return tmp_path


@pytest.fixture
def run(place, capsys):
    return runner(capsys)


def payload(place, name="near"):
    return sorted(path for path in (place / name / "calibrify" / "data").rglob("*") if path.is_file())


def test_check_objects_names_what_is_damaged_and_heals_it_when_asked(run, place):
    bad = payload(place)[0]
    bad.write_bytes(b"rotten")

    code, out, _ = run("check-objects")
    assert code == 4
    assert f"{bad.relative_to(place / 'near')} is 6 bytes long instead of" in out
    assert f"cannot be restored from here: {LABEL}" in out
    assert "no longer proven in near" in out

    code, out, _ = run("check-objects", "--repository", "near", "--heal", "--share", "100%")
    assert code == 0
    assert "healed with the copy of far" in out
    code, out, _ = run("check-objects", "--json")
    assert code == 0
    assert [(one["repository"], one["damaged"]) for one in json.loads(out)["checks"]] == [
        ("near", []),
        ("far", []),
    ]


def test_check_objects_says_which_repositories_there_are_and_what_a_share_is(run):
    code, _, err = run("check-objects", "--repository", "nowhere")
    assert code == 3
    assert "near, far" in err
    with pytest.raises(SystemExit):
        run("check-objects", "--share", "120%")
    with pytest.raises(SystemExit):
        run("orphans", "--grace", "soon")


def test_a_repository_that_cannot_be_checked_keeps_no_other_from_being_checked(run, place):
    (place / "far" / "repository.json").unlink()

    code, out, err = run("check-objects")

    assert code == 3
    assert "far could not be checked" in err
    assert "near" in out


def test_without_the_key_ring_and_the_signer_it_checks_all_the_same(run, place):
    (place / "ring.json").unlink()
    (place / "signing" / "proof.pem").unlink()
    payload(place)[0].write_bytes(b"rotten")

    code, out, _ = run("check-objects")

    assert code == 4
    assert "still count as proven" in out


def test_orphans_are_listed_and_removed_after_yes(run, place):
    lost = leave_over(place, "near")
    before = payload(place)

    code, out, _ = run("orphans")
    assert code == 0
    assert str(lost.relative_to(place / "near")) in out
    code, out, _ = run("orphans", "--grace", "30d", "--json")
    assert [len(one["removable"]) for one in json.loads(out)] == [0, 0]

    code, _, err = run("orphans", "--remove")
    assert code == 2
    assert "--yes" in err
    assert payload(place) == before

    code, out, _ = run("orphans", "--remove", "--yes")
    assert code == 0
    assert "near: 1 objects and 0 unfinished uploads removed, 9 B freed" in out
    assert payload(place) == [path for path in before if path != lost]
    assert "nothing is left over" in run("orphans")[1]


def leave_over(place, name):
    lost = place / name / "calibrify" / "data" / "database" / LABEL / "00000000000000aa" / "toc"
    lost.parent.mkdir(parents=True)
    lost.write_bytes(b"left over")
    week_ago = time.time() - 7 * 86400
    os.utime(lost, (week_ago, week_ago))
    return lost


def test_what_was_removed_is_told_though_the_next_repository_is_declined(run, place, monkeypatch):
    near, far = leave_over(place, "near"), leave_over(place, "far")
    answers = iter([True, False])
    monkeypatch.setattr("backstop.cli.verbs.orphans.confirm", lambda question, *, yes: next(answers))

    code, out, err = run("orphans", "--remove")

    assert code == 1
    assert "near: 1 objects and 0 unfinished uploads removed" in out
    assert "nothing has been changed in far" in err
    assert (near.exists(), far.exists()) == (False, True)


def test_a_repository_that_cannot_be_listed_keeps_no_other_from_being_cleaned(run, place, monkeypatch):
    lost = leave_over(place, "far")
    whole = PosixStorage.versions

    def versions(storage, prefix=""):
        if storage.location.endswith("/near"):
            raise StorageUnavailableError("near does not answer")
        return whole(storage, prefix)

    monkeypatch.setattr(PosixStorage, "versions", versions)

    code, out, err = run("orphans", "--remove", "--yes")

    assert code == 5
    assert "near could not be listed" in err
    assert "far: 1 objects" in out
    assert not lost.exists()
    code, out, _ = run("orphans")
    assert code == 5
    assert "nothing is left over" not in out
    code, out, _ = run("orphans", "--json")
    assert [one["repository"] for one in json.loads(out) if "error" in one] == ["near"]


def test_a_removal_that_fails_loses_no_report(run, place, monkeypatch):
    leave_over(place, "near")
    leave_over(place, "far")

    def remove(repository, found, **more):
        if repository.name == "far":
            raise StorageUnavailableError("far does not answer")
        return remove_orphans(repository, found, **more)

    monkeypatch.setattr("backstop.cli.verbs.orphans.remove_orphans", remove)

    code, out, err = run("orphans", "--remove", "--yes")

    assert code == 5
    assert "near: 1 objects" in out
    assert "not everything was removed from far" in err


def test_with_a_manifest_that_cannot_be_trusted_nothing_is_removed(run, place):
    (place / "near" / "calibrify" / "meta" / "manifests" / "20261120T010000Z-dump.json").write_text("{}")
    lost = leave_over(place, "near")

    code, out, err = run("orphans", "--remove", "--yes")

    assert code == 4
    assert "nothing is left over" not in out
    assert "nothing may be removed from near" in err
    assert lost.exists()


def test_prepare_repository_says_what_differs_and_mends_it_with_apply(run, place):
    (place / "far").chmod(0o755)

    code, out, _ = run("prepare-repository")
    assert code == 1
    assert "far: permissions: mode 0755, wanted: mode 0700" in out

    assert run("prepare-repository", "--repository", "far", "--apply")[0] == 0
    assert (place / "far").stat().st_mode & 0o777 == 0o700
    code, out, _ = run("prepare-repository", "--json")
    assert (code, [one["differences"] for one in json.loads(out)]) == (0, [[], []])
    assert run("prepare-repository", "--repository", "nowhere")[0] == 2
