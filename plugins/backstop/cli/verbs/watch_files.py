"""``watch-files``: runs until it is told to end, and backs up whenever something has changed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from backstop.cli.output import say
from backstop.cli.trees import TreeSession
from backstop.cli.verbs.files import back_up
from backstop.commands.progress import Silent
from backstop.commands.trees.watch import TreeWatch
from backstop.errors import BackstopError, CommandError
from backstop.model.access import AccessRole
from backstop.model.canonical import format_time
from backstop.settings.arguments import utc_now
from backstop.settings.trees import watch_rhythm, watched_tree
from backstop.wiring import open_keyring, open_tree_repositories

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from backstop.commands.trees.change_detection import Changes

_FIRST_PAUSE_SECONDS = 15.0
_LONGEST_PAUSE_SECONDS = 600.0


def watch_files(arguments: argparse.Namespace) -> int:
    session = TreeSession(arguments, AccessRole.WRITER)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # A backup that is being taken comes to its end first; a second signal ends it at once.
        signal.signal(number, lambda *_: _end(stop))
    pause = _FIRST_PAUSE_SECONDS
    with _watch(session) as watch:
        _tell(f"watching {session.tree.name} of {session.target_name}")
        while (changes := watch.wait(stop)) is not None:
            _tell(f"{changes}: {'; '.join(changes.sample[:10])}")
            try:
                _act(session, changes, arguments.command)
                pause = _FIRST_PAUSE_SECONDS
            except BackstopError as error:
                _tell(f"{error}; trying again in {pause:.0f} s")
                watch.say_again()
                stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    return 0


def _watch(session: TreeSession) -> TreeWatch:
    named = session.configuration, session.target_name
    tree = session.tree.name
    repositories = open_tree_repositories(*named, tree, session.credentials)
    keyring = open_keyring(*named, session.credentials, for_reading=True)
    watched = watched_tree(*named, tree, repositories, keyring=keyring)
    return TreeWatch(watched, watch_rhythm(*named, tree), say=_tell)


def _act(session: TreeSession, changes: Changes, command: Sequence[str]) -> None:
    if command:
        payload = {"target": session.target_name, "tree": session.tree.name, **changes.to_dict()}
        try:
            done = subprocess.run(list(command), input=json.dumps(payload).encode(), check=False)
        except OSError as error:
            raise CommandError(
                f"{command[0]!r} cannot be run: {error.strerror}", hint="give its whole path after `--`"
            ) from error
        if done.returncode:
            raise CommandError(
                f"{command[0]!r} exited with {done.returncode}", hint="it has said why; it is run again soon"
            )
        return
    report, delayed = back_up(session, Silent())
    where = ", ".join(f"{name}: {state}" for name, state in report.repositories.items())
    _tell(f"{report.label} in {where}")
    for sentence in (*report.warnings, *delayed):
        _tell(sentence)


def _end(stop: threading.Event) -> None:
    if stop.is_set():
        sys.exit(1)
    stop.set()


def _tell(sentence: str) -> None:
    say(f"{format_time(utc_now())} {sentence}")
