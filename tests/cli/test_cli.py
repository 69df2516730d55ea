"""The command line, against real repositories, keys and signatures: no Airflow, no inventory."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pty
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from backstop.cli.main import main
from backstop.cli.output import human_bytes
from backstop.cli.parser import build_parser
from backstop.credentials import Credential
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners
from backstop.storage.posix import PosixStorage
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client
from tests.cli.installation import runner
from tests.making import STARTED, Maker

CHECKOUT = Path(__file__).parents[2]
FIRST = "20261123T010000Z-dump"
SECOND = "20261124T010000Z-dump"
ESCROW = "escrow: {waived: test}"


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """A targets.yaml with two directories as repositories, keys made by init-keys, nothing else."""
    targets = tmp_path / "targets.yaml"
    targets.write_text(
        f"""\
version: 1
keys:
  lab: {{storage: local, path: {tmp_path}/keys/ring.json, signing: {tmp_path}/signing, {ESCROW}}}
repositories:
  far: {{type: posix, path: {tmp_path}/far}}
  near: {{type: posix, path: {tmp_path}/near}}
targets:
  calibrify:
    keys: lab
    database: {{conn_id: lab_backup, dbname: calibrify, repositories: [near, far]}}
"""
    )
    monkeypatch.setenv("BACKSTOP_TARGETS", str(targets))
    monkeypatch.delenv("BACKSTOP_CREDENTIALS", raising=False)
    monkeypatch.delenv("BACKSTOP_DEBUG", raising=False)
    assert main(["init-keys"]) == 0
    return tmp_path


@pytest.fixture
def run(installation, capsys):
    return runner(capsys)


@pytest.fixture
def maker(installation):
    def maker(name: str = "near") -> Maker:
        return Maker(
            PosixStorage(installation / name),
            LocalKeyring.load(installation / "keys" / "ring.json"),
            Signer.load(installation / "signing" / "manifest.pem"),
            TrustedSigners.load(installation / "signing" / "trusted.json"),
            name=name,
        )

    return maker


@pytest.fixture
def verifier(installation):
    return Signer.load(installation / "signing" / "proof.pem")


def in_a_process(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backstop", *argv],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "plugins", **environment},
    )


HEAVY = ("airflow", "aws_encryption_sdk", "boto3", "botocore", "psycopg", "pydantic", "rich", "yaml")


def loaded_by(*argv: str, **environment: str) -> tuple[set[str], str]:
    """Which of the heavy packages a verb loads, in a process of its own, and what it prints.

    What is loaded decides how long a verb takes (benchmarks/cli.py has the seconds), and unlike seconds it
    is the same on a busy machine.
    """
    program = (
        "import sys\n"
        "from backstop.cli.main import main\n"
        "try:\n    code = main(sys.argv[1:])\n"
        "except SystemExit as ended:\n    code = ended.code\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *argv],
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT,
        env={"PYTHONPATH": "plugins", **environment},
    )
    *printed, loaded = done.stdout.split("\n")[:-1]
    return set(loaded.split()), "\n".join(printed)


def test_help_loads_nothing_heavy():
    loaded, printed = loaded_by("--help")

    assert loaded == set()
    assert printed.startswith("usage: python -m backstop")


def test_every_verb_has_help_that_names_the_exit_codes(capsys):
    actions = build_parser()._subparsers._group_actions
    verbs = list(actions[0].choices)

    for verb in verbs:
        with pytest.raises(SystemExit) as ended:
            build_parser().parse_args([verb, "--help"])
        assert ended.value.code == 0
        text = capsys.readouterr().out
        assert "exit codes:" in text
        assert "--json" in text
    assert {"back-up-database", "list", "show", "verify", "restore-database", "decrypt"} <= set(verbs)


def test_every_verb_is_described_in_the_manual():
    manual = (CHECKOUT / "docs" / "cli.md").read_text(encoding="utf-8")
    actions = build_parser()._subparsers._group_actions

    for verb, parser in actions[0].choices.items():
        assert f"`{verb}`" in manual
        for action in parser._actions:
            for flag in action.option_strings:
                assert flag in manual, f"{verb} {flag}"


def test_listing_from_a_directory_loads_no_cloud_no_database_and_no_airflow(installation, maker, verifier):
    near = maker()
    near.prove(near.publish(), signer=verifier)

    loaded, printed = loaded_by("list", BACKSTOP_TARGETS=str(installation / "targets.yaml"))

    # targets.yaml is read with these two.
    assert loaded == {"pydantic", "yaml"}
    assert FIRST in printed


def test_all_of_a_hundred_backups_are_listed(run, maker, verifier):
    near = maker()
    for day in range(100):
        near.prove(near.publish(started_at=STARTED + timedelta(days=day)), signer=verifier)

    _, out, _ = run("list")

    assert len(out.splitlines()) == 101


def test_the_list_tells_proven_from_completed_and_failed(run, maker, verifier):
    near = maker()
    near.prove(near.publish(), signer=verifier)
    near.prove(near.publish(started_at=STARTED + timedelta(days=1)), signer=verifier, matched=False)
    near.publish(started_at=STARTED + timedelta(days=2))

    code, out, err = run("list")

    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["LABEL", "KIND", "FINISHED", "SIZE", "STORED", "REPOSITORIES", "STATE"]
    assert lines[1].startswith("20261125T010000Z-dump  dump  2026-11-25 01:01:00Z")
    assert lines[1].endswith("near          completed, not proven")
    assert lines[2].endswith("near          FAILED its proof 2026-11-24 01:11:00Z")
    assert lines[3].endswith("near          proven 2026-11-23 01:11:00Z")
    assert err == "backstop: calibrify: read from near; not asked: far (--all asks every one)\n"


def test_a_later_failure_takes_the_word_proven_away(run, maker, verifier):
    near = maker()
    published = near.publish()
    near.prove(published, signer=verifier)
    near.prove(published, signer=verifier, matched=False, minutes=30)

    _, out, _ = run("list")

    assert "FAILED its proof" in out
    assert "proven 2" not in out


def test_with_all_repositories_each_copys_state_is_told_apart(run, maker, verifier):
    near, far = maker(), maker("far")
    near.prove(near.publish(), signer=verifier)
    far.publish()

    code, out, err = run("list", "--all")

    assert code == 0
    assert out.splitlines()[1].endswith(
        "near, far     near: proven 2026-11-23 01:11:00Z; far: completed, not proven"
    )
    assert err == ""


def test_the_list_as_json_has_states_and_bytes(run, maker, verifier):
    near = maker()
    published = near.publish()
    near.prove(published, signer=verifier)

    _, out, _ = run("list", "--json")

    target = json.loads(out)["targets"]["calibrify"]
    assert target["repositories"] == {
        "near": {"read": True, "error": None}, "far": {"read": False, "error": None},
    }  # fmt: skip
    (backup,) = target["backups"]
    assert backup["label"] == FIRST
    assert backup["stored_bytes"] == published.manifest.stored_bytes
    assert backup["repositories"] == {
        "near": {"state": "proven", "proven_at": "2026-11-23T01:11:00.000000Z", "holds": []}
    }


def test_a_repository_that_fails_is_named_and_the_next_one_is_read(run, maker):
    maker("far").publish()

    code, out, err = run("list")

    assert code == 0
    assert FIRST in out
    assert "repository near did not answer" in err


def test_with_no_repository_at_all_the_list_fails_with_the_reason(run, installation):
    code, out, err = run("list")

    assert (code, out) == (3, "")
    assert err.startswith(f"backstop: {installation}/near is not a Backstop repository")
    assert "\n  next: " in err


@pytest.mark.integration
def test_a_bucket_is_listed_like_a_directory(run, maker, verifier, installation, seaweedfs, monkeypatch):
    bucket = S3Storage(
        s3_client(
            Credential("s3", login=seaweedfs.access_key, password=seaweedfs.secret_key),
            endpoint_url=seaweedfs.endpoint_url,
            region="us-east-1",
        ),
        bucket="backstop-tests",
        prefix=installation.name,
    )
    far = replace(maker(), storage=bucket, name="far")
    far.prove(far.publish(), signer=verifier)
    maker().publish()
    targets = installation / "targets.yaml"
    in_bucket = (
        f"far: {{type: s3, bucket: backstop-tests, prefix: {installation.name}, conn_id: s3, "
        f'endpoint_url: "{seaweedfs.endpoint_url}", region: us-east-1}}'
    )
    in_directory = f"far: {{type: posix, path: {installation}/far}}"
    targets.write_text(targets.read_text().replace(in_directory, in_bucket))
    connection = {"conn_type": "aws", "login": seaweedfs.access_key, "password": seaweedfs.secret_key}
    monkeypatch.setenv("AIRFLOW_CONN_S3", json.dumps(connection))

    far_only = run("list", "--repository", "far")
    both = run("list", "--all")

    assert far_only[1].splitlines()[1].endswith("far           proven 2026-11-23 01:11:00Z")
    assert "near: completed, not proven; far: proven 2026-11-23 01:11:00Z" in both[1]
    assert (far_only[0], both[0]) == (0, 0)


def test_a_manifest_nobody_signed_is_shown_as_untrusted_and_not_as_a_backup(run, maker, installation):
    near = maker()
    near.publish()
    second = near.publish(started_at=STARTED + timedelta(days=1)).manifest
    path = installation / "near" / "calibrify" / "meta" / "manifests" / f"{second.label}.json"
    path.chmod(0o600)
    path.write_text(path.read_text().replace('"rows":1000', '"rows":1001'))

    code, out, err = run("list")

    assert code == 4
    assert FIRST in out
    assert SECOND not in out
    assert f"not to be trusted, in near: manifest {SECOND} of calibrify was changed" in err


def test_a_damaged_proof_leaves_its_backup_unproven_and_is_reported(run, maker, verifier, installation):
    near = maker()
    near.prove(near.publish(), signer=verifier)
    (proof,) = (installation / "near" / "calibrify" / "meta" / "proofs" / FIRST).iterdir()
    proof.chmod(0o600)
    proof.write_text(proof.read_text().replace('"rows":1000', '"rows":1001'))

    code, out, err = run("list")

    assert code == 4
    assert "completed, not proven" in out
    assert "not to be trusted, in near: proof" in err


def test_show_gives_the_manifest_and_every_verification(run, maker, verifier):
    near, far = maker(), maker("far")
    published = near.publish()
    near.prove(published, signer=verifier)
    near.prove(published, signer=verifier, matched=False, minutes=30)
    far.publish()

    code, out, err = run("show", "--label", FIRST, "--objects")

    assert (code, err) == (0, "")
    assert "PostgreSQL 18.4" in out
    assert "2026-11-23 01:11:00Z matched" in out
    assert "2026-11-23 01:31:00Z FAILED" in out
    assert "table public.equipment: 10 rows in the backup, 9 restored" in out
    assert "in far " in out
    assert published.manifest.objects[0].key in out


def test_show_latest_means_the_newest_by_finish_and_latest_proven_the_newest_proven(run, maker, verifier):
    near = maker()
    near.prove(near.publish(), signer=verifier)
    near.publish(started_at=STARTED + timedelta(days=1))

    newest = json.loads(run("show", "--label", "latest", "--json")[1])
    proven = json.loads(run("show", "--label", "latest-proven", "--json")[1])

    assert newest["manifest"]["label"] == SECOND
    assert proven["manifest"]["label"] == FIRST


def test_an_unknown_backup_ends_with_code_3_and_the_next_step(run, maker):
    maker().publish()
    maker("far").publish()

    code, _, err = run("show", "--label", SECOND)

    assert code == 3
    assert err.splitlines()[-2].startswith(f"backstop: no backup {SECOND} of calibrify in ")
    assert err.splitlines()[-1].startswith("  next: see ")


def test_text_that_is_no_label_ends_with_code_2(run):
    code, _, err = run("show", "--label", "yesterday")

    assert code == 2
    assert "'yesterday' is not a backup label" in err


def test_an_unknown_target_is_answered_with_the_one_that_was_meant(run):
    code, _, err = run("list", "--target", "calibrfy")

    assert code == 3
    assert "there is no target 'calibrfy'" in err
    assert "did you mean 'calibrify'?" in err


def test_a_failure_with_json_is_json_too(run):
    code, out, err = run("show", "--label", "yesterday", "--json")

    assert json.loads(out)["error"]["exit_code"] == code == 2
    assert err.startswith("backstop: ")


def test_a_backup_is_decrypted_into_a_private_directory(run, maker, installation):
    maker().publish(files={"1.dat": b"rows"}, packed={"2.dat": b"more"})
    into = installation / "out"

    code, out, _ = run("decrypt", "--label", "latest", "--into", str(into))

    assert code == 0
    assert sorted(file.name for file in into.iterdir()) == [
        "1.dat", "2.dat", "fingerprint.json", "globals.sql", "toc.dat",
    ]  # fmt: skip
    assert (into / "1.dat").read_bytes() == b"rows"
    assert stat.S_IMODE(into.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in into.iterdir()} == {0o600}
    assert f"pg_restore -d <empty database> {into}" in out


def test_one_object_is_decrypted_into_a_private_file(run, maker, installation):
    manifest = maker().publish(files={"1.dat": b"rows"}).manifest
    into = installation / "one"

    code, out, _ = run(
        "decrypt", "--object", manifest.object_named("1.dat").key, "--into", str(into), "--json"
    )

    assert code == 0
    assert into.read_bytes() == b"rows"
    assert stat.S_IMODE(into.stat().st_mode) == 0o600
    assert json.loads(out)["plain_bytes"] == 4


def test_decrypt_overwrites_nothing(run, maker, installation):
    manifest = maker().publish().manifest
    taken = installation / "taken"
    taken.write_text("keep")

    whole = run("decrypt", "--label", FIRST, "--into", str(taken))
    one = run("decrypt", "--object", manifest.objects[0].key, "--into", str(taken))

    assert (whole[0], one[0]) == (1, 1)
    assert "exists already" in whole[2]
    assert taken.read_text() == "keep"


@pytest.mark.parametrize(
    "key", ["toc.dat", "calibrify/data/wal/x", f"calibrify/data/database/{FIRST}/0/none"]
)
def test_a_key_that_no_backup_has_is_not_found(run, maker, installation, key):
    maker().publish()

    code, _, err = run("decrypt", "--object", key, "--into", str(installation / "x"))

    assert code == 3
    assert key in err


def test_a_damaged_object_ends_with_code_4_and_leaves_nothing(run, maker, installation):
    manifest = maker().publish(files={"1.dat": b"x" * 100_000}).manifest
    path = installation / "near" / manifest.object_named("1.dat").key
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)

    code, _, err = run("decrypt", "--label", FIRST, "--into", str(installation / "out"))

    assert code == 4
    assert manifest.object_named("1.dat").key in err
    assert [path.name for path in installation.iterdir() if "out" in path.name] == []


def test_a_lost_key_ring_is_named_with_what_to_do(run, maker, installation):
    maker().publish()
    (installation / "keys" / "ring.json").unlink()

    code, _, err = run("decrypt", "--label", FIRST, "--into", str(installation / "out"))

    assert code == 1
    assert f"key ring {installation}/keys/ring.json does not exist" in err
    assert "escrow" in err


def test_a_backup_is_refused_until_the_key_ring_has_an_escrow_copy(run, installation, monkeypatch):
    targets = installation / "targets.yaml"
    targets.write_text(targets.read_text().replace(f", {ESCROW}", ""))
    monkeypatch.setenv("AIRFLOW_CONN_LAB_BACKUP", "postgresql://me:hunter2@127.0.0.1:1/calibrify")

    code, _, err = run("back-up-database")

    assert code == 1
    assert "exists on this machine alone" in err
    assert "escrow: {copied_to: …, on: …}" in err
    assert not (installation / "near").exists()


def test_missing_credentials_name_the_variable(run):
    code, _, err = run("back-up-database")

    assert code == 2
    assert "AIRFLOW_CONN_LAB_BACKUP is not set" in err


def test_a_server_that_does_not_answer_is_worth_another_try_and_shows_no_password(run, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_LAB_BACKUP", "postgresql://me:hunter2@127.0.0.1:1/calibrify")

    code, out, err = run("back-up-database", "--json")

    assert code == 5
    assert json.loads(out)["error"]["retryable"]
    assert "127.0.0.1:1" in err
    assert "hunter2" not in out + err


def test_init_keys_keeps_what_is_there(run, installation):
    before = (installation / "keys" / "ring.json").read_bytes()

    code, out, _ = run("init-keys")

    assert code == 0
    assert "left as it is" in out
    assert (installation / "keys" / "ring.json").read_bytes() == before


def test_a_new_generation_wraps_from_now_on_and_the_former_one_stays(run, installation):
    ring = installation / "keys" / "ring.json"
    (former,) = LocalKeyring.load(ring).generations

    code, out, _ = run("init-keys", "--new-generation")

    kept, newest = LocalKeyring.load(ring).generations
    assert code == 0
    assert kept == former
    assert newest.id in out
    assert LocalKeyring.load(ring).key_ids == (f"backstop-local/{newest.id}",)
    assert "copy the ring again" in out


def test_check_targets_passes_a_good_file_and_lists_the_mistakes_of_a_bad_one(run, installation):
    assert run("check-targets")[0] == 0
    bad = installation / "bad.yaml"
    bad.write_text("version: 2\nkeyz: {}\n")

    code, _, err = run("check-targets", "--targets", str(bad))
    as_json = json.loads(run("check-targets", "--targets", str(bad), "--json")[1])

    assert code == 2
    assert f"{bad}:1:10: version: expected 1, found 2" in err
    assert "did you mean 'keys'?" in err
    assert as_json["mistakes"][0]["line"] == 1


def test_check_targets_prints_the_schema(run):
    published = (CHECKOUT / "docs" / "targets.schema.json").read_text(encoding="utf-8")

    assert run("check-targets", "--schema") == (0, published, "")


def test_a_verification_without_work_says_so(run, maker, verifier):
    near, far = maker(), maker("far")
    for repository in (near, far):
        repository.prove(repository.publish(), signer=verifier)

    code, out, _ = run("verify")

    assert code == 0
    assert out.startswith("nothing to prove")


def test_a_restore_asks_nobody_when_nobody_is_there(run, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_LAB_BACKUP", "postgresql://me@127.0.0.1:1/calibrify")

    code, _, err = run("restore-database", "--label", "latest", "--swap")

    assert code != 0
    assert "Traceback" not in err


def test_a_restore_must_say_how_far_it_goes(run):
    with pytest.raises(SystemExit) as ended:
        run("restore-database", "--label", "latest")

    assert ended.value.code == 2


def test_a_defect_is_one_line_unless_debugging(installation, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import backstop.targets.load as load\n"
        "def broken(*_): raise RuntimeError('planted')\n"
        "load.read_text = broken\n"
    )
    environment = {
        "BACKSTOP_TARGETS": str(installation / "targets.yaml"),
        "PYTHONPATH": f"{tmp_path}:plugins",
    }

    plain = in_a_process("list", **environment)
    debugging = in_a_process("list", **environment, BACKSTOP_DEBUG="1")

    assert plain.returncode == 1
    assert plain.stderr.splitlines()[0] == "backstop: unexpected RuntimeError: planted"
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debugging.stderr


def test_a_reader_that_goes_away_is_no_error(installation, maker):
    near = maker()
    for day in range(30):
        near.publish(started_at=STARTED + timedelta(days=day))
    reader_gone = subprocess.Popen(
        [sys.executable, "-m", "backstop", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        env={"PYTHONPATH": "plugins", "BACKSTOP_TARGETS": str(installation / "targets.yaml")},
    )
    reader_gone.stdout.close()
    said = reader_gone.stderr.read()
    reader_gone.stderr.close()

    assert reader_gone.wait() == 0
    assert said == "backstop: calibrify: read from near; not asked: far (--all asks every one)\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_goes_away_changes_neither_what_is_done_nor_the_exit_code(installation, maker, stream):
    maker("far").publish()
    damaged = installation / "near" / "calibrify" / "meta" / "manifests" / f"{FIRST}.json"
    maker("near").publish()
    damaged.write_text("damaged")
    out = installation / "out"
    codes = []
    # The first says on stderr that it passes a repository over; the second is to end with 4.
    for arguments in (["decrypt", "--label", FIRST, "--into", str(out)], ["list"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "backstop", *arguments],
            check=False,
            cwd=CHECKOUT,
            env={
                "PYTHONPATH": "plugins",
                "BACKSTOP_TARGETS": str(installation / "targets.yaml"),
                # As container images set it: the very first line finds that nobody reads.
                "PYTHONUNBUFFERED": "1",
            },
            **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: writing},
        )
        os.close(writing)
        codes.append(done.returncode)

    assert codes == [0, 4]
    assert (out / "toc.dat").exists()


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_neither_what_is_done_nor_the_exit_code(installation, maker, closed):
    maker().publish()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": "plugins",
        "BACKSTOP_TARGETS": str(installation / "targets.yaml"),
    }
    codes = [
        subprocess.run(
            ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-m", "backstop", *arguments],
            check=False,
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
        ).returncode
        for arguments in (
            ["decrypt", "--label", "latest", "--into", str(installation / "out"), "--json"],
            ["show", "--label", SECOND, "--json"],
            ["list"],
        )
    ]

    assert codes == [0, 3, 0]
    assert (installation / "out" / "toc.dat").exists()


def test_nothing_but_the_result_goes_to_a_pipe(installation, maker):
    maker().publish()
    done = in_a_process(
        "decrypt", "--label", "latest", "--into", str(installation / "out"), "--json",
        BACKSTOP_TARGETS=str(installation / "targets.yaml"),
    )  # fmt: skip

    assert done.stderr == ""
    assert json.loads(done.stdout)["label"] == FIRST


@pytest.mark.parametrize(
    ("first", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_whatever_ends_a_verb_it_cleans_up_undisturbed(tmp_path, first, code):
    (tmp_path / "sitecustomize.py").write_text(
        "import time\n"
        "import backstop.cli.verbs.backups as verbs\n"
        "def endless(_):\n"
        "    try:\n        print('ready', flush=True)\n        time.sleep(60)\n"
        "    finally:\n        print('cleaning', flush=True)\n"
        "        time.sleep(1)\n        print('cleaned')\n"
        "verbs.list_backups = endless\n"
    )
    verb = subprocess.Popen(
        [sys.executable, "-m", "backstop", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        env={"PYTHONPATH": f"{tmp_path}:plugins"},
        # Whoever runs the tests may have switched it off (nohup), and then it stays so.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    assert verb.stdout.readline() == "ready\n"
    verb.send_signal(first)
    assert verb.stdout.readline() == "cleaning\n"
    for following in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        verb.send_signal(following)
    out, _ = verb.communicate()

    assert out == "cleaned\n"
    assert verb.returncode == code


def test_a_verb_started_with_nohup_outlives_its_terminal(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "import backstop.cli.verbs.backups as verbs\n"
        "verbs.list_backups = lambda _: os.kill(os.getpid(), signal.SIGHUP) or 0\n"
    )

    assert in_a_process("list", PYTHONPATH=f"{tmp_path}:plugins").returncode == 0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EACCES, "out cannot be written: Permission denied"),
        (errno.ENOSPC, "no space left at"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_a_place_that_cannot_be_written_is_named(
    run, maker, installation, monkeypatch, whole: bool, code: int, words: str
):
    stored = maker().publish().manifest.objects[0]

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), "something temporary")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    monkeypatch.setattr("tempfile.mkstemp", refuse)
    monkeypatch.setattr("backstop.crypto.envelope.decrypt_to_file", refuse)
    what = ["--label", "latest"] if whole else ["--object", stored.key]
    returned, _, err = run("decrypt", *what, "--into", str(installation / "out"))

    assert returned == 1
    assert words in err
    assert "defect" not in err


def test_on_a_terminal_a_bar_shows_how_far_it_is(installation, maker):
    maker().publish(files={"1.dat": os.urandom(20_000_000)})
    terminal, other_end = pty.openpty()
    done = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "backstop",
            "decrypt",
            "--label",
            "latest",
            "--into",
            str(installation / "out"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=other_end,
        cwd=CHECKOUT,
        env={
            "PYTHONPATH": "plugins",
            "BACKSTOP_TARGETS": str(installation / "targets.yaml"),
            "TERM": "xterm",
            "COLUMNS": "100",
        },
    )
    os.close(other_end)
    shown = b""
    # A terminal whose program has ended reads as an error, not as an end.
    with contextlib.suppress(OSError):
        while block := os.read(terminal, 65536):
            shown += block
    os.close(terminal)

    assert done.wait() == 0
    assert b"fetch" in shown
    assert b"MB" in shown


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_400, "99.4 kB"),
        (99_600, "100 kB"),
        (999_600, "1.0 MB"),
        (1_234_567_890, "1.2 GB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes_are_short(count, text):
    assert human_bytes(count) == text


@pytest.mark.parametrize(
    "change", [('"kind":"dump"', '"kind":"full"'), ('"epoch":1,', '"epoch":1, '), ("{", '{"more":1,')]
)
def test_a_manifest_that_says_anything_besides_what_was_signed_is_not_trusted(
    run, maker, installation, change
):
    manifest = maker().publish().manifest
    path = installation / "near" / "calibrify" / "meta" / "manifests" / f"{manifest.label}.json"
    path.chmod(0o600)
    path.write_text(path.read_text().replace(*change, 1))

    code, out, err = run("list")

    assert code == 4
    assert FIRST not in out
    assert "not to be trusted, in near: " in err
