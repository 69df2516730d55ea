"""Shares as people write them: ``5%``, ``0.05``, ``100%``."""

from __future__ import annotations

import re

SHARE_PATTERN = r"^\d{1,3}(\.\d+)?%$"
"""For the JSON Schema, of the texts with a percent sign among them; :func:`parse_share` decides."""
_EXPECTED = "expected a share such as 5% or 0.05, more than nothing and at most 100%"


def parse_share(raw: object) -> float:
    """A number above 0, at most 1.

    :raises ValueError: anything else; says what was expected.
    """
    if isinstance(raw, str):
        text = raw.strip()
        percent = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%", text)
        plain = re.fullmatch(r"\d(?:\.\d+)?", text)
        if percent is None and plain is None:
            raise ValueError(_EXPECTED)
        share = float(percent[1]) / 100 if percent else float(text)
    elif isinstance(raw, int | float) and not isinstance(raw, bool):
        share = float(raw)
    else:
        raise ValueError(_EXPECTED)
    if not 0 < share <= 1:
        raise ValueError(_EXPECTED)
    return share
