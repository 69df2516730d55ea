"""What the pages say can be followed: links lead somewhere, and commands are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from backstop.cli.parser import build_parser

CHECKOUT = Path(__file__).parents[1]
PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
VERB = "python -m backstop "


def anchor_of(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def commands() -> list[str]:
    """Lines of code blocks, and what stands inline."""
    found = set()
    for text in TEXTS.values():
        for block in re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found |= {line.removeprefix("$ ") for line in lines if line.removeprefix("$ ").startswith(VERB)}
        found |= {" ".join(one.split()) for one in re.findall(rf"`({VERB}[a-z][^`]+)`", text)}
    return sorted(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_link_of_a_page_leads_somewhere(page):
    lost = []
    for link in re.findall(r"(?:\]\(|srcset=\"|src=\")([^)\"]+)", TEXTS[page]):
        path, _, anchor = link.partition("#")
        there = (page.parent / path).resolve() if path else page
        if "://" in link or (there.exists() and not anchor):
            continue
        headings = re.findall(r"^#+ (.*)$", TEXTS.get(there, ""), flags=re.MULTILINE)
        if anchor not in map(anchor_of, headings):
            lost.append(link)

    assert lost == []


@pytest.mark.parametrize("command", commands())
def test_what_a_page_tells_to_type_is_understood(command, capsys):
    typed = re.split(r" [|>#] ", command.removeprefix(VERB))[0]
    arguments = shlex.split(re.sub(r"<[a-z ]+>", "x", typed))
    if len(arguments) > 1:
        assert build_parser().parse_args(arguments).run
        return
    # A verb alone may be no more than its name.
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args([*arguments, "--help"])
    assert ended.value.code == 0
