"""Swap, then tell the services; and back, when they do not take it."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from backstop.commands.application import run_commands
from backstop.commands.trees.layout import Folder
from backstop.commands.trees.plan import CommandOutput, TreeSwapError, TreeSwapOutcome
from backstop.commands.trees.register import forget
from backstop.commands.trees.swap import Swap, go_back
from backstop.errors import BackstopError, CommandError
from backstop.files.ownership import Ownership
from backstop.files.shortfalls import Shortfalls
from backstop.model.canonical import format_time
from backstop.model.file_tree import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from backstop.commands.trees.plan import Exchanged, RestoredTree
    from backstop.commands.trees.settings import TreeRestoreSettings

_NAMED = 50


def swap_in(
    restored: RestoredTree, *, settings: TreeRestoreSettings, clock: Callable[[], datetime]
) -> TreeSwapOutcome:
    """See :meth:`~.restore.TreeRestore.swap`."""
    started, now = time.monotonic(), clock()
    if restored.destination is not None:
        # An empty folder may be there; one that is not empty is kept, like whatever a swap replaces.
        with suppress(OSError):
            Path(restored.destination).rmdir()
    swap = Swap(restored.places, restored.token, now, Ownership.parse(settings.owner), Shortfalls())
    swap.run()
    forget(settings.scratch, restored.token)
    outcome = TreeSwapOutcome(
        label=restored.label,
        swapped_at=format_time(now),
        exchanged=tuple(swap.exchanged),
        folders=tuple(swap.folders),
        kept=_kept(swap.exchanged),
        commands=(),
        failure="",
        undone=False,
        seconds=round(time.monotonic() - started, 3),
    )
    if restored.destination is not None:
        return outcome
    try:
        return replace(outcome, commands=_commands(settings))
    except CommandError as error:
        failed = replace(outcome, failure=error.message)
        # Where nothing was live before, going back would leave nothing again.
        if settings.undo_on_failure and outcome.kept:
            raise _undone(failed, settings, clock) from error
        raise TreeSwapError(
            f"the restored files are live, but {error.message}", hint=_live_hint(outcome), outcome=failed
        ) from error


def undo_swap(
    outcome: TreeSwapOutcome, *, settings: TreeRestoreSettings, clock: Callable[[], datetime]
) -> TreeSwapOutcome:
    """See :meth:`~.restore.TreeRestore.undo`."""
    outcome.require_former()
    back = _back(outcome, clock())
    try:
        return replace(back, commands=_commands(settings))
    except CommandError as error:
        raise TreeSwapError(
            f"the former files are back, but {error.message}",
            hint="mend what is named, and run the commands of after_restore by hand",
            outcome=replace(back, failure=error.message),
        ) from error


def _live_hint(outcome: TreeSwapOutcome) -> str:
    hint = "mend it and run after_restore by hand"
    if not outcome.kept:
        return f"{hint}; nothing was there before, so there is nothing to go back to"
    return f"{hint}, or swap back; the former files are {', '.join(outcome.kept[:3])}"


def _undone(
    failed: TreeSwapOutcome, settings: TreeRestoreSettings, clock: Callable[[], datetime]
) -> TreeSwapError:
    """Swap back after a failure, and have the services read the former files again."""
    try:
        back = _back(failed, clock())
    except BackstopError as error:
        return TreeSwapError(
            f"{failed.failure}; and then the former files could not be put back: {error.message}",
            hint=error.hint,
            outcome=failed,
        )
    message = f"the former files are back, because {failed.failure}"
    hint = "look at what was restored, in " + ", ".join(back.kept[:3])
    try:
        _commands(settings)
    except CommandError as error:
        message += f"; with them again {error.message}"
        hint = f"see that the services run; {hint}"
    return TreeSwapError(message, hint=hint, outcome=replace(back, failure=failed.failure))


def _back(outcome: TreeSwapOutcome, now: datetime) -> TreeSwapOutcome:
    started = time.monotonic()
    back = go_back(outcome.exchanged, outcome.folders, now=now)
    return replace(
        outcome,
        swapped_at=format_time(now),
        exchanged=back,
        folders=(),
        kept=_kept(back),
        commands=(),
        failure="",
        undone=not outcome.undone,
        seconds=round(time.monotonic() - started, 3),
    )


def _commands(settings: TreeRestoreSettings) -> tuple[CommandOutput, ...]:
    done = []
    for argv in settings.after_restore:
        [output] = run_commands([argv], purpose="after_restore", timeout=settings.timeout, section="restore")
        done.append(CommandOutput(tuple(argv), output))
    return tuple(done)


def _kept(exchanged: Sequence[Exchanged]) -> tuple[str, ...]:
    return tuple(
        shown(
            (Folder.from_text(one.place).path.rstrip(b"/") + b"/" + unquote_to_bytes(one.kept)).lstrip(b"/")
        )
        for one in exchanged
        if one.kept
    )[:_NAMED]
