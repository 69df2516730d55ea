"""Wait until a file tree differs from its newest published backup, then say so: once for each state."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.trees.bursts import Bursts
from backstop.commands.trees.change_detection import Changes, unknown
from backstop.commands.trees.comparison import Comparison
from backstop.errors import BackstopError, SourceError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from backstop.commands.trees.bursts import Rhythm
    from backstop.commands.trees.comparison import WatchedTree


class TreeWatch:
    """Watches while it is open (``with``). What was changed before counts, too: it begins with a look.

    :param say: takes sentences for a log: what keeps us from being told, or from telling.
    :param retry: how long to wait when nobody can tell whether there is a change.
    :param patience: when nobody could for so long, that is said like a change.
    """

    def __init__(
        self,
        tree: WatchedTree,
        rhythm: Rhythm,
        *,
        say: Callable[[str], None],
        retry: timedelta = timedelta(seconds=30),
        patience: timedelta = timedelta(minutes=10),
    ) -> None:
        self._tree = tree
        self._rhythm = rhythm
        self._say = say
        self._retry = retry
        self._patience = patience
        self._resources = ExitStack()
        self._reported = ""
        self._look_now = True
        self._blind_since: float | None = None
        self._said = ""

    def open(self) -> TreeWatch:
        """From now on nothing is missed. :raises StorageError: the staging folder cannot be used."""
        folder = self._resources.enter_context(self._tree.workspace())
        self._comparison = Comparison(self._tree, folder)
        self._bursts = Bursts(self._tree.patterns, self._rhythm, left_out=self._tree.left_out, say=self._say)
        self._resources.callback(self._bursts.close)
        return self

    def close(self) -> None:
        self._resources.close()

    def __enter__(self) -> TreeWatch:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait(self, stop: threading.Event) -> Changes | None:
        """Block until there is something to back up that has not been said yet; None when told to stop.

        What is still not backed up when it is time to recheck is said again: its backup must have failed.
        """
        while not stop.is_set():
            burst_is_over = self._await_reason(stop)
            if stop.is_set():
                break
            self._bursts.refresh()
            changes = self._look()
            if not burst_is_over:
                changes = self._settled(changes, stop)
            if changes and changes.state != self._reported:
                self._reported = changes.state
                return changes
        return None

    def say_again(self) -> None:
        """Forget what was said: its backup has failed. The next :meth:`wait` looks at once."""
        self._reported, self._look_now = "", True

    def _await_reason(self, stop: threading.Event) -> bool:
        """Until it is time to look; whether a burst of changes was waited out."""
        if self._look_now:
            self._look_now = False
            return False
        if self._blind_since is not None:
            stop.wait(self._retry.total_seconds())
            return False
        if not self._bursts.wait(stop):
            self._reported = ""
        return self._bursts.told

    def _settled(self, changes: Changes, stop: threading.Event) -> Changes:
        """A burst that nobody told us the end of is over when the tree looks the same twice."""
        began = time.monotonic()
        while changes and not changes.problem and changes.state != self._reported:
            if time.monotonic() - began > self._rhythm.at_most.total_seconds():
                break
            if stop.wait(self._rhythm.settle.total_seconds()):
                return Changes()
            before, changes = changes, self._look()
            if changes.state == before.state:
                break
        return changes

    def _look(self) -> Changes:
        try:
            changes = self._comparison.compare()
        except SourceError as error:
            # The backup will fail for it, which is how somebody gets to know.
            changes = unknown(str(error))
        except (BackstopError, OSError) as error:
            return self._blind(error)
        self._blind_since, self._said = None, ""
        return changes

    def _blind(self, error: BackstopError | OSError) -> Changes:
        """No repository answers, or no key opens the list: after a while a backup is due, which says so."""
        now = time.monotonic()
        self._blind_since = now if self._blind_since is None else self._blind_since
        if str(error) != self._said:
            self._said = str(error)
            self._say(f"tree {self._tree.name} cannot be compared with its newest backup: {error}")
        if now - self._blind_since < self._patience.total_seconds():
            return Changes()
        return unknown(str(error))
