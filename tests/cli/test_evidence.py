"""Evidence from the command line, and what an auditor gets, checked with nothing but standard tools."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.cli.parser import build_parser
from backstop.commands.evidence.record import record_evidence
from backstop.credentials import default_credentials
from backstop.errors import StorageUnavailableError
from backstop.model.access import AccessRole
from backstop.repository.evidence import evidence_of
from backstop.storage.posix import PosixStorage
from backstop.targets import load_targets
from backstop.wiring import draw_report, open_evidence_signer, open_repositories
from tests.cli.installation import CHECKOUT
from tests.evidenced import DRILL, evidence
from tests.evidencing import now

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def configuration(installation):
    return load_targets(installation / "targets.yaml")


@pytest.fixture
def repositories(configuration, maker):
    for name in ("near", "far"):
        maker(name)
    return open_repositories(configuration, "calibrify", default_credentials(AccessRole.VERIFIER))


def record(repositories, configuration, *, subject: str = DRILL.drill_id, at=None):
    drill = evidence(DRILL)
    return record_evidence(
        drill.kind,
        subject,
        drill.document,
        repositories=repositories,
        signer=lambda: open_evidence_signer(
            configuration, "calibrify", default_credentials(AccessRole.VERIFIER)
        ),
        happened_at=at or now(),
        now=at or now(),
        render=draw_report,
    )


@pytest.fixture
def recorded(repositories, configuration, maker, verifier):
    """A proof in ``near``, and three drills in both."""
    for number in range(3):
        assert record(repositories, configuration, subject=f"drill-{number}").sentences() == []
    published = maker("near").publish()
    near = repositories[0]
    proof = maker("near").prove(published, signer=verifier)
    assert near.evidence.enter_proof(near, proof, now=now()) == []
    return repositories


def bundle(run, folder: Path, *more: str) -> Path:
    out = folder / "bundle"
    code, _, err = run("evidence", "export", "--from", "2026-11-01", "--out", str(out), *more)
    assert (code, err) == (0, "")
    return out


def test_sound_evidence_verifies_and_says_where_each_chain_ends(run, recorded):
    code, out, err = run("evidence", "verify")

    head = evidence_of(recorded[0]).head()
    assert (code, err) == (0, "")
    assert re.search(rf"calibrify +near +4 +4 {head.sha256[:16]} +0", out)
    assert re.search(r"calibrify +far +3 +3 ", out)


def test_tampering_is_named_and_ends_with_the_code_of_damage(run, recorded, installation):
    path = installation / "near" / "calibrify" / "meta" / "evidence" / "00000002.json"
    path.write_bytes(path.read_bytes().replace(b'"drill-1"', b'"drill-9"'))

    code, out, err = run("evidence", "verify", "--json")

    verdict = json.loads(out)["targets"]["calibrify"]
    assert code == 4
    assert (
        "near: record 2 is not believed: record of evidence 2 (drill drill-9) of calibrify was changed" in err
    )
    assert [(fault["kind"], fault["number"], fault["repository"]) for fault in verdict["faults"]] == [
        ("changed", 2, "near")
    ]
    assert verdict["sound"] is False


def test_a_repository_that_does_not_answer_is_named_and_the_others_are_judged(run, recorded, monkeypatch):
    read = PosixStorage.read

    def silent(storage, key, **more):
        if storage.location.endswith("/far"):
            raise StorageUnavailableError("far does not answer")
        return read(storage, key, **more)

    monkeypatch.setattr(PosixStorage, "read", silent)

    code, out, err = run("evidence", "verify")

    assert code == 5
    assert "the evidence of calibrify in far was not judged: far does not answer" in err
    assert re.search(r"calibrify +near +4 ", out)


def test_a_repository_that_is_none_any_more_though_others_know_its_chain_is_a_loss(
    run, recorded, installation
):
    (installation / "far").rename(installation / "gone")

    code, _, err = run("evidence", "verify")

    assert code == 4
    assert "no repository of the target has the id" in err
    assert "of whose chain record 4 in near knows record 3" in err


def test_what_an_export_kept_betrays_that_the_newest_were_removed_everywhere(run, recorded, installation):
    kept = bundle(run, installation)
    for name in ("near", "far"):
        for path in (installation / name / "calibrify" / "meta" / "evidence").iterdir():
            if path.name[:8] > "00000001":
                path.unlink()
    assert run("evidence", "verify")[0] == 0, "nothing that is left knows of them"

    code, _, err = run("evidence", "verify", "--head", str(kept))

    assert code == 4
    assert f"near: record 4 is missing: the copy kept in {kept} knows record 4" in err
    assert run("evidence", "verify", "--head", str(kept / "README.txt"))[0] == 2


def test_records_are_listed_newest_first_and_shown_with_their_report(run, recorded, installation):
    _, out, _ = run("evidence", "list")
    kinds = [line.split()[2] for line in out.splitlines()[1:]]
    assert kinds == ["proof", *["drill"] * 6]
    assert len(json.loads(run("evidence", "list", "--kind", "proof", "--json")[1])["records"]) == 1

    page = installation / "report.html"
    code, out, _ = run("evidence", "show", "--subject", "drill-1", "--report", str(page))

    assert code == 0
    assert re.search(r"record +2 in ", out)
    assert page.read_text().startswith("<!DOCTYPE html>")
    shown = json.loads(run("evidence", "show", "--number", "2", "--json")[1])["record"]
    assert shown["subject"] == "drill-1"
    assert run("evidence", "show", "--number", "77")[0] == 3
    assert run("evidence", "show", "--number", "2", "--report", str(page))[0] == 2, "nothing is overwritten"


def test_proofs_that_are_in_no_chain_are_named_and_added_on_request(run, recorded, maker, verifier):
    published = maker("far").publish()
    maker("far").prove(published, signer=verifier)

    code, out, _ = run("evidence", "catch-up")

    assert code == 0
    assert "far: 20261123T010000Z-dump" in out
    assert "near: nothing to add" in out
    assert run("evidence", "catch-up", "--repository", "nowhere")[0] == 3
    assert run("evidence", "verify")[0] == 0


def test_without_the_verifiers_key_nothing_is_added_and_that_is_said(
    run, recorded, maker, verifier, installation
):
    maker("far").prove(maker("far").publish(), signer=verifier)
    (installation / "signing" / "proof.pem").unlink()

    code, out, _ = run("evidence", "catch-up", "--json")

    assert code == 6
    assert "proof.pem does not exist" in json.loads(out)["problems"][0]


# -- The bundle ----------------------------------------------------------------------------------------------


def test_an_auditor_finds_everything_in_the_bundle(run, recorded, installation):
    out = bundle(run, installation)

    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {"index.html", "README.txt", "SHA256SUMS", "check.py", "heads.json", "verification.json"} <= names
    assert len([name for name in names if name.startswith("records/near/")]) == 4
    assert len([name for name in names if name.startswith("reports/far/")]) == 3
    cover = (out / "index.html").read_text()
    linked = set(re.findall(r'href="([^"#]+)"', cover))
    assert {name for name in names if name.startswith("reports/near/")} <= linked
    sums = (out / "SHA256SUMS").read_text()
    assert sorted(line.split("  ")[1] for line in sums.splitlines()) == sorted(names - {"SHA256SUMS"})


def test_every_line_of_its_readme_works_without_backstop(run, recorded, installation):
    out = bundle(run, installation)
    text = (out / "README.txt").read_text()
    blocks = re.findall(r"(?m)(?:^    .*\n)+", text[text.index("Check by hand") :])
    commands = ["\n".join(line[4:] for line in block.splitlines()) for block in blocks]
    assert len(commands) == 4

    for command in commands:
        typed = command.replace("<repository>", "near")
        done = subprocess.run(
            ["bash", "-euc", typed], cwd=out, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}
        )
        assert done.returncode == 0, (typed, done.stderr)
        if "openssl" in typed and "python3 -c" in typed:
            assert "Verified Successfully" in done.stdout
        if "previous_sha256" in typed and "grep" in typed:
            named, own = done.stdout.splitlines()
            assert own.split()[0] in named
    assert done.stdout.endswith("7 records checked, 0 faults\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda out: _spoil(out / "records/near/00000002.json", b"drill-1", b"drill-9"), "was changed"),
        (lambda out: (out / "records/near/00000002.json").unlink(), "is missing"),
        (
            lambda out: _spoil(next(out.glob("reports/near/00000001-*")), b"<", b" <"),
            "its report is missing or",
        ),
    ],
)
def test_the_check_in_the_bundle_finds_what_was_done_to_it(run, recorded, installation, spoil, words):
    out = bundle(run, installation)
    spoil(out)
    # Whoever changes a bundle writes its sums anew.
    names = [path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()]
    sums = subprocess.run(["sha256sum", *names], cwd=out, capture_output=True, text=True, check=True).stdout
    kept = "".join(f"{line}\n" for line in sums.splitlines() if "SHA256SUMS" not in line)

    before = subprocess.run([sys.executable, "-I", "check.py"], cwd=out, capture_output=True, text=True)
    (out / "SHA256SUMS").write_text(kept)
    after = subprocess.run([sys.executable, "-I", "check.py"], cwd=out, capture_output=True, text=True)

    assert (before.returncode, after.returncode) == (1, 1)
    assert words in before.stdout
    assert re.search("signature does not hold|does not follow|its report", after.stdout)


def _spoil(path: Path, what: bytes, by: bytes) -> None:
    assert what in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(what, by))


def test_a_zip_holds_the_same_and_nothing_is_ever_overwritten(run, recorded, installation):
    out = installation / "evidence.zip"
    argv = ("evidence", "export", "--from", "2026-11-01", "--out", str(out))

    assert run(*argv)[0] == 0

    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
        archive.extractall(installation / "unpacked")
    check = subprocess.run(
        [sys.executable, "-I", "check.py"], cwd=installation / "unpacked", capture_output=True, text=True
    )
    assert check.stdout == "7 records checked, 0 faults\n"
    code, _, err = run(*argv)
    assert code == 2
    assert "is there already" in err
    assert list(installation.glob(".evidence-*")) == []


def test_a_period_takes_what_was_recorded_in_it_and_says_when_there_is_nothing(
    run, recorded, configuration, installation
):
    begins = (now() + timedelta(minutes=1)).isoformat()
    later = now() + timedelta(minutes=3)
    record([replace(one) for one in recorded], configuration, subject="drill-late", at=later)
    ends = (later + timedelta(seconds=1)).isoformat()

    code, out, _ = run(
        "evidence", "export", "--from", begins, "--to", ends, "--out", str(installation / "b"), "--json"
    )

    assert code == 0
    assert json.loads(out)["records"] == {"near": 1, "far": 1}
    code, _, err = run("evidence", "export", "--from", "2020-01-01", "--to", "2020-12-31", "--out", "x")
    assert code == 3
    assert "no evidence of calibrify was recorded from 2020-01-01 00:00:00Z until 2021-01-01 00:00:00Z" in err
    assert run("evidence", "export", "--from", "2021-01-01", "--to", "2020-01-01", "--out", "x")[0] == 2
    assert run("evidence", "export", "--from", "monday", "--out", "x")[0] == 2


def test_faults_are_on_the_cover_of_what_is_handed_out_all_the_same(run, recorded, installation):
    path = installation / "near" / "calibrify" / "meta" / "evidence" / "00000002.json"
    path.write_bytes(b"junk")
    out = installation / "bundle"

    code, _, _ = run("evidence", "export", "--from", "2026-11-01", "--out", str(out))

    assert code == 4
    assert "record 2 cannot be read" in (out / "index.html").read_text()
    assert not (out / "records/near/00000002.json").exists()
    assert json.loads((out / "verification.json").read_text())["sound"] is False


# -- Around it -----------------------------------------------------------------------------------------------


def test_who_verifies_evidence_needs_no_private_key_and_reads_meta_alone(run, recorded, installation):
    for key in ("manifest.pem", "proof.pem"):
        (installation / "signing" / key).unlink()
    (installation / "ring.json").unlink()
    for name in ("near", "far"):
        data = installation / name / "calibrify" / "data"
        if data.exists():
            data.rename(installation / f"data of {name}")

    assert run("evidence", "verify")[0] == 0
    assert bundle(run, installation).is_dir()


def test_expiry_orphans_and_sync_leave_evidence_where_it_is(run, recorded, installation):
    def lying() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in installation.glob("*/calibrify/meta/evidence/*")}

    before = lying()
    assert len(before) == 2 * 7

    assert run("orphans", "--repository", "near", "--remove", "--yes")[0] == 0
    run("sync-repositories")
    run("expire", "--repository", "near", "--yes")

    assert lying() == before
    assert run("evidence", "verify")[0] == 0


def test_every_action_and_flag_is_in_the_manual():
    manual = (CHECKOUT / "docs" / "cli.md").read_text(encoding="utf-8")
    evidence_parser = build_parser()._subparsers._group_actions[0].choices["evidence"]

    for name, parser in evidence_parser._subparsers._group_actions[0].choices.items():
        assert f"`evidence {name}`" in manual
        for action in parser._actions:
            for flag in action.option_strings:
                assert flag in manual, f"evidence {name} {flag}"
