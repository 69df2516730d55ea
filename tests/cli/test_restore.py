"""``restore-database``: it must be told how far it goes. Real restores are in test_round_trip.py."""

from __future__ import annotations

import pytest


def test_a_restore_must_say_how_far_it_goes(run):
    with pytest.raises(SystemExit) as ended:
        run("restore-database", "--label", "latest")

    assert ended.value.code == 2
