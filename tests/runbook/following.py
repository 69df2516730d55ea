"""Somebody who follows a section of the runbook: types its lines, one after the other, into one shell."""

from __future__ import annotations

import re
import subprocess
import uuid
from typing import TYPE_CHECKING

from tests.runbook.page import FIRST, sections

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.runbook.page import Command

#: What is done before a command whose text begins so; of several, the first is done at its first occurrence.
Meanwhile = "Mapping[str, Callable[[], object] | Sequence[Callable[[], object]]]"


class Shell:
    """One bash that keeps what was exported, as the terminal of whoever reads the page does."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=dict(environment), cwd="/",
        )  # fmt: skip

    def run(self, line: str) -> tuple[int, str]:
        """Its exit code, and all that it said."""
        mark = uuid.uuid4().hex
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{{ {line}\n}} < /dev/null; code=$?; echo; echo {mark} $code\n")
        self._process.stdin.flush()
        said: list[str] = []
        for read in self._process.stdout:
            if read.startswith(mark):
                return int(read.split()[1]), "".join(said)
            said.append(read)
        raise AssertionError(f"the shell ended at: {line}\n{''.join(said)}")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


def follow(
    title: str,
    run: Callable[[str], tuple[int, str]],
    *,
    words: Callable[[str], str],
    meanwhile: Mapping[str, Callable[[], object] | Sequence[Callable[[], object]]] | None = None,
    part: str = "",
) -> list[str]:
    """Type every command of a section; each must end as the page says.

    :param run: types one line; its exit code, and what it said.
    :param words: puts the names of the machine at hand in the place of the page's.
    :param meanwhile: what happens just before the command that begins so; a list: at each occurrence one.
    :param part: one that its table of decisions leads to, without the others; empty: all of them.
    :returns: what each of them said.
    """
    waiting = {
        begin: [events] if callable(events) else list(events) for begin, events in (meanwhile or {}).items()
    }
    said: list[str] = []
    for command in sections()[title]:
        if part and command.part not in ("", part):
            continue
        for begin, events in waiting.items():
            if command.text.startswith(begin) and events:
                events.pop(0)()
        said.append(_typed(command, run, words))
    assert not any(waiting.values()), f"the page has no (more) line for {waiting}"
    return said


def _typed(command: Command, run: Callable[[str], tuple[int, str]], words: Callable[[str], str]) -> str:
    code, said = run(words(command.text))
    assert code in command.codes, f"{words(command.text)}\nended with {code}:\n{said}"
    return said


def prepare(run: Callable[[str], tuple[int, str]], words: Callable[[str], str]) -> None:
    """What every section asks for: the exports of the first one."""
    for command in sections()[FIRST]:
        if command.text.startswith("export "):
            _typed(command, run, words)


def replacing(names: Mapping[str, str | Callable[[], str]]) -> Callable[[str], str]:
    """Puts each name in the place of another, in one go; the longest counts."""
    pattern = re.compile("|".join(sorted(map(re.escape, names), key=len, reverse=True)))

    def words(text: str) -> str:
        def word(found: re.Match[str]) -> str:
            name = names[found[0]]
            return name if isinstance(name, str) else name()

        return pattern.sub(word, text)

    return words
