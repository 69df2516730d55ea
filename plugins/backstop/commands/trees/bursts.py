"""When to look at a tree: after a burst of changes is over, and from time to time whatever is noticed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.files.notices import Notices

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

_UNTOLD_SECONDS = 60.0
"""How often to look where the kernel does not tell although it was asked to."""
_BREATH_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How notices are gathered.

    :param settle: a burst is over when nothing was noticed for so long.
    :param at_most: or after this time.
    :param poll: look so often instead of being told by the kernel; None is told.
    :param recheck: look so often whatever is noticed.
    """

    settle: timedelta = timedelta(seconds=5)
    at_most: timedelta = timedelta(seconds=30)
    poll: timedelta | None = None
    recheck: timedelta = timedelta(hours=1)


class Bursts:
    """Notices of one tree, gathered.

    :param left_out: whether a path is none of the tree's.
    :param say: takes a sentence when the kernel does not watch.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        rhythm: Rhythm,
        *,
        left_out: Callable[[bytes], bool],
        say: Callable[[str], None],
    ) -> None:
        self._patterns = patterns
        self._left_out = left_out
        self._rhythm = rhythm
        self._say = say
        self._notices: Notices | None = None
        self._said = False
        self._rechecked = time.monotonic()
        self.refresh()

    @property
    def told(self) -> bool:
        """Whether the kernel tells; otherwise a burst has to be found out by looking twice."""
        return self._notices is not None

    def refresh(self) -> None:
        """Follow folders that have come, gone or been exchanged; call it before each look."""
        if self._rhythm.poll:
            return
        try:
            if self._notices is None:
                self._notices = Notices(self._patterns, left_out=self._left_out)
            else:
                self._notices.refresh()
            self._said = False
        except OSError as error:
            self._untold(error)

    def wait(self, stop: threading.Event) -> bool:
        """Until it is time to look: True after a burst, False when a recheck is due or told to stop."""
        if self._notices is None:
            poll = self._rhythm.poll
            stop.wait(poll.total_seconds() if poll else _UNTOLD_SECONDS)
            return not self._recheck_due()
        try:
            noticed = self._notices.wait(self._until_recheck(), stop)
            if noticed:
                self._await_the_end(self._notices, stop)
        except OSError as error:
            self._untold(error)
            return True
        return noticed or not self._recheck_due()

    def close(self) -> None:
        if self._notices is not None:
            self._notices.close()
            self._notices = None

    def _await_the_end(self, notices: Notices, stop: threading.Event) -> None:
        began = last = time.monotonic()
        settle, at_most = self._rhythm.settle.total_seconds(), self._rhythm.at_most.total_seconds()
        while (left := min(last + settle, began + at_most) - time.monotonic()) > 0 and not stop.is_set():
            if notices.wait(left, stop):
                last = time.monotonic()
                # A file that is written to all the time must not keep us busy with its notices.
                stop.wait(min(_BREATH_SECONDS, settle))

    def _until_recheck(self) -> float:
        return max(0.0, self._rechecked + self._rhythm.recheck.total_seconds() - time.monotonic())

    def _recheck_due(self) -> bool:
        if self._until_recheck() > 0:
            return False
        self._rechecked = time.monotonic()
        return True

    def _untold(self, error: OSError) -> None:
        self.close()
        if not self._said:
            self._said = True
            self._say(
                f"the kernel does not watch {', '.join(self._patterns)} ({error.strerror}); looking every "
                f"{_UNTOLD_SECONDS:.0f} s: raise fs.inotify.max_user_watches, or set on_change.poll"
            )
