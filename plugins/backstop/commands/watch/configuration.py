"""What is wrong with target files: their targets are neither backed up nor watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.finding import CHECKS, EVERY_SUBJECT, EVERY_TARGET, Finding, Level

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from backstop.targets.broken import BrokenFile

CHECK = "configuration"
_STEP = "correct the file; `python -m backstop check-targets` names every mistake in it"


def judge_configuration(broken: Iterable[BrokenFile]) -> Iterator[Finding]:
    """A finding for each target that is disabled, and for each file that disables none that is known."""
    for file in broken:
        subject = file.name
        for name in file.targets:
            sentence = f"{name} is neither backed up nor watched, because its file is wrong: {file.why}"
            yield Finding(name, CHECK, subject, Level.CRITICAL, sentence, _STEP)
        if not file.targets:
            level = Level.WARNING if file.is_shared else Level.CRITICAL
            yield Finding(EVERY_TARGET, CHECK, subject, level, f"a file is wrong: {file.why}", _STEP)


def nothing_else(targets: Collection[str]) -> Mapping[str, Collection[tuple[str, str]]]:
    """For whoever looks at this alone: what else is open stays as it is."""
    others = frozenset((check, EVERY_SUBJECT) for check in CHECKS if check != CHECK)
    return dict.fromkeys(targets, others)
