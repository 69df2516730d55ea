"""``show``: one backup, its manifest and every verification of it."""

from __future__ import annotations

import json
from datetime import timedelta

from tests.making import STARTED

FIRST = "20261123T010000Z-dump"
SECOND = "20261124T010000Z-dump"


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
