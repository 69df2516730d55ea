"""The word that a drop is meant: read as it was said, and nothing else is taken for it."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from backstop.errors import IntegrityError
from backstop.model.acceptance import Acceptance
from backstop.model.backup import BackupLabel, Signature
from backstop.model.hold import Release

NOW = datetime(2026, 11, 23, 1, tzinfo=timezone.utc)
LABEL = BackupLabel("20261123T010000Z-dump")
SAID = Acceptance(label=LABEL, target="calibrify", who="ada", accepted_at=NOW)


@pytest.mark.parametrize("said", [SAID, SAID.with_signature(Signature("k", "v"))], ids=["unsigned", "signed"])
def test_an_acceptance_is_read_as_it_was_said(said):
    assert Acceptance.from_dict(said.to_dict()) == said


@pytest.mark.parametrize("changed", [{"type": "proof"}, {"label": "x"}, {"signature": 7}])
def test_what_is_no_acceptance_is_not_read_as_one(changed):
    with pytest.raises(IntegrityError, match="malformed"):
        Acceptance.from_dict({**SAID.to_dict(), **changed})


def test_a_release_is_no_acceptance_and_the_other_way_round():
    release = Release(label=LABEL, target="calibrify", hold_sha256="0" * 64, who="ada", released_at=NOW)

    with pytest.raises(IntegrityError):
        Acceptance.from_dict(release.to_dict())
    with pytest.raises(IntegrityError):
        Release.from_dict(SAID.to_dict())
