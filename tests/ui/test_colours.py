"""Colours can be read, in light and in dark (WCAG 2.2, 1.4.3: 4.5 to 1)."""

from __future__ import annotations

import re
from itertools import product

import pytest

from backstop.ui.rendering import STATIC

SHEET = (STATIC / "backstop.css").read_text()
LIGHT, DARK = (
    dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    for block in re.findall(r":root \{(.*?)\}", SHEET, re.DOTALL)
)
TEXT = ("ink", "quiet", "link", "good", "warning", "critical", "unknown")
GROUNDS = ("page", "raised")
BANDS = [(tone, f"{tone}-soft") for tone in ("good", "warning", "critical", "unknown")]
PAIRS = [
    *product(TEXT, GROUNDS),
    *BANDS,
    *(("ink", band) for _, band in BANDS),
    *(("quiet", band) for _, band in BANDS),
]


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "ground"), PAIRS, ids=lambda name: name)
def test_words_stand_out_from_their_ground(colours, front, ground):
    lighter, darker = sorted((luminance(colours[front]), luminance(colours[ground])), reverse=True)

    assert (lighter + 0.05) / (darker + 0.05) >= 4.5
