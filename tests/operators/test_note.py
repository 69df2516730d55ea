"""What a run says of itself in a line or two."""

from datetime import timedelta

import pytest

from backstop.model.backup import BackupLabel
from backstop.model.proof import Proof
from backstop.operators.note import NOTE_LIMIT, base_backup_note, dump_note, proof_note, report_lines
from tests.making import STARTED

REPORT = {
    "label": "20261123T010000Z-dump",
    "repositories": {"local": "completed", "s3": "completed"},
    "tables": 12,
    "rows": 1_234_567,
    "plain_bytes": 412_000_000,
    "stored_bytes": 98_300_000,
    "seconds": 34.4,
    "not_included": ["passwords of roles"],
}
BASE = REPORT | {"label": "20261123T030000Z-incr", "files": 3100, "copied": "network"}
BASE |= {"parent": "20261122T030000Z-full"}


def proof(*differences, **checks):
    return Proof(
        label=BackupLabel("20261123T010000Z-dump"),
        target="calibrify",
        repository_id="1",
        manifest_sha256="00",
        started_at=STARTED,
        finished_at=STARTED + timedelta(minutes=1),
        matched=not differences,
        differences=differences,
        durations={"fetch": 20.0, "total": 62.0},
        checks=checks,
        server_version=180004,
        isolation="bubblewrap",
        host="worker",
    )


def test_a_dump_says_what_it_holds_where_and_that_nothing_has_proven_it():
    assert dump_note(REPORT) == (
        "`20261123T010000Z-dump`: 1,234,567 rows in 12 tables, 412 MB, stored as 98.3 MB, in 34 s\n"
        "in local, s3; not proven yet"
    )


def test_a_base_backup_says_upon_what_it_builds_and_how_it_was_copied():
    full = BASE | {"parent": None, "copied": "files"}

    assert base_backup_note(BASE).startswith(
        "`20261123T030000Z-incr`: 3,100 files upon `20261122T030000Z-full`, sent by the server,"
    )
    assert base_backup_note(full).startswith("`20261123T030000Z-incr`: 3,100 files, read on its host, 412 MB")
    assert "files   read on its host" in list(report_lines(full))


def test_a_repository_without_the_backup_is_named_with_the_reason():
    states = {"local": "completed", "s3": "bucket backups: access denied"}

    assert dump_note(REPORT | {"repositories": states}).splitlines()[1:] == [
        "in local; not proven yet",
        "**not in s3: bucket backups: access denied**",
    ]
    assert "proven yet" not in dump_note(REPORT | {"repositories": {"s3": "access denied"}})


def test_the_log_ends_with_the_backup_in_aligned_lines():
    assert list(report_lines(REPORT)) == [
        "backup  20261123T010000Z-dump",
        "size    412 MB, stored as 98.3 MB, in 34 s",
        "in      local: completed",
        "in      s3: completed",
        "without passwords of roles",
    ]


def test_a_proof_says_what_was_compared_and_how_long_it_took():
    assert proof_note(proof(tables=12, rows=1200, queries="none"), "s3") == (
        "- `20261123T010000Z-dump` in s3 is **proven**: restored and compared in 1 min 2 s "
        "(12 tables, 1,200 rows)"
    )
    assert proof_note(proof(), "s3").endswith("in 1 min 2 s")


@pytest.mark.parametrize("count", [1, 5, 6])
def test_a_backup_that_differs_is_said_so_with_the_first_differences(count):
    note = proof_note(proof(*(f"table t{number} has other rows" for number in range(count))), "local")

    assert note.startswith(
        "- `20261123T010000Z-dump` in local is **not what was backed up**:\n  - table t0 has"
    )
    assert note.count("other rows") == min(count, 5)
    assert note.endswith("(see the log of `verify`)") == (count > 5)


def test_a_note_is_never_longer_than_airflow_keeps():
    long = dict.fromkeys(("local", "s3"), "x" * 900)

    assert len(dump_note(REPORT | {"repositories": long})) == NOTE_LIMIT
    assert len(base_backup_note(BASE | {"repositories": long})) == NOTE_LIMIT
    assert len(proof_note(proof(*["x" * 900] * 3), "s3")) == NOTE_LIMIT
