from __future__ import annotations

import pytest

from backstop.targets.shares import parse_share


@pytest.mark.parametrize(
    ("written", "share"), [("5%", 0.05), ("0.5%", 0.005), ("100%", 1), ("0.05", 0.05), (1, 1), (0.25, 0.25)]
)
def test_shares_are_written_as_people_write_them(written, share):
    assert parse_share(written) == pytest.approx(share)


@pytest.mark.parametrize(
    "written", ["", "5", "0%", "101%", "-5%", "5 %%", "all", 0, 1.5, True, None, ["5%"], "nan"]
)
def test_anything_else_is_refused_with_an_example(written):
    with pytest.raises(ValueError, match="5%"):
        parse_share(written)
